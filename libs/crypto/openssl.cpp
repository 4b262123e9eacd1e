#include "libs/crypto/openssl.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace towline::crypto {
namespace {

template <auto F>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    F(p);
  }
};
using Digest = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;

constexpr std::size_t kTag = 16;

/// Calls of libcrypto that fail only when memory is exhausted or the library is broken.
void must(bool ok) {
  if (!ok) std::abort();
}

void seal(const EVP_CIPHER* cipher, BytesView key, BytesView nonce, BytesView aad, BytesView plain, Bytes& out) {
  static thread_local const Cipher c{EVP_CIPHER_CTX_new()};
  int n = 0;
  must(EVP_EncryptInit_ex(c.get(), cipher, nullptr, key.data(), nonce.data()) == 1);
  if (!aad.empty()) must(EVP_EncryptUpdate(c.get(), nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1);
  const std::size_t at = out.size();
  out.resize(at + plain.size() + kTag);
  if (!plain.empty())
    must(EVP_EncryptUpdate(c.get(), out.data() + at, &n, plain.data(), static_cast<int>(plain.size())) == 1);
  must(EVP_EncryptFinal_ex(c.get(), out.data() + at + plain.size(), &n) == 1);
  must(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_GET_TAG, kTag, out.data() + at + plain.size()) == 1);
}

bool open(const EVP_CIPHER* cipher, BytesView key, BytesView nonce, BytesView aad, BytesView sealed, Bytes& out) {
  if (sealed.size() < kTag) return false;
  static thread_local const Cipher c{EVP_CIPHER_CTX_new()};
  int n = 0;
  const std::size_t size = sealed.size() - kTag;
  must(EVP_DecryptInit_ex(c.get(), cipher, nullptr, key.data(), nonce.data()) == 1);
  if (!aad.empty()) must(EVP_DecryptUpdate(c.get(), nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1);
  const std::size_t at = out.size();
  out.resize(at + size);
  if (size > 0) must(EVP_DecryptUpdate(c.get(), out.data() + at, &n, sealed.data(), static_cast<int>(size)) == 1);
  std::array<std::uint8_t, kTag> tag{};
  std::copy_n(sealed.data() + size, kTag, tag.begin());
  must(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1);
  std::array<std::uint8_t, kTag> rest{};
  if (EVP_DecryptFinal_ex(c.get(), rest.data(), &n) == 1) return true;
  out.resize(at);
  return false;
}

}  // namespace

Hash32 sha256(std::initializer_list<BytesView> parts) {
  static thread_local const Digest d{EVP_MD_CTX_new()};
  Hash32 out;
  must(EVP_DigestInit_ex(d.get(), EVP_sha256(), nullptr) == 1);
  for (const auto& p : parts) must(EVP_DigestUpdate(d.get(), p.data(), p.size()) == 1);
  must(EVP_DigestFinal_ex(d.get(), out.data(), nullptr) == 1);
  return out;
}

Hash32 hmac_sha256(BytesView key, std::initializer_list<BytesView> parts) {
  FixedBytes<64> inner;
  if (key.size() > 64) {
    const Hash32 h = sha256({key});
    std::copy_n(h.data(), 32, inner.data());
  } else {
    std::copy(key.begin(), key.end(), inner.data());
  }
  FixedBytes<64> outer = inner;
  for (auto& b : inner.bytes) b ^= 0x36U;
  for (auto& b : outer.bytes) b ^= 0x5cU;
  Bytes text{inner.bytes.begin(), inner.bytes.end()};
  for (const auto& p : parts) text.insert(text.end(), p.begin(), p.end());
  return sha256({outer.view(), sha256({text}).view()});
}

Bytes hkdf_sha256(BytesView secret, BytesView salt, BytesView info, std::size_t size) {
  const Hash32 prk = hmac_sha256(salt, {secret});
  Bytes out;
  Hash32 block;
  for (std::uint8_t i = 1; out.size() < size; ++i) {
    const BytesView before = i == 1 ? BytesView{} : block.view();
    block = hmac_sha256(prk.view(), {before, info, BytesView{&i, 1}});
    out.insert(out.end(), block.bytes.begin(), block.bytes.end());
  }
  out.resize(size);
  return out;
}

Hash32 x25519_public(const Hash32& secret) {
  const Key k{EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.data(), Hash32::kSize)};
  Hash32 out;
  std::size_t n = Hash32::kSize;
  must(k && EVP_PKEY_get_raw_public_key(k.get(), out.data(), &n) == 1);
  return out;
}

absl::StatusOr<Hash32> x25519(const Hash32& secret, const Hash32& other_public) {
  const Key mine{EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, secret.data(), Hash32::kSize)};
  const Key theirs{EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, other_public.data(), Hash32::kSize)};
  must(mine && theirs);
  const KeyContext c{EVP_PKEY_CTX_new(mine.get(), nullptr)};
  Hash32 out;
  std::size_t n = Hash32::kSize;
  must(c && EVP_PKEY_derive_init(c.get()) == 1);
  if (EVP_PKEY_derive_set_peer(c.get(), theirs.get()) != 1 || EVP_PKEY_derive(c.get(), out.data(), &n) != 1)
    return absl::InvalidArgumentError("x25519: the other's point is of low order");
  return out;
}

void chacha_seal(const Hash32& key, const FixedBytes<12>& nonce, BytesView aad, BytesView plain, Bytes& out) {
  seal(EVP_chacha20_poly1305(), key.view(), nonce.view(), aad, plain, out);
}

absl::Status chacha_open(const Hash32& key, const FixedBytes<12>& nonce, BytesView aad, BytesView sealed, Bytes& out) {
  if (open(EVP_chacha20_poly1305(), key.view(), nonce.view(), aad, sealed, out)) return absl::OkStatus();
  return absl::DataLossError("decryption failed");
}

Bytes aes128_gcm_seal(const FixedBytes<16>& key, const FixedBytes<12>& nonce, BytesView aad, BytesView plain) {
  Bytes out;
  seal(EVP_aes_128_gcm(), key.view(), nonce.view(), aad, plain, out);
  return out;
}

absl::StatusOr<Bytes> aes128_gcm_open(const FixedBytes<16>& key, const FixedBytes<12>& nonce, BytesView aad,
                                      BytesView sealed) {
  Bytes out;
  if (!open(EVP_aes_128_gcm(), key.view(), nonce.view(), aad, sealed, out))
    return absl::DataLossError("decryption failed");
  return out;
}

Bytes aes128_ctr(const FixedBytes<16>& key, const FixedBytes<16>& iv, BytesView in) {
  const Cipher c{EVP_CIPHER_CTX_new()};
  Bytes out(in.size());
  int n = 0;
  must(EVP_EncryptInit_ex(c.get(), EVP_aes_128_ctr(), nullptr, key.data(), iv.data()) == 1);
  if (!in.empty()) must(EVP_EncryptUpdate(c.get(), out.data(), &n, in.data(), static_cast<int>(in.size())) == 1);
  return out;
}

void random_bytes(std::span<std::uint8_t> out) { must(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1); }

}  // namespace towline::crypto
