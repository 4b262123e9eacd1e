// Reads a block in any of its three usual forms. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::inspect {

struct Block {
  eth::Header header;
  Hash32 hash;
  std::vector<Bytes> transactions;
  bool l1 = false;
  /// L1 only: the blobs' versioned hashes from the sidecar.
  std::vector<Hash32> versioned_hashes;
};

struct ReadBlock {
  /// "block file", "newPayload", "eth_getBlock" or "unknown".
  std::string kind;
  /// INVALID_ARGUMENT "field: what is wrong"; "input: .." for a text that is no block at all.
  absl::StatusOr<Block> block;
};
/// `text`: see inspect_block().
ReadBlock read_block(absl::string_view text);

/// The name of the rollup config that a block file refers to, a file beside it; nullopt: none.
std::optional<std::string> rollup_config_of(absl::string_view text);

}  // namespace towline::inspect
