// Merkle-Patricia proofs, as eth_getProof gives them: what stands under a key of a trie of which only the root is
// known. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>

#include "libs/base/bytes.hpp"

namespace towline::trie {

/// The value under `key` in the trie with this root; nullopt: it is proven that there is none. `nodes` are the encoded
/// nodes from the root down, each once; those that stand inside their parents are not among them. For the tries of
/// Ethereum's state `key` is the hash of an address or a slot. The view points into `nodes`. INVALID_ARGUMENT: they
/// prove nothing; what is wrong.
absl::StatusOr<std::optional<BytesView>> verify_proof(const Hash32& root, BytesView key, std::span<const Bytes> nodes);

}  // namespace towline::trie
