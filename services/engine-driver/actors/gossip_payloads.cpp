#include "services/engine-driver/actors/gossip_payloads.hpp"

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::driver {

gossip_payloads_impl::behavior_type gossip_payloads_state::make_behavior(GossipPayloadsConfig config) {
  config_ = std::move(config);
  return {[this](open_atom, std::uint64_t stream, const OpenPayloadsPtr& e) {
            stream_ = stream;
            range_.emplace(Range{*e});
            find();
            if (range_->found) return;
            if (!watch_) watch();
            else if (pushed_.may_come(e->tip)) return self_->delayed_send(self_, kWait, tick_atom{}, stream);
            pull();
          },
          [this](next_atom, std::uint64_t stream, const DonePtr& done) {
            if (stream != stream_ || !range_) return;
            range_->wanted = done;
            serve();
          },
          [this](close_atom, std::uint64_t stream) {
            if (stream == stream_) range_.reset();
          },
          [this](pushed_atom, const PayloadPtr& answer) { on_pushed(std::move(*answer)); },
          [this](tick_atom, std::uint64_t stream) {
            if (stream == stream_ && range_ && !range_->found && !range_->pulled) pull();
          }};
}

void gossip_payloads_state::watch() {
  watch_ = config_.watch();
  watch_next();
}

void gossip_payloads_state::watch_next() {
  watch_->next([me = gossip_payloads_impl{self_}](NextPayload::Answer a) {
    caf::anon_send(me, pushed_atom{}, std::make_shared<NextPayload::Answer>(std::move(a)));
  });
}

void gossip_payloads_state::on_pushed(NextPayload::Answer answer) {
  if (!answer.ok()) {
    watch_.reset();
    if (range_ && !range_->found && !range_->pulled) pull();
    return;
  }
  pushed_.put(**std::move(answer));
  watch_next();
  if (!range_ || range_->found || range_->pulled) return;
  find();
  serve();
}

void gossip_payloads_state::find() {
  range_->here = pushed_.take(range_->what.parent, range_->what.tip);
  range_->found = !range_->here.empty();
}

void gossip_payloads_state::pull() {
  range_->pulled = config_.pull(range_->what);
  serve();
}

void gossip_payloads_state::serve() {
  if (!range_->wanted || (!range_->found && !range_->pulled)) return;
  const DonePtr done = std::exchange(range_->wanted, nullptr);
  if (range_->pulled) return range_->pulled->next(*done);
  if (range_->here.empty()) return (*done)(absl::OutOfRangeError("the range is complete"));
  PreparedPayload payload = std::move(range_->here.front());
  range_->here.pop_front();
  (*done)(std::move(payload));
}

gossip_payloads_impl::behavior_type gossip_payloads(gossip_payloads_impl::stateful_pointer<gossip_payloads_state> self,
                                                    GossipPayloadsConfig config) {
  guard(static_cast<gossip_payloads_impl::pointer>(self), "gossip_payloads");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::driver
