// A block that differs from a given one in prevRandao alone, built by the EL itself.
//
// op-geth, killed, comes back below blocks that it still has. It answers VALID to them without executing them, and
// VALID to updates to them without moving, because its index calls them canonical already: it would stay there for
// ever. Their twins are new to it. It executes them, which gives it the state of the real blocks, and moves onto them,
// which corrects the index. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

/// What an EL is asked for (execution-apis: paris, shanghai, cancun; OP Stack specs: exec-engine).
struct TwinPlan {
  /// Version of engine_newPayload, and of engine_getPayload until Karst; engine_forkchoiceUpdated takes 3 from 3 on,
  /// else 2.
  int version = 0;
  /// PayloadAttributes as JSON: everything of the real block, its transactions too, but for prevRandao.
  std::string attributes;
  /// As JSON, with quotes; empty before Ecotone.
  std::string parent_beacon_block_root;
};

/// The EL refuses engine_getPayloadV<plan.version> with this code: it is another version from Karst on, which nothing
/// of a block shows, and the EL knows when that is.
bool asks_for_newer_get_payload(const TwinPlan& plan, std::int64_t error_code);

/// `new_payload` is the complete request for the real block. INVALID_ARGUMENT: it is none.
absl::StatusOr<TwinPlan> plan_twin(const std::string& new_payload);

struct Twin {
  Hash32 hash;
  /// A complete JSON-RPC request.
  std::string new_payload;
};

/// `built` is the result of engine_getPayload. INVALID_ARGUMENT: it has no payload.
absl::StatusOr<Twin> read_twin(const TwinPlan& plan, const std::string& built);

}  // namespace towline::driver
