#include "services/engine-driver/actors/monitor.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::driver {
namespace {
constexpr auto kEvery = std::chrono::milliseconds{500};
}

monitor_actor::behavior_type MonitorState::make_behavior(MonitorConfig config) {
  config_ = config;
  self_->send(self_, look_atom{});
  return {[this](look_atom) {
    if (config_.board->stopped()) return;
    look();
    self_->delayed_send(self_, kEvery, look_atom{});
  }};
}

absl::Status MonitorState::identify() {
  auto id = config_.engine->chain_id();
  if (!id.ok()) return id.status();
  const rollup::Config& c = *config_.rollup;
  if (*id != c.l2_chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("wrong chain: the EL has chain id ", *id, ", the rollup config says ", c.l2_chain_id));
  }
  auto genesis = config_.engine->block_by_number(c.l2_genesis.number);
  if (!genesis.ok()) return genesis.status();
  if (!*genesis) {
    // An EL that keeps no block that old cannot be asked; its chain id has to do.
    log::warn("the EL has no block at the L2 genesis height, its genesis was not compared",
              {log::kv("number", c.l2_genesis.number)});
    return absl::OkStatus();
  }
  if ((*genesis)->hash != c.l2_genesis.hash) {
    return absl::FailedPreconditionError(absl::StrCat("wrong genesis: the EL has ", eth::to_string(**genesis),
                                                      ", the rollup config says ", eth::to_string(c.l2_genesis),
                                                      "; initialise the EL with this chain's genesis"));
  }
  return absl::OkStatus();
}

absl::Status MonitorState::check_confirmed_finalized() {
  const auto confirmed_finalized = config_.board->get().confirmed_finalized;
  if (!confirmed_finalized) return absl::OkStatus();
  auto there = config_.engine->block_by_number(confirmed_finalized->number);
  if (!there.ok()) return there.status();
  return compare_confirmed_finalized(*confirmed_finalized, *there);
}

void MonitorState::check_capabilities(const std::vector<std::string>& has) {
  // For a warning only: clients list what they were compiled with, whatever the fork, and some list nothing.
  if (has.empty()) return;
  const int version =
      rollup::new_payload_version(*config_.rollup, static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now())));
  for (const std::string& method :
       {absl::StrCat("engine_newPayloadV", version), std::string{"engine_forkchoiceUpdatedV3"}}) {
    if (std::find(has.begin(), has.end(), method) == has.end()) {
      log::warn("the EL does not list a method that this chain's fork asks for: is it too old?",
                {log::kv("method", method)});
    }
  }
}

void MonitorState::look() {
  const auto fail = [&](contract::EngineStatus status, const absl::Status& why) {
    if (config_.board->stopped()) return;
    const contract::EngineState before = config_.board->get();
    if (before.status != status) log::warn("the EL cannot be used", {log::kv("why", why)});
    if (status == contract::EngineStatus::unreachable) lost_ = true;
    config_.board->update([&](contract::EngineState& s) {
      s.status = status;
      s.reason = std::string{why.message()};
    });
  };
  const contract::EngineState was = config_.board->get();
  if (was.status == contract::EngineStatus::state_not_saved) {
    if (auto st = config_.file->check(); !st.ok())
      return fail(contract::EngineStatus::state_not_saved,
                  absl::UnavailableError(absl::StrCat("engine-driver's own state cannot be saved: ", st.message())));
    log::info("the state can be saved again");
  }
  const auto status_of = [](const absl::Status& s) {
    if (absl::IsUnauthenticated(s)) return contract::EngineStatus::auth_failed;
    return absl::IsFailedPrecondition(s) ? contract::EngineStatus::wrong_chain : contract::EngineStatus::unreachable;
  };
  if (!identified_ || lost_) {
    if (auto st = identify(); !st.ok()) return fail(status_of(st), st);
  }
  std::vector<std::string> capabilities;
  if (!identified_ || lost_) {
    auto has = config_.engine->capabilities();
    if (absl::IsFailedPrecondition(has.status())) return fail(contract::EngineStatus::not_an_engine, has.status());
    if (!has.ok()) return fail(status_of(has.status()), has.status());
    capabilities = *std::move(has);
  }
  const auto [writes, commanded] = config_.board->writes();
  auto labels = config_.engine->labels();
  if (!labels.ok()) return fail(status_of(labels.status()), labels.status());
  const bool fresh = !identified_ || lost_;
  const bool lower = was.labels.unsafe && labels->unsafe->number < was.labels.unsafe->number;
  if (fresh || lower || was.status == contract::EngineStatus::contradicts_finalized) {
    if (auto st = check_confirmed_finalized(); !st.ok()) {
      if (!absl::IsFailedPrecondition(st)) return fail(status_of(st), st);
      // Who is right is asked for what it shows.
      config_.board->update([&](contract::EngineState& s) { s.labels = *labels; });
      return fail(contract::EngineStatus::contradicts_finalized, st);
    }
  }
  if (config_.board->writes().first == writes) foreign_.on_look(*labels->unsafe, writes, commanded, steady_now());
  if (foreign_.driven(steady_now())) {
    config_.board->update([&](contract::EngineState& s) { s.labels = *labels; });
    return fail(
        contract::EngineStatus::driven_elsewhere,
        absl::FailedPreconditionError("the EL's head moves without this engine-driver: another consensus client "
                                      "drives it, or another engine-driver. Stop one of the two"));
  }
  identified_ = true;
  std::string version;
  if (fresh) version = config_.engine->client_version();
  config_.board->update([&](contract::EngineState& s) {
    // A head below the last one without an import of ours: it was restarted between two looks, or someone else writes
    // to it.
    const bool went_back = s.labels.unsafe && !s.import && labels->unsafe->number < s.labels.unsafe->number;
    s.labels = *labels;
    if (fresh) s.client_version = version;
    if (fresh || went_back) ++s.engine_session;
    // What the writer has found out meanwhile stays.
    const bool kept = s.status != was.status && !contract::may_be_written_to(s.status);
    if (!kept && (fresh || went_back ||
                  (s.status != contract::EngineStatus::syncing && s.status != contract::EngineStatus::invalid))) {
      s.status = contract::EngineStatus::ready;
      s.reason.clear();
    }
  });
  if (fresh) {
    check_capabilities(capabilities);
    log::info("the EL is there",
              {log::kv("client", version), log::kv("head", labels->unsafe->id()), log::kv("was_lost", lost_)});
  }
  lost_ = false;
  auto& m = *config_.metrics;
  const auto number = [&](const char* label, const std::optional<eth::BlockRef>& b) {
    m.gauge("towline_driver_head_block_number", "Block numbers of the EL's labels.", {{"label", label}})
        .set(b ? static_cast<double>(b->number) : 0);
  };
  number("unsafe", labels->unsafe);
  number("safe", labels->safe);
  number("finalized", labels->finalized);
}

monitor_actor::behavior_type monitor(monitor_actor::stateful_pointer<MonitorState> self, MonitorConfig config) {
  guard(self, "monitor");
  return self->state.make_behavior(config);
}

}  // namespace towline::driver
