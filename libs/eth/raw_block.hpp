// Blocks as debug_getRawBlock gives them (decoded from hex); debug_getRawHeader's answer is decode_header()'s. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <vector>

#include "libs/eth/types.hpp"

namespace towline::eth {

struct RawBlock {
  Header header;
  std::vector<Bytes> transactions;
};

/// rlp [header, transactions, uncles, withdrawals?]; uncles and withdrawals must be empty lists. Transactions of any
/// type come as raw bytes. INVALID_ARGUMENT: malformed. Nothing is verified.
absl::StatusOr<RawBlock> decode_raw_block(BytesView rlp);
/// The same bytes from a block; a withdrawals list is written when the header has a withdrawals root.
Bytes encode_raw_block(const Header& h, std::span<const Bytes> transactions);

}  // namespace towline::eth
