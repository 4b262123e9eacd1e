#include "services/sync-coordinator/actors/links.hpp"

#include <absl/strings/str_cat.h>

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::coordinator {
namespace {

constexpr auto kOpenAgain = std::chrono::milliseconds{300};
/// How often the other sources are polled while the head stands still.
constexpr absl::Duration kSourcesEvery = absl::Seconds(2);

StatusPtr shared(absl::Status s) { return std::make_shared<const absl::Status>(std::move(s)); }

}  // namespace

driver_link_impl::behavior_type driver_link(driver_link_impl::stateful_pointer<driver_link_state> self,
                                            std::string driver_name, DriverClient* driver, tow_actor tow,
                                            head_link_actor heads) {
  guard(static_cast<driver_link_impl::pointer>(self), "driver_link");
  self->send(self, open_atom{});
  return {[=](stop_atom) { self->state.stopped = true; },
          [=](open_atom) {
            if (self->state.stopped) return;
            driver->watch(
                [=](const contract::EngineState& s) {
                  const auto state = std::make_shared<const contract::EngineState>(s);
                  caf::anon_send(tow, local_atom{}, state);
                  caf::anon_send(heads, local_atom{}, state);
                },
                [me = driver_link_impl{self}](absl::Status why) {
                  caf::anon_send(me, ended_atom{}, shared(std::move(why)));
                });
          },
          [=](ended_atom, const StatusPtr& why) {
            if (self->state.stopped) return;
            self->send(
                tow, local_atom{}, lost_atom{},
                absl::StrCat("the engine-driver at ", driver_name, " does not answer: ", std::string{why->message()}));
            self->delayed_send(self, kOpenAgain, open_atom{});
          }};
}

head_link_impl::behavior_type head_link_state::make_behavior(FetcherClient* fetcher, tow_actor tow,
                                                             absl::Duration head_age) {
  fetcher_ = fetcher;
  tow_ = std::move(tow);
  head_age_ = head_age;
  self_->send(self_, open_atom{});
  return {[this](stop_atom) { stopped_ = true; },
          [this](local_atom, const StatePtr& s) {
            final_block_ = final_block(*s);
            // An operator moved the block back: a source that lacks the old one has a vote again. A higher block can
            // wait for the next regular watch.
            if (opened_with_ && final_block_ && *final_block_ != *opened_with_ &&
                final_block_->number <= opened_with_->number)
              open();
          },
          [this](open_atom) { open(); },
          [this](remote_atom, std::uint64_t stream, const SnapshotPtr& s) {
            if (stream == stream_) on_snapshot(s);
          },
          [this](remote_atom, std::uint64_t stream, const TroublePtr& t) {
            if (stream != stream_) return;
            spoke_ = true;
            lost(*t);
          },
          [this](ended_atom, std::uint64_t stream, const StatusPtr& why) {
            if (stream == stream_) on_end(*why);
          }};
}

void head_link_state::open() {
  if (stopped_) return;
  if (close_) close_();
  opened_with_ = final_block_;
  spoke_ = false;
  head_.reset();
  look_ = absl::InfinitePast();
  const head_link_impl me{self_};
  const std::uint64_t stream = ++stream_;
  close_ = fetcher_->watch(
      opened_with_, {[=](const contract::HeadSnapshot& s) {
                       caf::anon_send(me, remote_atom{}, stream, std::make_shared<const contract::HeadSnapshot>(s));
                     },
                     [=](const contract::SourceTrouble& t) {
                       caf::anon_send(me, remote_atom{}, stream, std::make_shared<const contract::SourceTrouble>(t));
                     },
                     [=](absl::Status why) { caf::anon_send(me, ended_atom{}, stream, shared(std::move(why))); }});
}

void head_link_state::on_snapshot(const SnapshotPtr& s) {
  spoke_ = true;
  const absl::Time now = steady_now();
  if (s->unsafe && head_ != s->unsafe->hash) {
    head_ = s->unsafe->hash;
    look_ = now + head_age_ / 2;
  } else if (now >= look_) {
    look_ = now + kSourcesEvery;
    fetcher_->sources([tow = *tow_](absl::StatusOr<std::vector<Witness::OtherHead>> sources) {
      if (sources.ok())
        caf::anon_send(tow, remote_atom{},
                       std::make_shared<const std::vector<Witness::OtherHead>>(*std::move(sources)));
    });
  }
  self_->send(*tow_, remote_atom{}, s);
}

void head_link_state::on_end(const absl::Status& why) {
  close_ = nullptr;
  if (stopped_) return;
  // A watch ends regularly after its time limit; no source was lost.
  if (absl::IsDeadlineExceeded(why) && spoke_) return open();
  lost({"no_heads", absl::StrCat("no heads from the remote-fetcher: ", why.message())});
  self_->delayed_send(self_, kOpenAgain, open_atom{});
}

void head_link_state::lost(const contract::SourceTrouble& t) {
  self_->send(*tow_, remote_atom{}, lost_atom{}, std::make_shared<const contract::SourceTrouble>(t));
}

head_link_impl::behavior_type head_link(head_link_impl::stateful_pointer<head_link_state> self, FetcherClient* fetcher,
                                        tow_actor tow, absl::Duration head_age) {
  guard(static_cast<head_link_impl::pointer>(self), "head_link");
  return self->state.make_behavior(fetcher, std::move(tow), head_age);
}

gossip_link_impl::behavior_type gossip_link(gossip_link_impl::stateful_pointer<gossip_link_state> self,
                                            GossipClient* gossip, std::vector<tow_actor> tows,
                                            std::vector<Metrics::Gauge> connected) {
  guard(static_cast<gossip_link_impl::pointer>(self), "gossip_link");
  self->send(self, open_atom{});
  const auto show = [connected](double on) {
    for (Metrics::Gauge g : connected) g.set(on);
  };
  return {[=](stop_atom) { self->state.stopped = true; },
          [=](open_atom) {
            if (self->state.stopped) return;
            const gossip_link_impl me{self};
            gossip->watch(
                [me](const std::optional<eth::BlockRef>& b) {
                  caf::anon_send(me, gossip_atom{}, std::make_shared<const std::optional<eth::BlockRef>>(b));
                },
                [me](absl::Status why) { caf::anon_send(me, ended_atom{}, shared(std::move(why))); });
          },
          [=](gossip_atom, const BlockPtr& b) {
            show(1);
            self->state.said = false;
            for (const tow_actor& t : tows) self->send(t, gossip_atom{}, b);
          },
          [=](ended_atom, const StatusPtr& why) {
            if (self->state.stopped) return;
            show(0);
            for (const tow_actor& t : tows) self->send(t, gossip_atom{}, lost_atom{});
            // A deployment without p2p-gossip is valid as well, so this is logged once and not as an error.
            if (!std::exchange(self->state.said, true))
              log::info("no blocks from p2p-gossip, trying on", {log::kv("why", std::string{why->message()})});
            self->delayed_send(self, kOpenAgain, open_atom{});
          }};
}

}  // namespace towline::coordinator
