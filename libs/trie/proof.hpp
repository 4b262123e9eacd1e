// Merkle-Patricia proofs from eth_getProof: the value of a key in a trie of which only the root is known. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>

#include "libs/base/bytes.hpp"

namespace towline::trie {

/// The value of `key` in the trie with this root; nullopt: proven to have none. `nodes` are the encoded nodes from the
/// root down, each once, without nodes that are embedded in their parents. For the tries of Ethereum's state `key` is
/// the hash of an address or a slot. The view points into `nodes`. INVALID_ARGUMENT: no proof; the message says what is
/// wrong.
absl::StatusOr<std::optional<BytesView>> verify_proof(const Hash32& root, BytesView key, std::span<const Bytes> nodes);

}  // namespace towline::trie
