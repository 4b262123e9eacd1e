// ECDSA and ECDH on secp256k1 (libsecp256k1). Callers make the digests. Pure: randomness comes in as bytes.
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

/// A private key; its destructor wipes it.
class SecretKey {
 public:
  /// INVALID_ARGUMENT unless `bytes` are 32 bytes and a scalar in 1 .. n-1.
  static absl::StatusOr<SecretKey> from(BytesView bytes);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  const PublicKey& public_key() const { return public_key_; }
  /// For storage only.
  BytesView secret_bytes() const { return secret_.view(); }
  /// For all kinds of signatures: nonces are deterministic (RFC 6979), and s is low.
  Signature sign(const Hash32& digest) const;
  Bytes sign_der(const Hash32& digest) const;
  RecoverableSignature sign_recoverable(const Hash32& digest) const;
  /// The shared point in compressed form, as discv5 uses it.
  absl::StatusOr<PublicKey> ecdh(const PublicKey& other) const;

 private:
  SecretKey() = default;
  Hash32 secret_;
  PublicKey public_key_;
};

/// INVALID_ARGUMENT unless `bytes` are 33 (compressed) or 65 bytes (uncompressed) and a point of the curve.
absl::StatusOr<PublicKey> parse_public_key(BytesView bytes);
/// x ‖ y. `key` must come from a function of this header, which makes it a point of the curve.
FixedBytes<64> uncompressed(const PublicKey& key);
/// The Ethereum address: the last 20 bytes of keccak(x ‖ y).
Address address_of(const PublicKey& key);

/// Accepts a high s, too.
bool verify(const PublicKey& key, const Hash32& digest, const Signature& sig);
bool verify_der(const PublicKey& key, const Hash32& digest, BytesView der);
/// INVALID_ARGUMENT: no key gives this signature.
absl::StatusOr<PublicKey> recover(const Hash32& digest, const RecoverableSignature& sig);

}  // namespace towline::secp256k1
