#include "services/p2p-gossip/actors/validator.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/hex.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::gossip {

using gossip_block::Failure;

p2p::Gossipsub::Verdict validation_result(gossip_block::Result result) {
  switch (result) {
    case gossip_block::Result::accept: return p2p::Gossipsub::Verdict::accept;
    case gossip_block::Result::ignore: return p2p::Gossipsub::Verdict::ignore;
    case gossip_block::Result::reject: break;
  }
  return p2p::Gossipsub::Verdict::reject;
}

Validator::Validator(caf::actor_system& system, const rollup::Config& config, gossip_block::Options options,
                     block_store_actor store, Metrics& metrics, std::function<void(bool)> suspend_penalties)
    : config_{config},
      options_{options},
      store_{std::move(store)},
      metrics_{metrics},
      suspend_penalties_{std::move(suspend_penalties)},
      doubt_{absl::Seconds(config.block_time)} {
  // One of them may have a block of 10 MiB in hand.
  for (int i = 0; i < 2; ++i) {
    actors_.push_back(system.spawn([this](validator_actor::pointer self) -> validator_actor::behavior_type {
      guard(self, "validator");
      return {[this](validate_atom, const ValidationJobPtr& job) { run(*job); }};
    }));
  }
}

void Validator::submit(ValidationJob job) {
  std::size_t i = 0;
  {
    std::lock_guard lock{mutex_};
    i = next_++ % actors_.size();
  }
  caf::anon_send(actors_[i], validate_atom{}, ValidationJobPtr{std::make_shared<const ValidationJob>(std::move(job))});
}

void Validator::set_signer(const Address& signer) {
  std::lock_guard lock{mutex_};
  signers_.set(signer, absl::Now());
}

void Validator::set_clock(std::optional<absl::Duration> ahead_of_sources) {
  std::lock_guard lock{mutex_};
  const std::string before = doubt_.reason();
  doubt_.on_sources(ahead_of_sources);
  obey_doubt(before);
}

void Validator::obey_doubt(const std::string& before) {
  const std::string& now = doubt_.reason();
  if (now.empty() == before.empty()) return;
  suspend_penalties_(!now.empty());
  metrics_
      .gauge("towline_gossip_penalties_suspended", "1: what we refuse may be our own mistake (clock, signer, forks).")
      .set(now.empty() ? 0 : 1);
  if (now.empty()) {
    log::info("peers are judged again");
  } else {
    log::error("it may be our mistake that blocks are refused: no peer is punished meanwhile", {log::kv("why", now)});
  }
}

std::vector<Address> Validator::signers() const {
  std::lock_guard lock{mutex_};
  return signers_.accepted(absl::Now());
}

std::string Validator::doubt() const {
  std::lock_guard lock{mutex_};
  return doubt_.reason();
}

bool Validator::unknown_fork_at(absl::Time t) const {
  const auto now = static_cast<std::uint64_t>(absl::ToUnixSeconds(t));
  return std::any_of(config_.unknown_forks.begin(), config_.unknown_forks.end(),
                     [&](const auto& f) { return f.second <= now; });
}

void Validator::run(const ValidationJob& job) {
  const absl::Time now = absl::Now();
  auto c = gossip_block::check(config_, options_, job.version, job.body.get(), signers(), job.received);
  // How a block looks from an unknown fork on we cannot judge.
  bool ours = gossip_block::is_of_form(c.rule) && unknown_fork_at(job.received);
  {
    std::lock_guard lock{mutex_};
    if (c.rule == Failure::none)
      c.rule = seen_[static_cast<std::size_t>(job.version) - 1].admit({c.payload->number, c.payload->block_hash});
    const std::string before = doubt_.reason();
    if (c.rule == Failure::none) {
      signers_.on_block_of(*c.signer);
      doubt_.on_good_block(c.payload->timestamp, job.received, c.payload->blob_gas_used.value_or(0) != 0);
    } else {
      ours |= doubt_.on_result(c.rule, c.signer, c.payload ? c.payload->timestamp : 0, job.received);
    }
    obey_doubt(before);
  }
  metrics_
      .counter("towline_gossip_blocks_total", "Blocks of the network by the first rule that they break; none: good.",
               {{"rule", gossip_block::name(c.rule)}})
      .inc();
  if (c.rule == Failure::none) {
    metrics_
        .histogram("towline_gossip_validation_seconds", "From the last byte of a message to its validation result.",
                   {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5})
        .observe(absl::ToDoubleSeconds(now - job.received));
    metrics_
        .histogram("towline_gossip_block_age_seconds", "From a block's own time to its arrival.",
                   {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 60})
        .observe(absl::ToDoubleSeconds(job.received -
                                       absl::FromUnixSeconds(static_cast<std::int64_t>(c.payload->timestamp))));
    caf::anon_send(
        store_, block_atom{},
        std::make_shared<const ValidBlock>(ValidBlock{c.payload, *c.signer, c.signature, job.received, job.peer}));
    log::debug("block", {log::kv("block", c.payload->ref().id()), log::kv("peer", job.peer)});
  } else if (gossip_block::result_of(c.rule) == gossip_block::Result::reject) {
    log::debug("block refused",
               {log::kv("rule", gossip_block::name(c.rule)), log::kv("why", c.why), log::kv("peer", job.peer)});
  }
  const auto result = gossip_block::result_of(c.rule);
  job.done(c, ours ? gossip_block::Result::ignore : result);
}

void Validator::join(caf::actor_system& system) {
  caf::scoped_actor self{system};
  for (auto& a : actors_) {
    self->send_exit(a, caf::exit_reason::user_shutdown);
    self->wait_for(a);
  }
  actors_.clear();
}

}  // namespace towline::gossip
