#include "services/remote-fetcher/edge/fetcher_proto.hpp"

#include <algorithm>

#include "libs/wire/convert.hpp"

namespace towline::fetcher {

v1::EndpointKind to_proto(Kind k) {
  switch (k) {
    case Kind::unknown: break;
    case Kind::el: return v1::ENDPOINT_KIND_EL;
    case Kind::cl: return v1::ENDPOINT_KIND_CL;
    case Kind::both: return v1::ENDPOINT_KIND_BOTH;
  }
  return v1::ENDPOINT_KIND_UNSPECIFIED;
}

v1::Hold to_proto(Hold h) {
  switch (h) {
    case Hold::none: break;
    case Hold::quorum_lost: return v1::HOLD_QUORUM_LOST;
    case Hold::sources_disagree: return v1::HOLD_SOURCES_DISAGREE;
  }
  return v1::HOLD_UNSPECIFIED;
}

v1::HeadSnapshot to_proto(const HeadSnapshot& s, absl::Time now) {
  v1::HeadSnapshot out;
  out.set_endpoint(s.endpoint);
  out.set_kind(to_proto(s.kind));
  if (s.unsafe) *out.mutable_unsafe() = wire::to_proto(*s.unsafe);
  if (s.local_safe) *out.mutable_local_safe() = wire::to_proto(*s.local_safe);
  if (s.safe) *out.mutable_safe() = wire::to_proto(*s.safe);
  if (s.finalized) *out.mutable_finalized() = wire::to_proto(*s.finalized);
  if (s.current_l1) *out.mutable_current_l1() = wire::to_proto(*s.current_l1);
  out.set_age_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToInt64Milliseconds(now - s.observed))));
  for (const Lead& l : s.others) {
    auto& other = *out.add_others();
    other.set_endpoint(l.endpoint);
    other.set_kind(to_proto(l.kind));
    *other.mutable_unsafe() = wire::to_proto(l.unsafe);
  }
  out.set_safe_hold(to_proto(s.safe_hold));
  out.set_finalized_hold(to_proto(s.finalized_hold));
  out.set_groups(static_cast<std::uint32_t>(s.groups));
  out.set_groups_agree(static_cast<std::uint32_t>(s.agree));
  if (s.agreed) *out.mutable_agreed() = wire::to_proto(*s.agreed);
  if (s.chain_time != absl::InfinitePast())
    out.set_chain_time_ms(static_cast<std::uint64_t>(absl::ToUnixMillis(s.chain_time)));
  out.set_contradicts_anchor(s.contradicts_anchor);
  out.set_unknown_rules(s.unknown_rules);
  return out;
}

}  // namespace towline::fetcher
