// From a payload to the request that the EL gets, and which payloads no EL ever gets. Every payload, of remote nodes
// and of the p2p network, passes here on its way. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "libs/eth/types.hpp"
#include "libs/rollup/config.hpp"

namespace towline::driver {

/// A payload whose request to the EL is complete: nothing is left to do when the EL has answered for the one before.
struct PreparedPayload {
  eth::BlockRef ref;
  std::uint64_t gas_used = 0;
  std::uint64_t transactions = 0;
  /// Not OK: the block must not reach the EL, and there is no body. The chain may hold such a block (its hash commits
  /// to it), so who sent it has not lied; but clients read it in different ways.
  absl::Status refused;
  std::string body;
};

/// INVALID_ARGUMENT: its shape is not that of its fork.
absl::StatusOr<PreparedPayload> prepare(const rollup::Config& config, const eth::Payload& payload);

}  // namespace towline::driver
