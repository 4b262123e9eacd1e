// A block that differs from a given one in prevRandao alone, built by the EL itself.
//
// op-geth, killed, comes back below blocks that it still has. It answers VALID to them without executing them, and
// VALID to updates to them without moving, because its index calls them canonical already: it would stay there for
// ever. Their twins are new to it. It executes them, which gives it the state of the real blocks, and moves onto them,
// which corrects the index. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

/// Whether an EL that answers VALID and keeps its head is led through twins. Only op-geth ever needs it.
class TwinNeed {
 public:
  /// The block above a head that stands still has to be there, and both unchanged, for so long: an EL may merely show
  /// its head late.
  static constexpr absl::Duration kStands = absl::Seconds(5);

  enum class Look { wait, lead, not_needed };
  explicit TwinNeed(absl::Time now) : since_{now} {}
  /// What the EL shows: its head, and the block that it serves by number above it.
  Look on_look(const Hash32& head, const std::optional<Hash32>& above, absl::Time now);

 private:
  absl::Time since_;
  std::optional<Hash32> head_, above_;
};

/// By what it says of itself ("Geth/v1.101702.3", "op-geth/...", "go-ethereum/...").
bool is_op_geth(absl::string_view client_version);

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
