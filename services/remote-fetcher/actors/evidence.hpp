// The actor that records why endpoints were quarantined or held: a file of JSON lines, limited to 32 MiB with its
// predecessor. Detached, because it writes to disk.
//
// In: findings. Out: lines of the file; a failed write is logged. No timers, no dependencies on other actors.
#pragma once
#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <caf/typed_actor.hpp>
#include <string>

namespace towline::fetcher {

/// Appends to a file that only its owner can read.
absl::Status append_private(const std::string& path, absl::string_view text);

using found_atom = caf::atom_constant<caf::atom("found")>;
using evidence_actor = caf::typed_actor<
    // Endpoint, the failed check in one word, and the evidence.
    caf::reacts_to<found_atom, std::string, std::string, std::string>>;

/// Empty `path`: nothing is written.
evidence_actor::behavior_type evidence(evidence_actor::pointer self, const std::string& path);

}  // namespace towline::fetcher
