// The actor that writes down what endpoints were quarantined for: a file of JSON lines, kept to 32 MiB. Detached, since
// it writes.
//
// In: what was found. Out: lines of the file; what cannot be written is told in the log. No timers, and it depends on
// no other actor.
#pragma once
#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <caf/typed_actor.hpp>
#include <string>

namespace towline::fetcher {

/// Appends to a file that its owner alone can read.
absl::Status append_private(const std::string& path, absl::string_view text);

using found_atom = caf::atom_constant<caf::atom("found")>;
using evidence_actor = caf::typed_actor<
    // Endpoint, the check that failed in a word, and what shows it.
    caf::reacts_to<found_atom, std::string, std::string, std::string>>;

/// `path` "": nothing is written.
evidence_actor::behavior_type evidence(evidence_actor::pointer self, const std::string& path);

}  // namespace towline::fetcher
