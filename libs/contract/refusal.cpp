#include "libs/contract/refusal.hpp"

#include <absl/strings/cord.h>

#include <string>

namespace towline::contract {
namespace {

constexpr absl::string_view kPayload = "towline.Refusal";

}  // namespace

const char* name(Refusal r) {
  switch (r) {
    case Refusal::stale_term: return "stale_term";
    case Refusal::other_authority: return "other_authority";
    case Refusal::impossible_term: return "impossible_term";
    case Refusal::head_moved: return "head_moved";
    case Refusal::not_canonical: return "not_canonical";
    case Refusal::label_order: return "label_order";
    case Refusal::below_finalized: return "below_finalized";
    case Refusal::cannot_rewind: return "cannot_rewind";
    case Refusal::not_final: return "not_final";
  }
  return "?";
}

absl::Status refuse(Refusal r, absl::string_view why) {
  absl::Status s = absl::FailedPreconditionError(why);
  s.SetPayload(kPayload, absl::Cord{name(r)});
  return s;
}

std::optional<Refusal> refusal_of(const absl::Status& s) {
  const auto payload = s.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  for (const Refusal r : kRefusals) {
    if (*payload == name(r)) return r;
  }
  return std::nullopt;
}

}  // namespace towline::contract
