#include "services/engine-driver/edge/driver_proto.hpp"

#include "libs/wire/convert.hpp"

namespace towline::driver {

v1::Labels to_proto(const Labels& l) {
  v1::Labels out;
  if (l.latest) *out.mutable_latest() = wire::to_proto(*l.latest);
  if (l.safe) *out.mutable_safe() = wire::to_proto(*l.safe);
  if (l.finalized) *out.mutable_finalized() = wire::to_proto(*l.finalized);
  return out;
}

v1::ImportProgress to_proto(const ImportProgress& p) {
  v1::ImportProgress out;
  *out.mutable_imported() = wire::to_proto(p.imported);
  *out.mutable_tip() = wire::to_proto(p.tip);
  out.set_blocks(p.blocks);
  out.set_transactions(p.transactions);
  out.set_gas_used(p.gas_used);
  out.set_bytes(p.bytes);
  out.set_elapsed_s(p.elapsed_s);
  out.set_blocks_per_s(p.blocks_per_s);
  out.set_mgas_per_s(p.mgas_per_s);
  return out;
}

v1::Outcome to_proto(Outcome o) {
  switch (o) {
    case Outcome::done: return v1::OUTCOME_DONE;
    case Outcome::missing_state: return v1::OUTCOME_MISSING_STATE;
    case Outcome::invalid: return v1::OUTCOME_INVALID;
    case Outcome::not_applied: return v1::OUTCOME_NOT_APPLIED;
    case Outcome::contradicts_finalized: return v1::OUTCOME_CONTRADICTS_FINALIZED;
    case Outcome::engine_unavailable: return v1::OUTCOME_ENGINE_UNAVAILABLE;
    case Outcome::source_unavailable: return v1::OUTCOME_SOURCE_UNAVAILABLE;
    case Outcome::source_reorged: return v1::OUTCOME_SOURCE_REORGED;
    case Outcome::unsupported: return v1::OUTCOME_UNSUPPORTED;
    case Outcome::cancelled: return v1::OUTCOME_CANCELLED;
    case Outcome::refused: return v1::OUTCOME_REFUSED;
  }
  return v1::OUTCOME_UNSPECIFIED;
}

v1::Refusal to_proto(Refusal r) {
  switch (r) {
    case Refusal::stale_epoch: return v1::REFUSAL_STALE_EPOCH;
    case Refusal::other_authority: return v1::REFUSAL_OTHER_AUTHORITY;
    case Refusal::impossible_epoch: return v1::REFUSAL_IMPOSSIBLE_EPOCH;
    case Refusal::head_moved: return v1::REFUSAL_HEAD_MOVED;
    case Refusal::not_canonical: return v1::REFUSAL_NOT_CANONICAL;
    case Refusal::label_order: return v1::REFUSAL_LABEL_ORDER;
    case Refusal::below_finalized: return v1::REFUSAL_BELOW_FINALIZED;
    case Refusal::cannot_rewind: return v1::REFUSAL_CANNOT_REWIND;
    case Refusal::not_final: return v1::REFUSAL_NOT_FINAL;
  }
  return v1::REFUSAL_UNSPECIFIED;
}

v1::DriverState to_proto(const DriverState& s) {
  static constexpr v1::EngineStatus kStatus[] = {
      v1::ENGINE_STATUS_STARTING,     v1::ENGINE_STATUS_READY,          v1::ENGINE_STATUS_UNREACHABLE,
      v1::ENGINE_STATUS_AUTH_FAILED,  v1::ENGINE_STATUS_WRONG_CHAIN,    v1::ENGINE_STATUS_SYNCING,
      v1::ENGINE_STATUS_INVALID,      v1::ENGINE_STATUS_NOT_AN_ENGINE,  v1::ENGINE_STATUS_DRIVEN_ELSEWHERE,
      v1::ENGINE_STATUS_BESIDE_FENCE, v1::ENGINE_STATUS_STATE_NOT_SAVED};
  v1::DriverState out;
  out.set_status(kStatus[static_cast<int>(s.status)]);
  out.set_reason(s.reason);
  *out.mutable_labels() = to_proto(s.labels);
  if (s.persistent.fence) *out.mutable_fence() = wire::to_proto(*s.persistent.fence);
  out.set_authority(s.persistent.authority);
  out.set_epoch(s.persistent.epoch);
  out.set_client_version(s.client_version);
  out.set_can_rewind(s.can_rewind);
  out.set_rewind_for_single_source(s.rewind_for_single_source);
  if (s.import) *out.mutable_import() = to_proto(*s.import);
  out.set_engine_session(s.engine_session);
  *out.mutable_genesis() = wire::to_proto(s.genesis);
  out.set_watchers(s.watchers);
  out.set_idle_ms(static_cast<std::uint64_t>(absl::ToInt64Milliseconds(s.idle)));
  return out;
}

}  // namespace towline::driver
