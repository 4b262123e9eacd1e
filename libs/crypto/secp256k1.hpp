// ECDSA and ECDH on secp256k1 (libsecp256k1). Digests are made by the caller. Pure: randomness comes in as bytes.
#pragma once
#include <absl/status/statusor.h>

#include "libs/base/bytes.hpp"

namespace towline::secp256k1 {

/// SEC 1 compressed point.
using PublicKey = FixedBytes<33>;
/// r ‖ s.
using Signature = FixedBytes<64>;
/// r ‖ s ‖ v with v in 0..3.
using RecoverableSignature = FixedBytes<65>;

/// A private key; wiped when it goes.
class SecretKey {
 public:
  /// INVALID_ARGUMENT unless it is 32 bytes and a scalar in 1 .. n-1.
  static absl::StatusOr<SecretKey> from(BytesView bytes);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  const PublicKey& public_key() const { return public_key_; }
  /// For storage only.
  BytesView secret_bytes() const { return secret_.view(); }
  /// Nonces are deterministic (RFC 6979) and s is low, in all three.
  Signature sign(const Hash32& digest) const;
  Bytes sign_der(const Hash32& digest) const;
  RecoverableSignature sign_recoverable(const Hash32& digest) const;
  /// The shared point in compressed form, as discv5 wants it.
  absl::StatusOr<PublicKey> ecdh(const PublicKey& other) const;

 private:
  SecretKey() = default;
  Hash32 secret_;
  PublicKey public_key_;
};

/// INVALID_ARGUMENT unless it is 33 (compressed) or 65 bytes (uncompressed) and on the curve.
absl::StatusOr<PublicKey> parse_public_key(BytesView bytes);
/// x ‖ y; `key` must have come from here.
FixedBytes<64> uncompressed(const PublicKey& key);
/// The last 20 bytes of keccak(x ‖ y).
Address address_of(const PublicKey& key);

/// High s is accepted.
bool verify(const PublicKey& key, const Hash32& digest, const Signature& sig);
bool verify_der(const PublicKey& key, const Hash32& digest, BytesView der);
/// INVALID_ARGUMENT: no key gives this signature.
absl::StatusOr<PublicKey> recover(const Hash32& digest, const RecoverableSignature& sig);

}  // namespace towline::secp256k1
