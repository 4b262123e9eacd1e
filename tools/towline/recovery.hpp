// The steps for a person when a tow cannot go on by itself, by its state and its client; and whether a final block that
// the sources contradict may be lowered.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/towline/lowering.hpp"
#include "towline/v1/engine_driver.pb.h"
#include "towline/v1/remote_fetcher.pb.h"
#include "towline/v1/sync_coordinator.pb.h"

namespace towline::cli {

/// The sources' answers about the final blocks of a tow, and the result of lowering them.
struct Finality {
  Lowering lowering;
  /// Who has which block at the height of lowering.was().
  v1::CompareEndpointsResponse said;
  /// Present with --force.
  std::optional<v1::CommandResult> lowered = {};
};
/// By the engine-driver's address.
using Finalities = std::map<std::string, Finality>;

/// The steps; empty: nobody needs to do anything.
std::vector<std::string> recovery(const v1::Tow& t);

/// Whether one of the tows needs a person.
bool needs_person(const v1::SyncStatus& s);
/// `f`: the tows for which it was asked.
std::string recover_text(const v1::SyncStatus& s, const Finalities& f = {});
/// {"tows": [{driver, state, reason_code, reason, needs_person, steps: [..], finality: {result, was, theirs, to,
/// groups, says: [{endpoint, group, block, silence}], outcome, outcome_reason}}]}; `finality` only where it was asked
/// for.
std::string recover_json(const v1::SyncStatus& s, const Finalities& f = {});

}  // namespace towline::cli
