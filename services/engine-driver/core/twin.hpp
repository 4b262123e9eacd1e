// A block that differs from a given one only in prevRandao, built by the EL itself.
//
// A killed op-geth restarts below blocks that it still has. It answers VALID to them without executing them, and VALID
// to updates to them without moving, because its index already calls them canonical. It would stay there for ever.
// Twins of these blocks are new to it: it executes them, which produces the state of the real blocks, and moves onto
// them, which corrects its index. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

/// Whether an EL that answers VALID but keeps its head should be led through twins. Only op-geth needs it.
class TwinNeed {
 public:
  /// How long the head and the block above it must stay unchanged: the EL may merely show its head late.
  static constexpr absl::Duration kStands = absl::Seconds(5);

  enum class Look { wait, lead, not_needed };
  explicit TwinNeed(absl::Time now) : since_{now} {}
  /// The EL's head, and the block that it serves by number above that head.
  Look on_look(const Hash32& head, const std::optional<Hash32>& above, absl::Time now);

 private:
  absl::Time since_;
  std::optional<Hash32> head_, above_;
};

/// By the client version ("Geth/v1.101702.3", "op-geth/...", "go-ethereum/...").
bool is_op_geth(absl::string_view client_version);

/// The parameters of the calls for a twin (execution-apis: paris, shanghai, cancun; OP Stack specs: exec-engine).
struct TwinPlan {
  /// The version of engine_newPayload, and of engine_getPayload until Karst. engine_forkchoiceUpdated has version 3
  /// from version 3 on, else 2.
  int version = 0;
  /// PayloadAttributes as JSON: those of the real block with its transactions, except prevRandao.
  std::string attributes;
  /// As JSON, with quotes; empty before Ecotone.
  std::string parent_beacon_block_root;
};

/// Whether `error_code`, the EL's answer to engine_getPayloadV<plan.version>, asks for a newer version. Karst changes
/// the version; nothing in a block shows Karst, but the EL knows its time.
bool asks_for_newer_get_payload(const TwinPlan& plan, std::int64_t error_code);

/// `new_payload`: the complete request for the real block. INVALID_ARGUMENT: not such a request.
absl::StatusOr<TwinPlan> plan_twin(const std::string& new_payload);

struct Twin {
  Hash32 hash;
  /// A complete JSON-RPC request.
  std::string new_payload;
};

/// `built`: the result of engine_getPayload. INVALID_ARGUMENT: no payload in it.
absl::StatusOr<Twin> read_twin(const TwinPlan& plan, const std::string& built);

}  // namespace towline::driver
