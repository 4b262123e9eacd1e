#include "services/p2p-gossip/actors/judge.hpp"

#include <absl/time/clock.h>

#include <algorithm>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::gossip {

using gossip_block::Failure;
using gossip_block::Result;

judge_actor::behavior_type judge_state::make_behavior(JudgeConfig config) {
  config_ = std::move(config);
  signers_ = config_.view->get()->signers;
  doubt_.emplace(absl::Seconds(config_.rollup->block_time));
  good_ = counter(Failure::none);
  validation_ = config_.metrics->histogram("towline_gossip_validation_seconds",
                                           "From the last byte of a message to its validation result.",
                                           {0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5});
  age_ = config_.metrics->histogram("towline_gossip_block_age_seconds", "From a block's own time to its arrival.",
                                    {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 60});
  return {[this](checked_atom, const CheckedJobPtr& j) { on_checked(*j); },
          [this](signer_atom, const AddressPtr& signer) {
            signers_.set(*signer, absl::Now());
            publish();
          },
          [this](clock_atom, const ClockPtr& ahead) {
            doubt_->on_sources(*ahead);
            publish();
          }};
}

void judge_state::on_checked(CheckedJob& j) {
  gossip_block::Checked& c = j.checked;
  const ValidationJob& job = *j.job;
  // From an unknown fork on, the form of a block cannot be judged.
  bool ours = gossip_block::is_of_form(c.rule) && unknown_fork_at(job.received);
  if (c.rule == Failure::none)
    c.rule = seen_[static_cast<std::size_t>(job.version) - 1].admit({c.payload->number, c.payload->block_hash});
  // The block goes to the store first, because watchers wait for it.
  if (c.rule == Failure::none) {
    self_->send(config_.store, block_atom{},
                ValidBlockPtr{std::make_shared<const ValidBlock>(
                    ValidBlock{c.payload, *c.signer, c.signature, job.received, job.peer})});
    signers_.on_block_of(*c.signer);
    doubt_->on_good_block(c.payload->timestamp, job.received, c.payload->blob_gas_used.value_or(0) != 0);
  } else {
    ours |= doubt_->on_result(c.rule, c.signer, c.payload ? c.payload->timestamp : 0, job.received);
  }
  publish();
  const absl::Time now = absl::Now();
  job.done(c, ours ? Result::ignore : gossip_block::result_of(c.rule));
  measure(j, now);
}

bool judge_state::unknown_fork_at(absl::Time t) const {
  const auto now = static_cast<std::uint64_t>(absl::ToUnixSeconds(t));
  const auto& forks = config_.rollup->unknown_forks;
  return std::any_of(forks.begin(), forks.end(), [&](const auto& f) { return f.second <= now; });
}

void judge_state::publish() {
  const auto before = config_.view->get();
  const std::string& now = doubt_->reason();
  if (before->signers == signers_ && before->doubt == now) return;
  config_.view->set({signers_, now});
  if (now.empty() == before->doubt.empty()) return;
  config_.suspend_penalties(!now.empty());
  config_.metrics
      ->gauge("towline_gossip_penalties_suspended", "1: what we refuse may be our own mistake (clock, signer, forks).")
      .set(now.empty() ? 0 : 1);
  if (now.empty()) {
    log::info("peers are judged again");
  } else {
    log::error("it may be our mistake that blocks are refused: no peer is punished meanwhile", {log::kv("why", now)});
  }
}

Metrics::Counter judge_state::counter(Failure rule) const {
  return config_.metrics->counter("towline_gossip_blocks_total",
                                  "Blocks of the network by the first rule that they break; none: good.",
                                  {{"rule", gossip_block::name(rule)}});
}

void judge_state::measure(const CheckedJob& j, absl::Time now) {
  const gossip_block::Checked& c = j.checked;
  const ValidationJob& job = *j.job;
  (c.rule == Failure::none ? good_ : counter(c.rule)).inc();
  if (c.rule == Failure::none) {
    validation_.observe(absl::ToDoubleSeconds(now - job.received));
    age_.observe(
        absl::ToDoubleSeconds(job.received - absl::FromUnixSeconds(static_cast<std::int64_t>(c.payload->timestamp))));
    log::debug("block", {log::kv("block", c.payload->ref().id()), log::kv("peer", job.peer)});
  } else if (gossip_block::result_of(c.rule) == Result::reject) {
    log::debug("block refused",
               {log::kv("rule", gossip_block::name(c.rule)), log::kv("why", c.why), log::kv("peer", job.peer)});
  }
}

judge_actor::behavior_type judge(judge_actor::stateful_pointer<judge_state> self, JudgeConfig config) {
  guard(static_cast<judge_actor::pointer>(self), "judge");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::gossip
