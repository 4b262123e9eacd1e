#include "libs/wire/remote_fetcher.hpp"

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/wire/convert.hpp"

namespace towline::wire {
namespace {

contract::EndpointKind kind_from(v1::EndpointKind k) {
  switch (k) {
    case v1::ENDPOINT_KIND_EL: return contract::EndpointKind::el;
    case v1::ENDPOINT_KIND_CL: return contract::EndpointKind::cl;
    case v1::ENDPOINT_KIND_BOTH: return contract::EndpointKind::both;
    default: return contract::EndpointKind::unknown;
  }
}

v1::Hold to_proto(contract::Hold h) {
  switch (h) {
    case contract::Hold::none: break;
    case contract::Hold::quorum_lost: return v1::HOLD_QUORUM_LOST;
    case contract::Hold::sources_disagree: return v1::HOLD_SOURCES_DISAGREE;
  }
  return v1::HOLD_UNSPECIFIED;
}

contract::Hold hold_from(v1::Hold h) {
  switch (h) {
    case v1::HOLD_QUORUM_LOST: return contract::Hold::quorum_lost;
    case v1::HOLD_SOURCES_DISAGREE: return contract::Hold::sources_disagree;
    default: return contract::Hold::none;
  }
}

}  // namespace

v1::EndpointKind to_proto(contract::EndpointKind k) {
  switch (k) {
    case contract::EndpointKind::unknown: break;
    case contract::EndpointKind::el: return v1::ENDPOINT_KIND_EL;
    case contract::EndpointKind::cl: return v1::ENDPOINT_KIND_CL;
    case contract::EndpointKind::both: return v1::ENDPOINT_KIND_BOTH;
  }
  return v1::ENDPOINT_KIND_UNSPECIFIED;
}

v1::SourceTrouble to_proto(const contract::SourceTrouble& t) {
  v1::SourceTrouble out;
  out.set_code(t.code);
  out.set_message(t.why);
  return out;
}

contract::SourceTrouble from_proto(const v1::SourceTrouble& t) { return {t.code(), t.message()}; }

v1::HeadSnapshot to_proto(const contract::HeadSnapshot& s, absl::Time now) {
  v1::HeadSnapshot out;
  out.set_endpoint(s.endpoint);
  out.set_kind(to_proto(s.kind));
  if (s.unsafe) *out.mutable_unsafe() = to_proto(*s.unsafe);
  if (s.local_safe) *out.mutable_local_safe() = to_proto(*s.local_safe);
  if (s.safe) *out.mutable_safe() = to_proto(*s.safe);
  if (s.finalized) *out.mutable_finalized() = to_proto(*s.finalized);
  if (s.current_l1) *out.mutable_current_l1() = to_proto(*s.current_l1);
  out.set_age_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToInt64Milliseconds(now - s.observed))));
  for (const contract::Lead& l : s.others) {
    auto& other = *out.add_others();
    other.set_endpoint(l.endpoint);
    other.set_kind(to_proto(l.kind));
    *other.mutable_unsafe() = to_proto(l.unsafe);
  }
  out.set_safe_hold(to_proto(s.safe_hold));
  out.set_finalized_hold(to_proto(s.finalized_hold));
  out.set_groups(static_cast<std::uint32_t>(s.groups));
  out.set_groups_agree(static_cast<std::uint32_t>(s.agree));
  if (s.agreed) *out.mutable_agreed() = to_proto(*s.agreed);
  out.set_chain_time_ms(to_millis(s.chain_time));
  out.set_contradicts_finalized(s.contradicts_finalized);
  out.set_unknown_rules(s.unknown_rules);
  if (s.blocks_trouble) *out.mutable_blocks_trouble() = to_proto(*s.blocks_trouble);
  return out;
}

absl::StatusOr<contract::HeadSnapshot> from_proto(const v1::HeadSnapshot& s, absl::Time now) {
  contract::HeadSnapshot out;
  out.endpoint = s.endpoint();
  out.kind = kind_from(s.kind());
  TOWLINE_RETURN_IF_ERROR(read(s.has_unsafe(), s.unsafe(), out.unsafe));
  TOWLINE_RETURN_IF_ERROR(read(s.has_local_safe(), s.local_safe(), out.local_safe));
  TOWLINE_RETURN_IF_ERROR(read(s.has_safe(), s.safe(), out.safe));
  TOWLINE_RETURN_IF_ERROR(read(s.has_finalized(), s.finalized(), out.finalized));
  TOWLINE_RETURN_IF_ERROR(read(s.has_current_l1(), s.current_l1(), out.current_l1));
  out.observed = now - absl::Milliseconds(s.age_ms());
  for (const auto& other : s.others()) {
    contract::Lead& lead = out.others.emplace_back(contract::Lead{other.endpoint(), kind_from(other.kind()), {}});
    TOWLINE_ASSIGN_OR_RETURN(lead.unsafe, from_proto(other.unsafe()));
  }
  out.safe_hold = hold_from(s.safe_hold());
  out.finalized_hold = hold_from(s.finalized_hold());
  out.groups = s.groups();
  out.agree = s.groups_agree();
  TOWLINE_RETURN_IF_ERROR(read(s.has_agreed(), s.agreed(), out.agreed));
  out.chain_time = from_millis(s.chain_time_ms());
  out.contradicts_finalized = s.contradicts_finalized();
  out.unknown_rules = s.unknown_rules();
  if (s.has_blocks_trouble()) out.blocks_trouble = from_proto(s.blocks_trouble());
  return out;
}

}  // namespace towline::wire
