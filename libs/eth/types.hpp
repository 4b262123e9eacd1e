// The basic values of all of Towline. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/bytes.hpp"

namespace towline::eth {

/// A block by number and hash.
struct BlockId {
  std::uint64_t number = 0;
  Hash32 hash;
  auto operator<=>(const BlockId&) const = default;
};

/// A block with the fields that place it on a chain.
struct BlockRef {
  std::uint64_t number = 0;
  Hash32 hash;
  Hash32 parent_hash;
  std::uint64_t timestamp = 0;
  auto operator<=>(const BlockRef&) const = default;
  BlockId id() const { return {number, hash}; }
};

/// The block's number; 0 for no block.
inline std::uint64_t number_of(const std::optional<BlockRef>& b) { return b ? b->number : 0; }

/// "123 (0x1234..cdef)", for logs and reasons.
std::string to_string(const BlockId& b);
inline std::string to_string(const BlockRef& b) { return to_string(b.id()); }

/// A block header of any fork. A trailing field is present exactly when the fork has it, in this order.
struct Header {
  Hash32 parent_hash;
  Hash32 sha3_uncles;
  Address miner;
  Hash32 state_root;
  Hash32 transactions_root;
  Hash32 receipts_root;
  Bloom logs_bloom;
  Uint256 difficulty;
  std::uint64_t number = 0;
  std::uint64_t gas_limit = 0;
  std::uint64_t gas_used = 0;
  std::uint64_t timestamp = 0;
  Bytes extra_data;
  Hash32 mix_hash;
  FixedBytes<8> nonce;
  std::optional<Uint256> base_fee_per_gas;         // London
  std::optional<Hash32> withdrawals_root;          // Canyon (Shanghai)
  std::optional<std::uint64_t> blob_gas_used;      // Ecotone (Cancun)
  std::optional<std::uint64_t> excess_blob_gas;    // Ecotone
  std::optional<Hash32> parent_beacon_block_root;  // Ecotone
  std::optional<Hash32> requests_hash;             // Isthmus (Prague)
  std::optional<Hash32> block_access_list_hash;    // Amsterdam (L1 only so far)
  std::optional<std::uint64_t> slot_number;        // Amsterdam
  bool operator==(const Header&) const = default;
};

/// ExecutionPayload of the Engine API with the parameters that travel beside it. Optional fields as in `Header`.
struct Payload {
  Hash32 parent_hash;
  Address fee_recipient;
  Hash32 state_root;
  Hash32 receipts_root;
  Bloom logs_bloom;
  Hash32 prev_randao;
  std::uint64_t number = 0;
  std::uint64_t gas_limit = 0;
  std::uint64_t gas_used = 0;
  std::uint64_t timestamp = 0;
  Bytes extra_data;
  Uint256 base_fee_per_gas;
  Hash32 block_hash;
  std::vector<Bytes> transactions;  // raw EIP-2718
  bool has_withdrawals = false;     // Canyon: an empty list
  std::optional<std::uint64_t> blob_gas_used;
  std::optional<std::uint64_t> excess_blob_gas;
  std::optional<Hash32> parent_beacon_block_root;
  std::optional<Hash32> withdrawals_root;    // Isthmus
  std::optional<Bytes> block_access_list;    // Amsterdam: RLP (EIP-7928); its hash is in the header
  std::optional<std::uint64_t> slot_number;  // Amsterdam
  bool operator==(const Payload&) const = default;
  BlockRef ref() const { return {number, block_hash, parent_hash, timestamp}; }
};

}  // namespace towline::eth
