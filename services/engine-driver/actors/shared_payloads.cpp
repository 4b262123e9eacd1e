#include "services/engine-driver/actors/shared_payloads.hpp"

#include <absl/strings/str_cat.h>

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_time.hpp"
#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::driver {
namespace {

/// Further addresses share the label "other", which bounds the series of the metric.
constexpr std::size_t kMostCounted = 64;

}  // namespace

shared_payloads_impl::behavior_type shared_payloads_state::make_behavior(SharedPayloadsConfig config) {
  config_.emplace(std::move(config));
  replicas_.emplace(config_->target);
  return {
      [this](open_atom, std::uint64_t stream, const OpenPayloadsPtr& e) {
        // Closes the streams of the previous range.
        open_.clear();
        wanted_.reset();
        stream_ = stream;
        range_.emplace(*replicas_, e->parent, e->tip);
        apply(range_->start(now()));
        self_->delayed_send(self_, kTick, tick_atom{}, stream_);
      },
      [this](next_atom, std::uint64_t stream, const DonePtr& done) {
        if (stream != stream_ || !range_) return;
        wanted_ = done;
        apply(range_->on_next(now()));
      },
      [this](close_atom, std::uint64_t stream) {
        if (stream != stream_) return;
        range_.reset();
        open_.clear();
        wanted_.reset();
        show();
      },
      [this](listed_atom, const AddressesPtr& addresses) {
        replicas_->list(*addresses, now());
        for (const auto& address : replicas_->take_forgotten(now())) config_->calls->forget(address);
        show();
        if (range_) apply(range_->on_tick(now()));
      },
      [this](given_atom, std::uint64_t stream, std::uint64_t id, const PayloadPtr& given) {
        if (stream != stream_ || !range_) return;
        if (given->ok()) return apply(range_->on_payload(id, std::move(***given), now()));
        open_.erase(id);
        apply(range_->on_end(id, given->status(), now()));
      },
      [this](heights_atom, std::uint64_t stream, const HeightsPtr& heights) {
        if (stream == stream_ && range_) apply(range_->on_borders(*heights, now()));
      },
      [this](tick_atom, std::uint64_t stream) {
        if (stream == stream_ && range_) tick();
      },
  };
}

absl::Time shared_payloads_state::now() const { return actor_now(self_); }

void shared_payloads_state::tick() {
  apply(range_->on_tick(now()));
  show();
  self_->delayed_send(self_, kTick, tick_atom{}, stream_);
}

void shared_payloads_state::show() {
  auto view = replicas_->view(now());
  if (view == shown_) return;
  shown_ = std::move(view);
  config_->show(shown_);
}

void shared_payloads_state::apply(SharedRange::Effects effects) {
  for (auto& e : effects) std::visit([this](auto& x) { run(x); }, e);
}

void shared_payloads_state::run(const SharedRange::Open& e) {
  open_[e.stream] = config_->calls->open(e.replica, e.from, e.to);
}

void shared_payloads_state::run(const SharedRange::Pull& e) {
  const auto it = open_.find(e.stream);
  if (it == open_.end()) return;
  it->second->next([me = shared_payloads_impl{self_}, range = stream_, id = e.stream](NextPayload::Answer a) {
    caf::anon_send(me, given_atom{}, range, id, std::make_shared<NextPayload::Answer>(std::move(a)));
  });
}

void shared_payloads_state::run(const SharedRange::Close& e) { open_.erase(e.stream); }

void shared_payloads_state::run(const SharedRange::AskBorders& e) {
  config_->calls->heights(e.replica, e.numbers,
                          [me = shared_payloads_impl{self_}, range = stream_](absl::StatusOr<Heights> h) {
                            caf::anon_send(me, heights_atom{}, range,
                                           HeightsPtr{std::make_shared<const absl::StatusOr<Heights>>(std::move(h))});
                          });
}

void shared_payloads_state::run(SharedRange::Give& e) {
  if (!e.replica.empty()) {
    const std::string who = counters_.contains(e.replica) || counters_.size() < kMostCounted ? e.replica : "other";
    auto it = counters_.find(who);
    if (it == counters_.end()) {
      it = counters_
               .emplace(who, config_->metrics->counter("towline_driver_payloads_total",
                                                       "Payloads that went to the EL's writer, by the remote-fetcher "
                                                       "that served them.",
                                                       {{"replica", who}}))
               .first;
    }
    it->second.inc();
  }
  const DonePtr done = std::exchange(wanted_, nullptr);
  (*done)(std::move(e.answer));
}

void shared_payloads_state::run(const SharedRange::Note& e) {
  log::info(e.what, {log::kv("replica", e.replica), log::kv("why", e.why)});
}

shared_payloads_impl::behavior_type shared_payloads(shared_payloads_impl::stateful_pointer<shared_payloads_state> self,
                                                    SharedPayloadsConfig config) {
  guard(static_cast<shared_payloads_impl::pointer>(self), "shared_payloads");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::driver
