// What a person has to do when a tow cannot go on by itself, for its state and its client.
#pragma once
#include <string>
#include <vector>

#include "towline/v1/sync_coordinator.pb.h"

namespace towline::cli {

/// Empty: nobody needs to do anything.
std::vector<std::string> recovery(const v1::Tow& t);

/// Somebody has to do something for one of the tows.
bool needs_person(const v1::SyncStatus& s);
std::string recover_text(const v1::SyncStatus& s);
/// {"tows": [{driver, state, reason_code, reason, needs_person, steps: [..]}]}
std::string recover_json(const v1::SyncStatus& s);

}  // namespace towline::cli
