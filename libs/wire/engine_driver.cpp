#include "libs/wire/engine_driver.hpp"

#include <array>
#include <utility>

#include "libs/base/status.hpp"
#include "libs/wire/convert.hpp"

namespace towline::wire {
namespace {

// Each enumeration once, for both directions.
template <class Ours, class Theirs, std::size_t N>
using Pairs = std::array<std::pair<Ours, Theirs>, N>;

constexpr Pairs<contract::EngineStatus, v1::EngineStatus, 11> kStatus = {{
    {contract::EngineStatus::starting, v1::ENGINE_STATUS_STARTING},
    {contract::EngineStatus::ready, v1::ENGINE_STATUS_READY},
    {contract::EngineStatus::unreachable, v1::ENGINE_STATUS_UNREACHABLE},
    {contract::EngineStatus::auth_failed, v1::ENGINE_STATUS_AUTH_FAILED},
    {contract::EngineStatus::wrong_chain, v1::ENGINE_STATUS_WRONG_CHAIN},
    {contract::EngineStatus::syncing, v1::ENGINE_STATUS_SYNCING},
    {contract::EngineStatus::invalid, v1::ENGINE_STATUS_INVALID},
    {contract::EngineStatus::not_an_engine, v1::ENGINE_STATUS_NOT_AN_ENGINE},
    {contract::EngineStatus::driven_elsewhere, v1::ENGINE_STATUS_DRIVEN_ELSEWHERE},
    {contract::EngineStatus::contradicts_finalized, v1::ENGINE_STATUS_CONTRADICTS_FINALIZED},
    {contract::EngineStatus::state_not_saved, v1::ENGINE_STATUS_STATE_NOT_SAVED},
}};
constexpr Pairs<contract::Outcome, v1::Outcome, 11> kOutcome = {{
    {contract::Outcome::done, v1::OUTCOME_DONE},
    {contract::Outcome::missing_state, v1::OUTCOME_MISSING_STATE},
    {contract::Outcome::invalid, v1::OUTCOME_INVALID},
    {contract::Outcome::not_applied, v1::OUTCOME_NOT_APPLIED},
    {contract::Outcome::contradicts_finalized, v1::OUTCOME_CONTRADICTS_FINALIZED},
    {contract::Outcome::engine_unavailable, v1::OUTCOME_ENGINE_UNAVAILABLE},
    {contract::Outcome::source_unavailable, v1::OUTCOME_SOURCE_UNAVAILABLE},
    {contract::Outcome::source_reorged, v1::OUTCOME_SOURCE_REORGED},
    {contract::Outcome::unsupported, v1::OUTCOME_UNSUPPORTED},
    {contract::Outcome::cancelled, v1::OUTCOME_CANCELLED},
    {contract::Outcome::refused, v1::OUTCOME_REFUSED},
}};
constexpr Pairs<contract::Refusal, v1::Refusal, 9> kRefusal = {{
    {contract::Refusal::stale_term, v1::REFUSAL_STALE_TERM},
    {contract::Refusal::other_authority, v1::REFUSAL_OTHER_AUTHORITY},
    {contract::Refusal::impossible_term, v1::REFUSAL_IMPOSSIBLE_TERM},
    {contract::Refusal::head_moved, v1::REFUSAL_HEAD_MOVED},
    {contract::Refusal::not_canonical, v1::REFUSAL_NOT_CANONICAL},
    {contract::Refusal::label_order, v1::REFUSAL_LABEL_ORDER},
    {contract::Refusal::below_finalized, v1::REFUSAL_BELOW_FINALIZED},
    {contract::Refusal::cannot_rewind, v1::REFUSAL_CANNOT_REWIND},
    {contract::Refusal::not_final, v1::REFUSAL_NOT_FINAL},
}};

template <class Ours, class Theirs, std::size_t N>
Theirs theirs(const Pairs<Ours, Theirs, N>& pairs, Ours value) {
  for (const auto& [ours, theirs] : pairs)
    if (ours == value) return theirs;
  return Theirs{};
}
template <class Ours, class Theirs, std::size_t N>
std::optional<Ours> ours(const Pairs<Ours, Theirs, N>& pairs, Theirs value) {
  for (const auto& [ours, theirs] : pairs)
    if (theirs == value) return ours;
  return std::nullopt;
}

}  // namespace

v1::Labels to_proto(const contract::Labels& l) {
  v1::Labels out;
  if (l.unsafe) *out.mutable_unsafe() = to_proto(*l.unsafe);
  if (l.safe) *out.mutable_safe() = to_proto(*l.safe);
  if (l.finalized) *out.mutable_finalized() = to_proto(*l.finalized);
  return out;
}

absl::StatusOr<contract::Labels> from_proto(const v1::Labels& l) {
  contract::Labels out;
  TOWLINE_RETURN_IF_ERROR(read(l.has_unsafe(), l.unsafe(), out.unsafe));
  TOWLINE_RETURN_IF_ERROR(read(l.has_safe(), l.safe(), out.safe));
  TOWLINE_RETURN_IF_ERROR(read(l.has_finalized(), l.finalized(), out.finalized));
  return out;
}

v1::ImportProgress to_proto(const contract::ImportProgress& p) {
  v1::ImportProgress out;
  *out.mutable_imported() = to_proto(p.imported);
  *out.mutable_tip() = to_proto(p.tip);
  out.set_blocks(p.blocks);
  out.set_transactions(p.transactions);
  out.set_gas_used(p.gas_used);
  out.set_bytes(p.bytes);
  out.set_elapsed_s(p.elapsed_s);
  out.set_blocks_per_s(p.blocks_per_s);
  out.set_mgas_per_s(p.mgas_per_s);
  return out;
}

absl::StatusOr<contract::ImportProgress> from_proto(const v1::ImportProgress& p) {
  contract::ImportProgress out;
  TOWLINE_ASSIGN_OR_RETURN(out.imported, from_proto(p.imported()));
  TOWLINE_ASSIGN_OR_RETURN(out.tip, from_proto(p.tip()));
  out.blocks = p.blocks();
  out.transactions = p.transactions();
  out.gas_used = p.gas_used();
  out.bytes = p.bytes();
  out.elapsed_s = p.elapsed_s();
  out.blocks_per_s = p.blocks_per_s();
  out.mgas_per_s = p.mgas_per_s();
  return out;
}

v1::ElSync to_proto(const contract::ElSync& s) {
  v1::ElSync out;
  if (s.target) *out.mutable_target() = to_proto(*s.target);
  out.set_current_block(s.current);
  out.set_highest_block(s.highest);
  out.set_steps(s.steps);
  return out;
}

absl::StatusOr<contract::ElSync> from_proto(const v1::ElSync& s) {
  contract::ElSync out;
  TOWLINE_RETURN_IF_ERROR(read(s.has_target(), s.target(), out.target));
  out.current = s.current_block();
  out.highest = s.highest_block();
  out.steps = s.steps();
  return out;
}

v1::EngineState to_proto(const contract::EngineState& s) {
  v1::EngineState out;
  out.set_status(theirs(kStatus, s.status));
  out.set_reason(s.reason);
  *out.mutable_labels() = to_proto(s.labels);
  if (s.confirmed_finalized) *out.mutable_confirmed_finalized() = to_proto(*s.confirmed_finalized);
  out.set_authority(s.authority);
  out.set_term(s.term);
  out.set_client_version(s.client_version);
  out.set_can_rewind(s.can_rewind);
  out.set_rewind_for_single_source(s.rewind_for_single_source);
  if (s.import) *out.mutable_import() = to_proto(*s.import);
  if (s.el_sync) *out.mutable_el_sync() = to_proto(*s.el_sync);
  if (s.el_peers) out.set_el_peers(*s.el_peers);
  out.set_engine_session(s.engine_session);
  *out.mutable_genesis() = to_proto(s.genesis);
  out.set_watchers(s.watchers);
  for (const auto& r : s.replicas) {
    auto& m = *out.add_replicas();
    m.set_address(r.address);
    m.set_blocks(r.blocks);
    m.set_listed(r.listed);
    m.set_rests(r.rests);
  }
  out.set_idle_ms(static_cast<std::uint64_t>(absl::ToInt64Milliseconds(s.idle)));
  return out;
}

absl::StatusOr<contract::EngineState> from_proto(const v1::EngineState& s) {
  contract::EngineState out;
  out.status = ours(kStatus, s.status()).value_or(contract::EngineStatus::starting);
  out.reason = s.reason();
  TOWLINE_ASSIGN_OR_RETURN(out.labels, from_proto(s.labels()));
  TOWLINE_RETURN_IF_ERROR(read(s.has_confirmed_finalized(), s.confirmed_finalized(), out.confirmed_finalized));
  out.authority = s.authority();
  out.term = s.term();
  out.client_version = s.client_version();
  out.can_rewind = s.can_rewind();
  out.rewind_for_single_source = s.rewind_for_single_source();
  TOWLINE_ASSIGN_OR_RETURN(out.genesis, from_proto(s.genesis()));
  if (s.has_import()) {
    TOWLINE_ASSIGN_OR_RETURN(out.import, from_proto(s.import()));
  }
  if (s.has_el_sync()) {
    TOWLINE_ASSIGN_OR_RETURN(out.el_sync, from_proto(s.el_sync()));
  }
  if (s.has_el_peers()) out.el_peers = s.el_peers();
  out.engine_session = s.engine_session();
  out.watchers = s.watchers();
  for (const auto& r : s.replicas()) out.replicas.push_back({r.address(), r.blocks(), r.listed(), r.rests()});
  out.idle = absl::Milliseconds(static_cast<std::int64_t>(s.idle_ms()));
  return out;
}

v1::Command to_proto(const contract::CommandStamp& c) {
  v1::Command out;
  out.set_authority(c.authority);
  out.set_term(c.term);
  out.set_expected_head(to_string(c.expected_head.view()));
  out.set_chain_time_ms(to_millis(c.chain_time));
  return out;
}

absl::StatusOr<contract::CommandStamp> from_proto(const v1::Command& c) {
  contract::CommandStamp out{c.authority(), c.term(), {}, from_millis(c.chain_time_ms())};
  TOWLINE_ASSIGN_OR_RETURN(out.expected_head, hash_from(c.expected_head(), "command.expected_head"));
  return out;
}

v1::CommandResult to_proto(const contract::CommandResult& r) {
  v1::CommandResult out;
  out.set_outcome(theirs(kOutcome, r.outcome));
  out.set_reason(r.reason);
  if (r.block) *out.mutable_block() = to_proto(*r.block);
  *out.mutable_labels() = to_proto(r.labels);
  if (r.refusal) out.set_refusal(theirs(kRefusal, *r.refusal));
  return out;
}

absl::StatusOr<contract::CommandResult> from_proto(const v1::CommandResult& r) {
  const auto outcome = ours(kOutcome, r.outcome());
  if (!outcome) return absl::UnavailableError("the engine-driver ended without an outcome that is known here");
  contract::CommandResult out{*outcome, r.reason(), {}, {}, ours(kRefusal, r.refusal())};
  TOWLINE_RETURN_IF_ERROR(read(r.has_block(), r.block(), out.block));
  TOWLINE_ASSIGN_OR_RETURN(out.labels, from_proto(r.labels()));
  return out;
}

v1::ImportRangeRequest to_proto(const contract::CommandStamp& c, const contract::ImportRange& r) {
  v1::ImportRangeRequest out;
  *out.mutable_command() = to_proto(c);
  *out.mutable_parent() = to_proto(r.parent);
  *out.mutable_tip() = to_proto(r.tip);
  if (r.safe) *out.mutable_safe() = to_proto(*r.safe);
  if (r.finalized) *out.mutable_finalized() = to_proto(*r.finalized);
  if (r.from_gossip()) out.set_origin(v1::PAYLOAD_ORIGIN_GOSSIP);
  return out;
}

absl::StatusOr<contract::ImportRange> from_proto(const v1::ImportRangeRequest& r) {
  contract::ImportRange out;
  TOWLINE_ASSIGN_OR_RETURN(out.parent, from_proto(r.parent()));
  TOWLINE_ASSIGN_OR_RETURN(out.tip, from_proto(r.tip()));
  TOWLINE_RETURN_IF_ERROR(read(r.has_safe(), r.safe(), out.safe));
  TOWLINE_RETURN_IF_ERROR(read(r.has_finalized(), r.finalized(), out.finalized));
  if (r.origin() == v1::PAYLOAD_ORIGIN_GOSSIP) out.origin = contract::PayloadOrigin::gossip;
  return out;
}

v1::SetForkchoiceRequest to_proto(const contract::CommandStamp& c, const contract::Forkchoice& f) {
  v1::SetForkchoiceRequest out;
  *out.mutable_command() = to_proto(c);
  *out.mutable_head() = to_proto(f.head);
  if (f.safe) *out.mutable_safe() = to_proto(*f.safe);
  if (f.finalized) *out.mutable_finalized() = to_proto(*f.finalized);
  return out;
}

absl::StatusOr<contract::Forkchoice> from_proto(const v1::SetForkchoiceRequest& r) {
  contract::Forkchoice out;
  TOWLINE_ASSIGN_OR_RETURN(out.head, from_proto(r.head()));
  TOWLINE_RETURN_IF_ERROR(read(r.has_safe(), r.safe(), out.safe));
  TOWLINE_RETURN_IF_ERROR(read(r.has_finalized(), r.finalized(), out.finalized));
  return out;
}

v1::StartElSyncRequest to_proto(const contract::CommandStamp& c, const contract::StartElSync& s) {
  v1::StartElSyncRequest out;
  *out.mutable_command() = to_proto(c);
  *out.mutable_target() = to_proto(s.target);
  return out;
}

absl::StatusOr<contract::StartElSync> from_proto(const v1::StartElSyncRequest& r) {
  contract::StartElSync out;
  TOWLINE_ASSIGN_OR_RETURN(out.target, from_proto(r.target()));
  return out;
}

}  // namespace towline::wire
