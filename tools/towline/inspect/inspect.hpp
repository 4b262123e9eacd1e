// Recomputes all derived fields of one block and names the one that does not verify: the core of `towline inspect
// block`. Pure.
#pragma once
#include <absl/strings/string_view.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"
#include "libs/rollup/config.hpp"

namespace towline::inspect {

struct Check {
  std::string field;  // the JSON name of the checked field, e.g. "transactionsRoot"
  bool ok = false;
  std::string detail;  // the result; why, if it failed
};

struct InspectReport {
  /// True when every check passed.
  bool valid = false;
  /// The first field that does not verify, and why; empty when valid. "input" when the text is no block at all.
  std::string field;
  std::string reason;
  /// The kind of text: "block file", "newPayload", "eth_getBlock" or "unknown".
  std::string kind = "unknown";
  eth::BlockRef block;
  /// For example "jovian". Without a rollup config it follows from the shape: "jovian or later". "L1 prague" for an L1
  /// block.
  std::string fork;
  bool fork_by_config = false;
  std::string engine_method;  // e.g. "engine_newPayloadV4"
  std::optional<eth::BlockId> l1_origin;
  std::uint64_t sequence_number = 0;  // with l1_origin
  std::string l1_info_layout;         // "genesis" for the block without one
  std::map<int, std::size_t> transactions_by_type;
  std::vector<Check> checks;
};

/// `text` is a block file {hash, header, raw_transactions}, a newPayload file {newPayload: {payload, sidecar}}, or an
/// eth_getBlockBy* result with full transactions (bare or inside its JSON-RPC answer). With `config` the block must be
/// one of that chain's; without, rules that need fork times are left out.
InspectReport inspect_block(absl::string_view text, const std::optional<rollup::Config>& config);

/// For people, ending in a line VALID or INVALID <field>: <reason>.
std::string to_text(const InspectReport& r);
/// One JSON object, indented; field names as in the protos.
std::string to_json(const InspectReport& r);

}  // namespace towline::inspect
