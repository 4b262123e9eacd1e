// Deposit transactions (type 0x7e) and the L1-info deposit that opens every block: its L1 origin and sequence number.
// Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>

#include "libs/eth/types.hpp"

namespace towline::eth {

/// OP Stack deposit transaction.
struct Deposit {
  Hash32 source_hash;
  Address from;
  std::optional<Address> to;  // absent: contract creation
  Uint256 mint;
  Uint256 value;
  std::uint64_t gas = 0;
  bool is_system = false;
  Bytes data;
};

/// `raw` with its type byte. INVALID_ARGUMENT: not a deposit, or malformed.
absl::StatusOr<Deposit> decode_deposit(BytesView raw);

enum class L1InfoLayout { bedrock, ecotone, isthmus, jovian, unknown };
const char* name(L1InfoLayout l);

struct L1Info {
  L1InfoLayout layout = L1InfoLayout::unknown;
  BlockId origin;
  std::uint64_t origin_time = 0;
  std::uint64_t sequence_number = 0;
};

/// Reads the first transaction of a block. The layout follows from selector and exact length. Of an unknown layout the
/// fields that all known layouts share are read, and `unknown` is set. The deposit's source hash must match.
absl::StatusOr<L1Info> decode_l1_info(BytesView first_transaction);

}  // namespace towline::eth
