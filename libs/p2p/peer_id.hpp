// Identities of libp2p peers (libp2p specs, peer-ids): public keys of the four types, ids made of them, and the node's
// own key. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "libs/base/bytes.hpp"
#include "libs/crypto/secp256k1.hpp"

namespace towline::p2p {

enum class KeyType : std::uint8_t { rsa = 0, ed25519 = 1, secp256k1 = 2, ecdsa = 3 };
const char* name(KeyType t);

/// The multihash that identifies a peer.
class PeerId {
 public:
  PeerId() = default;
  /// INVALID_ARGUMENT unless it is an identity hash of 1 .. 42 bytes or a SHA-256.
  static absl::StatusOr<PeerId> from(BytesView multihash);
  /// "16Uiu2HA..", "12D3KooW..", "Qm..", or the CIDv1 form "bafz..".
  static absl::StatusOr<PeerId> parse(absl::string_view text);

  /// Base58.
  std::string to_string() const;
  /// The last 6 characters: enough to tell peers apart in a log.
  std::string short_string() const;
  BytesView multihash() const { return as_bytes(multihash_); }
  bool empty() const { return multihash_.empty(); }
  auto operator<=>(const PeerId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const PeerId& p) {  // NOLINT(readability-identifier-naming): Abseil looks for it
    return H::combine(std::move(h), p.multihash_);
  }

 private:
  std::string multihash_;
};

/// A peer's public key, as encoded in its PublicKey protobuf.
class PublicKey {
 public:
  /// INVALID_ARGUMENT: not a PublicKey, an unknown type, or bytes that are no key of that type; RSA keys must have 2048
  /// to 8192 bits.
  static absl::StatusOr<PublicKey> parse(BytesView protobuf);
  static PublicKey of(const secp256k1::PublicKey& key);

  KeyType type() const { return type_; }
  /// The canonical protobuf.
  const Bytes& encoded() const { return encoded_; }
  PeerId peer_id() const;
  /// Verifies a signature of the key's type (libp2p specs, peer-ids).
  bool verify(BytesView message, BytesView signature) const;

 private:
  KeyType type_ = KeyType::secp256k1;
  Bytes data_;
  Bytes encoded_;
};

/// The node's own key: secp256k1, as in op-node and kona, because discv5 needs the same key.
class Identity {
 public:
  explicit Identity(secp256k1::SecretKey key);
  const secp256k1::SecretKey& key() const { return key_; }
  const PublicKey& public_key() const { return public_key_; }
  const PeerId& peer_id() const { return peer_id_; }
  Bytes sign(BytesView message) const;

 private:
  secp256k1::SecretKey key_;
  PublicKey public_key_;
  PeerId peer_id_;
};

/// Base58 with Bitcoin's alphabet.
std::string to_base58(BytesView in);
absl::StatusOr<Bytes> parse_base58(absl::string_view text);

}  // namespace towline::p2p
