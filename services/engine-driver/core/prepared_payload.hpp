// Turns a payload into the request for the EL, and holds back payloads that no EL may get. Every payload passes here,
// from remote nodes and from the p2p network. Pure.
#pragma once
#include <absl/status/status.h>

#include <string>

#include "libs/eth/types.hpp"

namespace towline::driver {

/// A payload with its complete request, so that no work is left once the EL has answered for the previous block.
struct PreparedPayload {
  eth::BlockRef ref;
  std::uint64_t gas_used = 0;
  std::uint64_t transactions = 0;
  /// Not OK: the block must not reach the EL, and `body` is empty. The chain may contain such a block (its hash commits
  /// to it), so the sender is not at fault; but clients interpret it in different ways.
  absl::Status refused;
  /// The JSON-RPC request for engine_newPayload.
  std::string body;
};

/// The version of engine_newPayload is chosen by the payload's shape.
PreparedPayload prepare(const eth::Payload& payload);

}  // namespace towline::driver
