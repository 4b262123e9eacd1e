// Why the gate refuses a command. Reactions depend on these values, never on the text beside them. Pure.
#pragma once
#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <optional>

namespace towline::contract {

enum class Refusal {
  stale_term,       // a newer coordinator took over
  other_authority,  // this driver obeys another elector
  impossible_term,  // no elector can have come to this term
  head_moved,       // decided on an older view of the EL: heals by itself
  not_canonical,    // a block that the command builds on is not on the EL's chain
  label_order,      // finalized above safe, or a label above the head
  below_finalized,  // it would undo, or stand beside, what was confirmed as final
  cannot_rewind,    // no --engine.admin-rpc
  not_final,        // the block to be lowered is not final here
};
inline constexpr Refusal kRefusals[] = {Refusal::stale_term,      Refusal::other_authority, Refusal::impossible_term,
                                        Refusal::head_moved,      Refusal::not_canonical,   Refusal::label_order,
                                        Refusal::below_finalized, Refusal::cannot_rewind,   Refusal::not_final};
const char* name(Refusal r);

/// A FAILED_PRECONDITION that carries `r`; `why` is for a person.
absl::Status refuse(Refusal r, absl::string_view why);
/// The refusal that a status carries; nullopt: none.
std::optional<Refusal> refusal_of(const absl::Status& s);

}  // namespace towline::contract
