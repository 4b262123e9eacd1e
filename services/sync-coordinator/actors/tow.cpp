#include "services/sync-coordinator/actors/tow.hpp"

#include <algorithm>
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

/// Decisions are written to disk at most this often.
constexpr absl::Duration kSaveEvery = absl::Seconds(5);
/// How soon the absence of events is noticed.
constexpr auto kTick = std::chrono::seconds{1};

}  // namespace

tow_impl::behavior_type tow_state::make_behavior(TowConfig config) {
  config_.emplace(std::move(config));
  machine_.emplace(config_->options);
  witness_.emplace(config_->asks_gossip);
  self_->set_exit_handler([this](const caf::exit_msg& m) {
    save();
    self_->quit(m.reason);
  });
  // All counters exist from the start: an increase() over a counter misses the increment that creates it.
  for (const ActionText& a : kActions) decisions_total(a.action);
  ready_ =
      config_->metrics->gauge("towline_coordinator_ready", "1: head, safe and finalized follow a source that moves.",
                              {{"driver", config_->driver_name}});
  if (config_->decisions) {
    auto kept = load_decisions(config_->decisions->path());
    if (!kept.ok()) log::warn("earlier decisions are lost", {log::kv("why", kept.status())});
    else machine_->restore(*std::move(kept));
    if (!machine_->decisions().empty()) last_decision_ = machine_->decisions().back().sequence;
    self_->send(config_->hub, decide_atom{}, config_->index,
                std::make_shared<const std::deque<Decision>>(machine_->decisions()));
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
      [this](done_atom, const CommandDonePtr& c) { apply(machine_->on_command_done(c->id, c->result, steady_now())); },
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
      [this](stop_atom) { stopped_ = true; },
      [this](tick_atom) {
        self_->delayed_send(self_, kTick, tick_atom{});
        publish();
        measure();
        if (steady_now() - saved_ >= kSaveEvery) save();
      },
  };
}

Metrics::Counter tow_state::decisions_total(Action action) {
  return config_->metrics->counter("towline_coordinator_decisions_total", "Decisions by action.",
                                   {{"driver", config_->driver_name}, {"action", std::string{text(action)}}});
}

void tow_state::save() {
  if (!unsaved_ || !config_->decisions) return;
  unsaved_ = false;
  saved_ = steady_now();
  config_->decisions->keep(encode_decisions(machine_->decisions()));
}

void tow_state::apply(std::optional<Effect> effect) {
  if (stopped_) return;
  if (effect) std::visit([this](const auto& e) { carry_out(e); }, *effect);
  if (const absl::Time at = machine_->next_wake(); at != absl::InfiniteFuture()) {
    self_->delayed_send(
        self_, std::chrono::milliseconds{std::max<std::int64_t>(1, absl::ToInt64Milliseconds(at - steady_now()) + 1)},
        wake_atom{}, ++alarm_);
  }
  publish();
}

void tow_state::publish() {
  const Follower& m = *machine_;
  const absl::Time now = steady_now();
  const Facts facts = witness_->facts(m, now);
  const TowReadiness v = readiness_of(facts, config_->limits, now);
  const TowState state_now = v.state;
  if (since_ == absl::InfinitePast()) since_ = now;
  if (state_now != shown_) {
    since_ = now;
    const bool alarm = state_now == TowState::diverged || state_now == TowState::needs_operator ||
                       state_now == TowState::unknown_rules;
    const auto line = alarm ? log::error : log::info;
    line("state", {log::kv("driver", config_->driver_name), log::kv("state", coordinator::name(state_now)),
                   log::kv("was", coordinator::name(shown_)), log::kv("reason", v.reason)});
    const auto state = [&](TowState s, double on) {
      config_->metrics
          ->gauge("towline_coordinator_state", "1 for the state that the tow is in.",
                  {{"driver", config_->driver_name}, {"state", coordinator::name(s)}})
          .set(on);
    };
    state(shown_, 0);
    state(state_now, 1);
    shown_ = state_now;
  }
  ready_.set(v.ready ? 1 : 0);
  self_->send(config_->hub, view_atom{}, config_->index,
              std::make_shared<const TowView>(
                  TowView{config_->driver_name,
                          v,
                          since_,
                          m.local(),
                          m.remote(),
                          m.target(),
                          m.distance(),
                          facts.source_heard,
                          m.diverged_remote(),
                          m.term(),
                          {coordinator::name(m.start().mode()), m.start().way(), m.start().reason()}}));
  if (m.decided() != decided_) {
    decided_ = m.decided();
    for (const Decision& d : m.decisions()) {
      if (d.sequence <= last_decision_) continue;
      log::info("decision", {log::kv("driver", config_->driver_name), log::kv("action", std::string{text(d.action)}),
                             log::kv("reason", d.reason)});
      decisions_total(d.action).inc();
    }
    unsaved_ = unsaved_ || m.decisions().back().sequence != last_decision_;
    last_decision_ = m.decisions().back().sequence;
    self_->send(config_->hub, decide_atom{}, config_->index,
                std::make_shared<const std::deque<Decision>>(m.decisions()));
  }
}

void tow_state::measure() {
  const Follower& m = *machine_;
  auto& metrics = *config_->metrics;
  metrics
      .gauge("towline_coordinator_distance_blocks", "Blocks to the target; NaN: not known.",
             {{"driver", config_->driver_name}})
      .set(m.distance() ? static_cast<double>(*m.distance()) : std::numeric_limits<double>::quiet_NaN());
  const auto number = [&](const char* side, const char* label, const std::optional<eth::BlockRef>& b) {
    metrics
        .gauge("towline_coordinator_head_block_number", "Heads on both sides.",
               {{"driver", config_->driver_name}, {"side", side}, {"label", label}})
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
  for (const char* way : {"import", "elsync", "snapshot"}) {
    metrics
        .gauge("towline_coordinator_sync_start", "1 for the way in which an EL gets to the source's head that is far.",
               {{"driver", config_->driver_name}, {"way", way}})
        .set(m.start().way() == way ? 1 : 0);
  }
  metrics
      .gauge("towline_coordinator_el_sync_block_number",
             "The block at which a sync of the EL's own is; 0: there is none.", {{"driver", config_->driver_name}})
      .set(m.local() && m.local()->el_sync ? static_cast<double>(m.local()->el_sync->current) : 0);
  metrics
      .gauge("towline_coordinator_last_reorg_depth_blocks", "Depth of the last switch of branches.",
             {{"driver", config_->driver_name}})
      .set(static_cast<double>(m.last_reorg_depth()));
  metrics
      .gauge("towline_coordinator_last_walkback_rounds", "Round trips of the last search for a common block.",
             {{"driver", config_->driver_name}})
      .set(m.last_walkback_rounds());
}

Done<contract::CommandResult> tow_state::answer_to(std::uint64_t id) {
  return [me = tow_impl{self_}, id](absl::StatusOr<contract::CommandResult> r) {
    caf::anon_send(me, done_atom{}, std::make_shared<const CommandDone>(CommandDone{id, std::move(r)}));
  };
}

void tow_state::carry_out(const Compare& c) {
  using Blocks = absl::StatusOr<std::vector<eth::BlockRef>>;
  const auto ask_ours = [me = tow_impl{self_}, driver = config_->driver, c](Blocks remote) {
    driver->canonical_blocks(c.numbers, [me, id = c.id, remote = std::move(remote)](Blocks local) {
      caf::anon_send(me, done_atom{}, std::make_shared<const Compared>(Compared{id, remote, std::move(local)}));
    });
  };
  // The source, which may be far, is asked first. The EL is asked after it, so that its answer is recent.
  if (c.ours_only) ask_ours(Blocks{std::vector<eth::BlockRef>{}});
  else config_->fetcher->headers(c.numbers, c.endpoint, ask_ours);
}
void tow_state::carry_out(const Import& e) { config_->driver->import(e, answer_to(e.id)); }
void tow_state::carry_out(const SetForkchoice& e) { config_->driver->set_forkchoice(e, answer_to(e.id)); }
void tow_state::carry_out(const Rewind& e) { config_->driver->rewind(e, answer_to(e.id)); }
void tow_state::carry_out(const StartElSync& e) { config_->driver->start_el_sync(e, answer_to(e.id)); }

tow_impl::behavior_type tow(tow_impl::stateful_pointer<tow_state> self, TowConfig config) {
  guard(static_cast<tow_impl::pointer>(self), "tow");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::coordinator
