// Blocks in the encoding of debug_getRawBlock, decoded from hex. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <vector>

#include "libs/eth/types.hpp"

namespace towline::eth {

struct RawBlock {
  Header header;
  std::vector<Bytes> transactions;
};

/// Decodes rlp [header, transactions, uncles, withdrawals?]; uncles and withdrawals must be empty lists. Transactions
/// of any type are returned raw. INVALID_ARGUMENT: malformed. No hash is verified.
absl::StatusOr<RawBlock> decode_raw_block(BytesView rlp);
/// The inverse. A withdrawals list is written if the header has a withdrawals root.
Bytes encode_raw_block(const Header& h, std::span<const Bytes> transactions);

}  // namespace towline::eth
