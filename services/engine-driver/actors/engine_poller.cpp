#include "services/engine-driver/actors/engine_poller.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::driver {
namespace {

using contract::EngineStatus;

/// An EL that answers slowly rests as long as a look took, but no longer than this.
constexpr absl::Duration kLongestRest = absl::Milliseconds(500);

/// Compares the chain id and the genesis block.
absl::Status identify(EngineClient& engine, const rollup::Config& c) {
  auto id = engine.chain_id();
  if (!id.ok()) return id.status();
  if (*id != c.l2_chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("wrong chain: the EL has chain id ", *id, ", the rollup config says ", c.l2_chain_id));
  }
  auto genesis = engine.block_by_number(c.l2_genesis.number);
  if (!genesis.ok()) return genesis.status();
  if (!*genesis) {
    // An EL without such old blocks cannot be compared; the chain id has to suffice.
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

/// OK if the EL has the confirmed finalized block, or no block at that height yet.
absl::Status compare(EngineClient& engine, const eth::BlockId& confirmed_finalized) {
  auto there = engine.block_by_number(confirmed_finalized.number);
  if (!there.ok()) return there.status();
  return compare_confirmed_finalized(confirmed_finalized, *there);
}

EngineStatus status_of(const absl::Status& s) {
  if (absl::IsUnauthenticated(s)) return EngineStatus::auth_failed;
  return absl::IsFailedPrecondition(s) ? EngineStatus::wrong_chain : EngineStatus::unreachable;
}

Look take_look(const EnginePollerConfig& c, const LookPlan& plan) {
  Look look;
  look.plan = plan;
  look.began = steady_now();
  const auto failed = [&](EngineStatus status, const absl::Status& why) {
    look.failure.emplace(status, why);
    return look;
  };
  if (plan.try_disk) {
    if (auto st = c.file->check(); !st.ok())
      return failed(EngineStatus::state_not_saved,
                    absl::UnavailableError(absl::StrCat("engine-driver's own state cannot be saved: ", st.message())));
    log::info("the state can be saved again");
  }
  if (plan.identify) {
    if (auto st = identify(*c.engine, *c.rollup); !st.ok()) return failed(status_of(st), st);
    auto has = c.engine->capabilities();
    if (absl::IsFailedPrecondition(has.status())) return failed(EngineStatus::not_an_engine, has.status());
    if (!has.ok()) return failed(status_of(has.status()), has.status());
    look.capabilities = *std::move(has);
  }
  auto labels = c.engine->labels();
  if (!labels.ok()) return failed(status_of(labels.status()), labels.status());
  look.labels = *labels;
  const bool lower = plan.head && labels->unsafe->number < *plan.head;
  if (plan.confirmed_finalized && (plan.compare || lower)) {
    if (auto st = compare(*c.engine, *plan.confirmed_finalized); !st.ok())
      return failed(absl::IsFailedPrecondition(st) ? EngineStatus::contradicts_finalized : status_of(st), st);
  }
  if (plan.identify) look.client_version = c.engine->client_version();
  if (plan.syncing) look.syncing = c.engine->syncing();
  if (plan.peers) look.peers = c.engine->peer_count();
  return look;
}

void warn_of_missing_methods(const Look& look, const rollup::Config& rollup) {
  // Only a warning: clients list the methods they were compiled with, whatever the fork, and some list none.
  const auto& has = look.capabilities;
  if (has.empty()) return;
  const int version = rollup::new_payload_version(rollup, static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now())));
  for (const std::string& method :
       {absl::StrCat("engine_newPayloadV", version), std::string{"engine_forkchoiceUpdatedV3"}}) {
    if (std::find(has.begin(), has.end(), method) == has.end()) {
      log::warn("the EL does not list a method that this chain's fork asks for: is it too old?",
                {log::kv("method", method)});
    }
  }
}

void show(const contract::Labels& labels, Metrics& m) {
  for (const auto& [label, block] :
       {std::pair{"unsafe", &labels.unsafe}, {"safe", &labels.safe}, {"finalized", &labels.finalized}}) {
    m.gauge("towline_driver_head_block_number", "Block numbers of the EL's labels.", {{"label", label}})
        .set(*block ? static_cast<double>((*block)->number) : 0);
  }
}

}  // namespace

engine_poller_actor::behavior_type engine_poller(engine_poller_actor::pointer self, EnginePollerConfig config) {
  guard(self, "engine_poller");
  self->send(self, tick_atom{});
  return {[self, config = std::move(config)](tick_atom) {
    self->request(config.writer, caf::infinite, plan_atom{})
        .then(
            [self, config](const LookPlanPtr& plan) {
              auto look = std::make_shared<const Look>(take_look(config, *plan));
              if (!look->failure) {
                warn_of_missing_methods(*look, *config.rollup);
                show(*look->labels, *config.metrics);
              }
              const absl::Duration took = steady_now() - look->began;
              const absl::Duration rest = std::max(plan->next_in - took, std::min(took, kLongestRest));
              self->send(config.writer, look_atom{}, std::move(look));
              self->delayed_send(self, absl::ToChronoMilliseconds(rest), tick_atom{});
            },
            [](const caf::error& e) { end_process("writer", to_string(e)); });
  }};
}

}  // namespace towline::driver
