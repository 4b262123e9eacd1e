#include "services/sync-coordinator/actors/tow.hpp"

#include <absl/strings/str_cat.h>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <limits>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/sync-coordinator/actors/decision_file.hpp"

namespace towline::coordinator {
namespace {

constexpr auto kWatchAgain = std::chrono::milliseconds{300};
/// Decisions go to disk so often at most.
constexpr absl::Duration kKeepEvery = absl::Seconds(5);
/// What does not happen is seen by then.
constexpr auto kTick = std::chrono::seconds{1};
/// While the head stands still the other sources are looked at so often.
constexpr absl::Duration kSourcesEvery = absl::Seconds(2);

worker_actor::behavior_type worker(worker_actor::pointer self, tow_actor tow, DriverClient* driver,
                                   FetcherClient* fetcher) {
  guard(self, "worker");
  return {[=](run_atom, const EffectPtr& effect) {
    const auto command = [&](std::uint64_t id, absl::StatusOr<contract::CommandResult> r) {
      caf::anon_send(tow, done_atom{},
                     CommandDonePtr{std::make_shared<const CommandDone>(CommandDone{id, std::move(r)})});
    };
    if (const auto* c = std::get_if<Compare>(effect.get())) {
      auto remote = fetcher->headers(c->numbers, c->endpoint);
      auto local = driver->canonical_blocks(c->numbers);
      caf::anon_send(
          tow, done_atom{},
          ComparedPtr{std::make_shared<const Compared>(Compared{c->id, std::move(remote), std::move(local)})});
    } else if (const auto* i = std::get_if<Import>(effect.get())) {
      command(i->id, driver->import(*i));
    } else if (const auto* f = std::get_if<SetForkchoice>(effect.get())) {
      command(f->id, driver->set_forkchoice(*f));
    } else if (const auto* r = std::get_if<Rewind>(effect.get())) {
      command(r->id, driver->rewind(*r));
    }
  }};
}

class tow_state {
 public:
  static inline const char* name = "tow";
  explicit tow_state(tow_actor::pointer self) : self_{self} {}

  tow_actor::behavior_type make_behavior(const TowConfig& config) {
    config_ = config;
    machine_.emplace(config.options);
    witness_.emplace(config.gossip != nullptr);
    worker_ = self_->spawn<caf::detached>(worker, tow_actor{self_}, config.driver, config.fetcher);
    // The worker holds a handle to us and we to it: it ends when we end.
    self_->set_exit_handler([this](const caf::exit_msg& m) {
      keep();
      self_->send_exit(*worker_, m.reason);
      worker_.reset();
      self_->quit(m.reason);
    });
    // They exist from the start: what counts an increase misses one that appears with it.
    for (const ActionText& a : kActions) decisions_total(a.action);
    if (!config_.decisions_file.empty()) {
      auto kept = load_decisions(config_.decisions_file);
      if (!kept.ok()) log::warn("earlier decisions are lost", {log::kv("why", kept.status())});
      else machine_->restore(*std::move(kept));
      if (!machine_->decisions().empty()) last_decision_ = machine_->decisions().back().sequence;
      config_.board->put_decisions(config_.index, machine_->decisions());
    }
    self_->send(self_, tick_atom{});
    return {
        [this](remote_atom, const SnapshotPtr& s) {
          witness_->on_remote(*s, steady_now());
          apply(machine_->on_remote(*s, steady_now()));
        },
        [this](remote_atom, lost_atom, const TroublePtr& t) { apply(machine_->on_remote_lost(*t, steady_now())); },
        [this](local_atom, const StatePtr& s) {
          witness_->on_local(*s, steady_now());
          apply(machine_->on_local(*s, steady_now()));
        },
        [this](local_atom, lost_atom, const std::string& why) { apply(machine_->on_local_lost(why, steady_now())); },
        [this](done_atom, const ComparedPtr& c) {
          apply(machine_->on_compared(c->id, c->remote, c->local, steady_now()));
        },
        [this](done_atom, const CommandDonePtr& c) {
          apply(machine_->on_command_done(c->id, c->result, steady_now()));
        },
        [this](wake_atom, std::uint64_t generation) {
          if (generation == alarm_) apply(machine_->on_wake(steady_now()));
        },
        [this](pause_atom, const std::string& reason) { apply(machine_->pause(reason, steady_now())); },
        [this](resume_atom) { apply(machine_->resume(steady_now())); },
        [this](gossip_atom, const BlockPtr& b) {
          witness_->on_gossip(*b);
          if (*b) apply(machine_->on_gossip(**b, steady_now()));
        },
        [this](gossip_atom, lost_atom) { witness_->on_gossip_lost(); },
        [this](remote_atom, const SourcesPtr& s) { witness_->on_sources(*s); },
        [this](tick_atom) {
          self_->delayed_send(self_, kTick, tick_atom{});
          publish();
          if (steady_now() - kept_ >= kKeepEvery) keep();
        },
    };
  }

 private:
  Metrics::Counter decisions_total(Action action) {
    return config_.metrics->counter("towline_coordinator_decisions_total", "Decisions by action.",
                                    {{"driver", config_.driver_name}, {"action", std::string{text(action)}}});
  }

  void keep() {
    if (!keep_ || config_.decisions_file.empty()) return;
    keep_ = false;
    kept_ = steady_now();
    if (auto st = save_decisions(config_.decisions_file, machine_->decisions()); !st.ok())
      log::warn("decisions are not kept", {log::kv("why", st)});
  }

  void apply(std::optional<Effect> effect) {
    if (config_.board->stopped()) return;  // nothing is commanded by a process that ends
    if (effect) self_->send(*worker_, run_atom{}, EffectPtr{std::make_shared<const Effect>(*std::move(effect))});
    if (const absl::Time at = machine_->next_wake(); at != absl::InfiniteFuture()) {
      self_->delayed_send(
          self_, std::chrono::milliseconds{std::max<std::int64_t>(1, absl::ToInt64Milliseconds(at - steady_now()) + 1)},
          wake_atom{}, ++alarm_);
    }
    publish();
  }

  void publish() {
    const Follower& m = *machine_;
    const absl::Time now = steady_now();
    const Facts facts = witness_->facts(m, now);
    const TowReadiness v = readiness_of(facts, config_.limits, now);
    const TowState state_now = v.state;
    auto& metrics = *config_.metrics;
    if (since_ == absl::InfinitePast()) since_ = now;
    if (state_now != shown_) {
      since_ = now;
      const bool alarm = state_now == TowState::diverged || state_now == TowState::needs_operator ||
                         state_now == TowState::unknown_rules;
      const auto line = alarm ? log::error : log::info;
      line("state", {log::kv("driver", config_.driver_name), log::kv("state", coordinator::name(state_now)),
                     log::kv("was", coordinator::name(shown_)), log::kv("reason", v.reason)});
      const auto state = [&](TowState s, double on) {
        metrics
            .gauge("towline_coordinator_state", "1 for the state that the tow is in.",
                   {{"driver", config_.driver_name}, {"state", coordinator::name(s)}})
            .set(on);
      };
      state(shown_, 0);
      state(state_now, 1);
      shown_ = state_now;
    }
    metrics
        .gauge("towline_coordinator_ready", "1: head, safe and finalized follow a source that moves.",
               {{"driver", config_.driver_name}})
        .set(v.ready ? 1 : 0);
    config_.board->put(config_.index, {config_.driver_name, v, since_, m.local(), m.remote(), m.target(), m.distance(),
                                       facts.source_heard, m.diverged_remote(), m.term()});
    if (m.decided() != decided_) {
      decided_ = m.decided();
      for (const Decision& d : m.decisions()) {
        if (d.sequence <= last_decision_) continue;
        log::info("decision", {log::kv("driver", config_.driver_name), log::kv("action", std::string{text(d.action)}),
                               log::kv("reason", d.reason)});
        decisions_total(d.action).inc();
      }
      keep_ = keep_ || m.decisions().back().sequence != last_decision_;
      last_decision_ = m.decisions().back().sequence;
      config_.board->put_decisions(config_.index, m.decisions());
    }
    metrics
        .gauge("towline_coordinator_distance_blocks", "Blocks to the target; NaN: not known.",
               {{"driver", config_.driver_name}})
        .set(m.distance() ? static_cast<double>(*m.distance()) : std::numeric_limits<double>::quiet_NaN());
    const auto number = [&](const char* side, const char* label, const std::optional<eth::BlockRef>& b) {
      metrics
          .gauge("towline_coordinator_head_block_number", "Heads on both sides.",
                 {{"driver", config_.driver_name}, {"side", side}, {"label", label}})
          .set(b ? static_cast<double>(b->number) : 0);
    };
    if (m.local()) {
      number("local", "unsafe", m.local()->labels.unsafe);
      number("local", "safe", m.local()->labels.safe);
      number("local", "finalized", m.local()->labels.finalized);
    }
    if (m.remote()) {
      number("remote", "unsafe", m.remote()->unsafe);
      number("remote", "safe", m.remote()->safe);
      number("remote", "finalized", m.remote()->finalized);
    }
    metrics
        .gauge("towline_coordinator_last_reorg_depth_blocks", "Depth of the last switch of branches.",
               {{"driver", config_.driver_name}})
        .set(static_cast<double>(m.last_reorg_depth()));
    metrics
        .gauge("towline_coordinator_last_walkback_rounds", "Round trips of the last search for a common block.",
               {{"driver", config_.driver_name}})
        .set(m.last_walkback_rounds());
  }

  tow_actor::pointer self_;
  TowConfig config_{};
  std::optional<Follower> machine_;
  std::optional<Witness> witness_;
  absl::Time since_ = absl::InfinitePast();
  std::optional<worker_actor> worker_;
  std::uint64_t alarm_ = 0;
  TowState shown_ = TowState::starting;
  std::uint64_t last_decision_ = 0;
  std::uint64_t decided_ = 0;
  /// There are decisions that are not on disk.
  bool keep_ = false;
  absl::Time kept_ = absl::InfinitePast();
};

tow_actor::behavior_type tow(tow_actor::stateful_pointer<tow_state> self, const TowConfig& config) {
  guard(self, "tow");
  return self->state.make_behavior(config);
}

watcher_actor::behavior_type driver_watcher(watcher_actor::pointer self, tow_actor to, const TowConfig& config) {
  guard(self, "driver_watcher");
  self->send(self, watch_atom{});
  return {[=](watch_atom) {
    const absl::Status why = config.driver->watch([&](const contract::EngineState& s) {
      caf::anon_send(to, local_atom{}, StatePtr{std::make_shared<const contract::EngineState>(s)});
    });
    if (config.board->stopped()) return;
    caf::anon_send(
        to, local_atom{}, lost_atom{},
        absl::StrCat("the engine-driver at ", config.driver_name, " does not answer: ", std::string{why.message()}));
    self->delayed_send(self, kWatchAgain, watch_atom{});
  }};
}

watcher_actor::behavior_type head_watcher(watcher_actor::pointer self, tow_actor to, const TowConfig& config) {
  guard(self, "head_watcher");
  self->send(self, watch_atom{});
  return {[=](watch_atom) {
    const auto ours = [&]() -> std::optional<eth::BlockId> {
      for (const TowView& v : config.board->views()) {
        if (v.driver == config.driver_name && v.local && v.local->confirmed_finalized)
          return v.local->confirmed_finalized;
      }
      return std::nullopt;
    };
    const auto confirmed_finalized = ours();
    // An operator has taken it back: who does not have it has a vote again. A higher one can wait.
    const auto taken_back = [&] {
      const auto now = ours();
      return confirmed_finalized && now && *now != *confirmed_finalized && now->number <= confirmed_finalized->number;
    };
    const auto lost = [&](const contract::SourceTrouble& t) {
      caf::anon_send(to, remote_atom{}, lost_atom{}, TroublePtr{std::make_shared<const contract::SourceTrouble>(t)});
    };
    bool spoke = false;
    std::optional<Hash32> head;
    absl::Time look = absl::InfinitePast();
    const absl::Status why = config.fetcher->watch(
        confirmed_finalized,
        [&](const contract::HeadSnapshot& s) {
          spoke = true;
          const absl::Time now = steady_now();
          if (s.unsafe && head != s.unsafe->hash) {
            head = s.unsafe->hash;
            look = now + config.limits.head_age / 2;
          } else if (now >= look) {
            look = now + kSourcesEvery;
            if (auto sources = config.fetcher->sources(); sources.ok())
              caf::anon_send(to, remote_atom{},
                             SourcesPtr{std::make_shared<const std::vector<Witness::OtherHead>>(*std::move(sources))});
          }
          caf::anon_send(to, remote_atom{}, SnapshotPtr{std::make_shared<const contract::HeadSnapshot>(s)});
        },
        [&](const contract::SourceTrouble& t) {
          spoke = true;
          lost(t);
        },
        taken_back);
    if (config.board->stopped()) return;
    // The watch ends by itself when its confirmed_finalized is old; that is no loss.
    if (!why.ok() && (!absl::IsDeadlineExceeded(why) || !spoke)) {
      lost({"no_heads", absl::StrCat("no heads from the remote-fetcher: ", why.message())});
      self->delayed_send(self, kWatchAgain, watch_atom{});
    } else {
      self->send(self, watch_atom{});
    }
  }};
}

watcher_actor::behavior_type gossip_watcher(watcher_actor::pointer self, tow_actor to, const TowConfig& config) {
  guard(self, "gossip_watcher");
  self->send(self, watch_atom{});
  auto said = std::make_shared<bool>(false);
  return {[=](watch_atom) {
    const auto gauge = config.metrics->gauge("towline_coordinator_gossip_connected",
                                             "1: p2p-gossip streams its blocks.", {{"driver", config.driver_name}});
    const absl::Status why = config.gossip->watch([&](const std::optional<eth::BlockRef>& b) {
      auto connected = gauge;
      connected.set(1);
      *said = false;
      caf::anon_send(to, gossip_atom{}, BlockPtr{std::make_shared<const std::optional<eth::BlockRef>>(b)});
    });
    if (config.board->stopped()) return;
    auto disconnected = gauge;
    disconnected.set(0);
    caf::anon_send(to, gossip_atom{}, lost_atom{});
    // Said once each time: a stack without p2p is in order, too.
    if (!*said) log::info("no blocks from p2p-gossip, trying on", {log::kv("why", std::string{why.message()})});
    *said = true;
    self->delayed_send(self, kWatchAgain, watch_atom{});
  }};
}

}  // namespace

Tow::Tow(caf::actor_system& system, TowConfig config)
    : config_{std::move(config)},
      tow_{system.spawn(tow, config_)},
      driver_watcher_{system.spawn<caf::detached>(driver_watcher, tow_, config_)},
      head_watcher_{system.spawn<caf::detached>(head_watcher, tow_, config_)} {
  if (config_.gossip != nullptr) gossip_watcher_ = system.spawn<caf::detached>(gossip_watcher, tow_, config_);
}

void Tow::pause(const std::string& reason) { caf::anon_send(tow_, pause_atom{}, reason); }
void Tow::resume() { caf::anon_send(tow_, resume_atom{}); }

void Tow::join(caf::actor_system& system) {
  caf::scoped_actor self{system};
  self->send_exit(driver_watcher_, caf::exit_reason::user_shutdown);
  self->send_exit(head_watcher_, caf::exit_reason::user_shutdown);
  self->send_exit(tow_, caf::exit_reason::user_shutdown);
  self->wait_for(driver_watcher_, head_watcher_, tow_);
  if (gossip_watcher_) {
    self->send_exit(*gossip_watcher_, caf::exit_reason::user_shutdown);
    self->wait_for(*gossip_watcher_);
  }
}

}  // namespace towline::coordinator
