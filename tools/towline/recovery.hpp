// What a person has to do when a tow cannot go on by itself, for its state and its client; and what may be done about a
// block that is final here and contradicted.
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

/// What the sources say of what is final at a tow, and what was done about it.
struct Finality {
  Lowering lowering;
  /// Who has which block at the height of lowering.was().
  v1::CompareEndpointsResponse said;
  /// With --force.
  std::optional<v1::CommandResult> lowered = {};
};
/// By the engine-driver's address.
using Finalities = std::map<std::string, Finality>;

/// Empty: nobody needs to do anything.
std::vector<std::string> recovery(const v1::Tow& t);

/// Somebody has to do something for one of the tows.
bool needs_person(const v1::SyncStatus& s);
/// `f`: of the tows of which it was asked for.
std::string recover_text(const v1::SyncStatus& s, const Finalities& f = {});
/// {"tows": [{driver, state, reason_code, reason, needs_person, steps: [..], finality: {result, was, theirs, to,
/// groups, says: [{endpoint, group, block, silence}], outcome, outcome_reason}}]}; `finality` only where it was asked
/// for.
std::string recover_json(const v1::SyncStatus& s, const Finalities& f = {});

}  // namespace towline::cli
