// The unsafe block signer as proven by L1: the block that endpoints agree on, and the value that the SystemConfig
// contract holds in its state. An endpoint's claims count only if a hash commits to them. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <simdjson.h>

#include <optional>
#include <span>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::gossip {

/// keccak256("systemconfig.unsafeblocksigner"), the storage slot of the signer in SystemConfig.
inline constexpr const char* kSignerSlot = "0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08";

struct L1Block {
  eth::BlockId id;
  std::uint64_t timestamp = 0;
  Hash32 state_root;
  bool operator==(const L1Block&) const = default;
};

/// From eth_getBlockByNumber. DATA_LOSS: the header does not hash to the claimed hash. INVALID_ARGUMENT: malformed.
absl::StatusOr<L1Block> read_l1_block(simdjson::dom::element block);

/// The highest number that at least `needed` of the heads have reached; nullopt: fewer heads.
std::optional<std::uint64_t> common_height(std::vector<std::uint64_t> heads, std::size_t needed);
/// A block that occurs at least `needed` times; nullopt: none.
std::optional<L1Block> agreed_block(std::span<const L1Block> blocks, std::size_t needed);

/// From eth_getProof of `system_config` and kSignerSlot. The zero address: nobody signs. INVALID_ARGUMENT: the proof
/// does not follow from the state of `at`. NOT_FOUND: the state proves that there is no such contract.
absl::StatusOr<Address> prove_signer(const L1Block& at, const Address& system_config, simdjson::dom::element proof);

}  // namespace towline::gossip
