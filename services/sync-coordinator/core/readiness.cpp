#include "services/sync-coordinator/core/readiness.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::coordinator {
namespace {

/// engine-driver sends its state once a second.
constexpr absl::Duration kDriverSilent = absl::Seconds(10);

std::string seconds(absl::Duration d) { return absl::StrCat(absl::ToInt64Seconds(d), " s"); }

}  // namespace

std::optional<TowReadiness> engine_trouble(contract::EngineStatus status, const std::string& reason) {
  switch (status) {
    case contract::EngineStatus::starting:
      return TowReadiness{TowState::starting, ReasonCode::starting, "waiting for the EL's first answer", false};
    case contract::EngineStatus::unreachable:
      return TowReadiness{TowState::waiting_for_engine, ReasonCode::engine_unreachable, reason, false};
    case contract::EngineStatus::auth_failed:
      return TowReadiness{TowState::waiting_for_engine, ReasonCode::engine_auth_failed, reason, false};
    case contract::EngineStatus::wrong_chain:
      return TowReadiness{TowState::needs_operator, ReasonCode::engine_wrong_chain, reason, false};
    case contract::EngineStatus::not_an_engine:
      return TowReadiness{TowState::needs_operator, ReasonCode::engine_is_ordinary_rpc, reason, false};
    case contract::EngineStatus::driven_elsewhere:
      return TowReadiness{TowState::needs_operator, ReasonCode::engine_driven_elsewhere, reason, false};
    case contract::EngineStatus::contradicts_finalized:
      return TowReadiness{TowState::diverged, ReasonCode::engine_contradicts_finalized, reason, false};
    case contract::EngineStatus::state_not_saved:
      return TowReadiness{TowState::needs_operator, ReasonCode::state_not_saved, reason, false};
    case contract::EngineStatus::ready:
    case contract::EngineStatus::syncing:
    case contract::EngineStatus::invalid: break;
  }
  return std::nullopt;
}

TowReadiness readiness_of(const Facts& f, const Limits& limits, absl::Time now) {
  const auto not_ready = [](TowState s, ReasonCode code, std::string reason) {
    return TowReadiness{s, code, std::move(reason), false};
  };
  if (f.state == TowState::paused || f.code == ReasonCode::superseded) return {f.state, f.code, f.reason, false};
  // In these states the follower may be waiting for an answer, and notices nothing else.
  const bool follows = f.state == TowState::at_tip || f.state == TowState::importing ||
                       f.state == TowState::walking_back || f.state == TowState::el_syncing;
  if (!f.engine && follows)
    return not_ready(TowState::waiting_for_engine, ReasonCode::driver_unreachable, "engine-driver does not answer");
  if (f.engine) {
    if (now - f.driver_heard > kDriverSilent)
      return not_ready(TowState::waiting_for_engine, ReasonCode::driver_unreachable,
                       absl::StrCat("engine-driver has been silent for ", seconds(now - f.driver_heard)));
    if (auto trouble = engine_trouble(*f.engine, f.engine_reason)) return *std::move(trouble);
  }
  if (follows && f.source_head && now - f.source_heard > limits.head_age)
    return not_ready(TowState::waiting_for_source, ReasonCode::source_silent,
                     absl::StrCat("no news of the source for ", seconds(now - f.source_heard)));
  if (f.state != TowState::at_tip) return {f.state, f.code, f.reason, false};

  // The follower reports AT_TIP. The checks below look for what it cannot see.
  if (!f.source_head) {
    if (f.code == ReasonCode::gossip_only) return {TowState::waiting_for_source, f.code, f.reason, false};
    return not_ready(TowState::waiting_for_source, ReasonCode::no_heads, "the source gives no heads");
  }
  if (f.engine != contract::EngineStatus::ready)
    return not_ready(TowState::waiting_for_engine, ReasonCode::engine_not_valid, f.engine_reason);
  if (!f.labels_set)
    return not_ready(f.source_labels_set ? TowState::waiting_for_engine : TowState::waiting_for_source,
                     ReasonCode::labels_unset,
                     f.source_labels_set ? "the EL shows no safe or no finalized block"
                                         : "the source has no safe or no finalized block yet");
  if (!f.distance)
    return not_ready(TowState::waiting_for_source, ReasonCode::no_target, "how far the chain is, is not known");
  if (*f.distance > limits.blocks)
    return not_ready(TowState::importing, ReasonCode::behind, absl::StrCat(*f.distance, " blocks behind"));
  if (const absl::Duration still = now - f.source_moved; still > limits.head_age) {
    const std::string stands = absl::StrCat("the source stands at block ", *f.source_head, " for ", seconds(still));
    if (f.highest_elsewhere > *f.source_head)
      return not_ready(TowState::waiting_for_source, ReasonCode::source_stale,
                       absl::StrCat(stands, ", block ", f.highest_elsewhere, " was seen elsewhere"));
    if (f.sources_at_head >= 2 && f.gossip.value_or(true))
      return {TowState::waiting_for_source, ReasonCode::chain_halted,
              absl::StrCat("the chain stands still: ", f.sources_at_head, " sources",
                           f.gossip ? " and the p2p network" : "", " have nothing above block ", *f.source_head,
                           " for ", seconds(still)),
              true};
    return not_ready(TowState::waiting_for_source, ReasonCode::source_stale,
                     absl::StrCat(stands, ", and ",
                                  f.sources_at_head < 2 ? "no second source says that the chain does"
                                                        : "p2p-gossip is not there to say that the chain does"));
  }
  if (now - f.labels_wait > limits.head_age)
    return not_ready(
        TowState::waiting_for_engine, ReasonCode::labels_stuck,
        absl::StrCat("the EL's safe or finalized is below the source's for ", seconds(now - f.labels_wait)));
  // The vote holds the labels: they do not stand still because of the chain.
  if (f.hold == contract::Hold::sources_disagree) {
    const std::string why = "the sources have different blocks, and none has a quorum: safe and finalized stand";
    if (f.gossip != true) return not_ready(TowState::waiting_for_source, ReasonCode::sources_disagree, why);
    return {TowState::at_tip, ReasonCode::sources_disagree, absl::StrCat(why, "; the head follows the p2p network"),
            true};
  }
  if (f.hold == contract::Hold::quorum_lost)
    return {TowState::at_tip, ReasonCode::quorum_lost, "fewer trust groups are heard than must agree: finalized stands",
            true};
  if (now - f.safe_moved > limits.safe_age)
    return not_ready(TowState::waiting_for_source, ReasonCode::safe_stalled,
                     absl::StrCat("safe has stood still for ", seconds(now - f.safe_moved)));
  if (now - f.finalized_moved > limits.safe_age)
    return not_ready(TowState::waiting_for_source, ReasonCode::finalized_stalled,
                     absl::StrCat("finalized has stood still for ", seconds(now - f.finalized_moved)));
  return {f.state, f.code, f.reason, true};
}

void Witness::on_local(const contract::EngineState& s, absl::Time now) {
  facts_.driver_heard = now;
  const auto note = [now](std::optional<Hash32>& known, const std::optional<eth::BlockRef>& label, absl::Time& moved) {
    const auto hash = label ? std::optional{label->hash} : std::nullopt;
    if (hash != known || moved == absl::InfinitePast()) moved = now;
    known = hash;
  };
  note(safe_, s.labels.safe, facts_.safe_moved);
  note(finalized_, s.labels.finalized, facts_.finalized_moved);
}

void Witness::on_remote(const contract::HeadSnapshot& s, absl::Time now) {
  // The same snapshot may be sent again; it is no news from the source.
  if (s.observed != observed_) facts_.source_heard = now;
  observed_ = s.observed;
  const auto& head = s.unsafe ? s.unsafe : s.safe;
  const auto hash = head ? std::optional{head->hash} : std::nullopt;
  if (hash != source_head_ || facts_.source_moved == absl::InfinitePast()) facts_.source_moved = now;
  source_head_ = hash;
}

void Witness::on_sources(const std::vector<OtherHead>& heads) { sources_ = heads; }

void Witness::on_gossip(const std::optional<eth::BlockRef>& block) {
  facts_.gossip = true;
  if (block) gossip_highest_ = std::max(gossip_highest_, block->number);
}

Facts Witness::facts(const Follower& f, absl::Time now) {
  Facts& x = facts_;
  x.state = f.state();
  x.code = f.reason_code();
  x.reason = f.reason();
  x.distance = f.distance();
  const auto& local = f.local();
  const auto& remote = f.remote();
  x.engine = local ? std::optional{local->status} : std::nullopt;
  x.engine_reason = local ? local->reason : "";
  x.labels_set = local && local->labels.safe && local->labels.finalized;
  x.source_labels_set = remote && remote->safe && remote->finalized;
  const auto& head = remote && remote->unsafe ? remote->unsafe : remote ? remote->safe : std::nullopt;
  x.source_head = head ? std::optional{head->number} : std::nullopt;

  const auto waits = [&](const std::optional<eth::BlockRef>& theirs, const std::optional<eth::BlockRef>& ours) {
    return theirs && ours && theirs->number > ours->number && theirs->number <= local->labels.unsafe->number;
  };
  x.hold = remote ? std::max(remote->safe_hold, remote->finalized_hold) : contract::Hold::none;
  const bool safe_waits =
      remote && local && remote->safe_hold != contract::Hold::quorum_lost && waits(remote->safe, local->labels.safe);
  if (!local || !remote || !local->labels.unsafe ||
      !(safe_waits || waits(remote->finalized, local->labels.finalized))) {
    x.labels_wait = absl::InfiniteFuture();
  } else {
    x.labels_wait = std::max(std::min(x.labels_wait, now), std::max(x.safe_moved, x.finalized_moved));
  }

  x.highest_elsewhere = gossip_highest_;
  x.sources_at_head = 0;
  for (const OtherHead& s : sources_) {
    x.highest_elsewhere = std::max(x.highest_elsewhere, s.number);
    if (source_head_ == s.hash) ++x.sources_at_head;
  }
  return x;
}

}  // namespace towline::coordinator
