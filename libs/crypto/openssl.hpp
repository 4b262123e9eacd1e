// The wire protocols' part of OpenSSL's libcrypto: hashes, HKDF, X25519, ciphers, random bytes. Pure but for
// random_bytes().
#pragma once
#include <absl/status/statusor.h>

#include <initializer_list>

#include "libs/base/bytes.hpp"

namespace towline::crypto {

/// Of the concatenated parts.
Hash32 sha256(std::initializer_list<BytesView> parts);
Hash32 hmac_sha256(BytesView key, std::initializer_list<BytesView> parts);
/// RFC 5869 with SHA-256; at most 255 * 32 bytes.
Bytes hkdf_sha256(BytesView secret, BytesView salt, BytesView info, std::size_t size);

/// X25519 (RFC 7748): a private key is any 32 bytes.
Hash32 x25519_public(const Hash32& secret);
/// INVALID_ARGUMENT: the other public key is a point of low order.
absl::StatusOr<Hash32> x25519(const Hash32& secret, const Hash32& other_public);

/// ChaCha20-Poly1305 (RFC 8439). Appends the ciphertext and its 16-byte tag to `out`.
void chacha_seal(const Hash32& key, const FixedBytes<12>& nonce, BytesView aad, BytesView plain, Bytes& out);
/// Appends the plaintext to `out`. DATA_LOSS: not sealed with this key, nonce and aad; nothing is appended.
absl::Status chacha_open(const Hash32& key, const FixedBytes<12>& nonce, BytesView aad, BytesView sealed, Bytes& out);

/// AES-128-GCM: the ciphertext and its 16-byte tag.
Bytes aes128_gcm_seal(const FixedBytes<16>& key, const FixedBytes<12>& nonce, BytesView aad, BytesView plain);
/// The plaintext. DATA_LOSS: not sealed with this key, nonce and aad.
absl::StatusOr<Bytes> aes128_gcm_open(const FixedBytes<16>& key, const FixedBytes<12>& nonce, BytesView aad,
                                      BytesView sealed);
/// AES-128-CTR is its own inverse.
Bytes aes128_ctr(const FixedBytes<16>& key, const FixedBytes<16>& iv, BytesView in);

/// Filled by OpenSSL's generator, which the operating system seeds.
void random_bytes(std::span<std::uint8_t> out);
template <std::size_t N>
FixedBytes<N> random() {
  FixedBytes<N> out;
  random_bytes(out.bytes);
  return out;
}

}  // namespace towline::crypto
