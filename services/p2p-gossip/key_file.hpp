// The node's private key on disk, in op-node's format: 64 hex digits.
#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "libs/crypto/secp256k1.hpp"

namespace towline::gossip {

/// 64 hex digits, with or without 0x. Errors never quote them.
absl::StatusOr<secp256k1::SecretKey> parse_key(absl::string_view text);

/// Reads the key. If there is no file, creates a key that only its owner can read. Errors name the file, never the key.
absl::StatusOr<secp256k1::SecretKey> read_or_make_key(const std::string& path);

}  // namespace towline::gossip
