// Between the values of libs/contract and the messages of engine_driver.proto.
#pragma once
#include <absl/status/statusor.h>

#include "libs/contract/command.hpp"
#include "libs/contract/engine.hpp"
#include "towline/v1/engine_driver.pb.h"

namespace towline::wire {

v1::Labels to_proto(const contract::Labels& l);
v1::ImportProgress to_proto(const contract::ImportProgress& p);
v1::ElSync to_proto(const contract::ElSync& s);
v1::EngineState to_proto(const contract::EngineState& s);
v1::Command to_proto(const contract::CommandStamp& c);
v1::CommandResult to_proto(const contract::CommandResult& r);
v1::ImportRangeRequest to_proto(const contract::CommandStamp& c, const contract::ImportRange& r);
v1::SetForkchoiceRequest to_proto(const contract::CommandStamp& c, const contract::Forkchoice& f);
v1::StartElSyncRequest to_proto(const contract::CommandStamp& c, const contract::StartElSync& s);

// INVALID_ARGUMENT: a hash of the wrong length. An unknown value from a newer service becomes `starting` for a status,
// nullopt for a refusal, and the error UNAVAILABLE for an outcome.
absl::StatusOr<contract::Labels> from_proto(const v1::Labels& l);
absl::StatusOr<contract::ImportProgress> from_proto(const v1::ImportProgress& p);
absl::StatusOr<contract::ElSync> from_proto(const v1::ElSync& s);
absl::StatusOr<contract::EngineState> from_proto(const v1::EngineState& s);
absl::StatusOr<contract::CommandStamp> from_proto(const v1::Command& c);
absl::StatusOr<contract::CommandResult> from_proto(const v1::CommandResult& r);
/// The `command` field is not part of these.
absl::StatusOr<contract::ImportRange> from_proto(const v1::ImportRangeRequest& r);
absl::StatusOr<contract::Forkchoice> from_proto(const v1::SetForkchoiceRequest& r);
absl::StatusOr<contract::StartElSync> from_proto(const v1::StartElSyncRequest& r);

}  // namespace towline::wire
