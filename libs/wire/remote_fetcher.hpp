// Between the values of libs/contract and the messages of remote_fetcher.proto.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "libs/contract/heads.hpp"
#include "towline/v1/remote_fetcher.pb.h"

namespace towline::wire {

v1::EndpointKind to_proto(contract::EndpointKind k);
v1::SourceTrouble to_proto(const contract::SourceTrouble& t);
/// A time is sent as an age, so that no process depends on another one's clock. `now`: by the same clock as `observed`.
v1::HeadSnapshot to_proto(const contract::HeadSnapshot& s, absl::Time now);

contract::SourceTrouble from_proto(const v1::SourceTrouble& t);
/// INVALID_ARGUMENT: a hash of the wrong length.
absl::StatusOr<contract::HeadSnapshot> from_proto(const v1::HeadSnapshot& s, absl::Time now);

}  // namespace towline::wire
