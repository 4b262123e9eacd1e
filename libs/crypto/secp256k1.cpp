#include "libs/crypto/secp256k1.hpp"

#include <openssl/crypto.h>
#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_recovery.h>

#include <algorithm>

#include "libs/crypto/keccak.hpp"

namespace towline::secp256k1 {
namespace {

/// Made once and never changed, so threads may share it.
const secp256k1_context* context() {
  static const secp256k1_context* const c = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
  return c;
}

absl::StatusOr<secp256k1_pubkey> parse(BytesView bytes) {
  secp256k1_pubkey key;
  // The library aborts the process on empty input.
  if (bytes.empty() || secp256k1_ec_pubkey_parse(context(), &key, bytes.data(), bytes.size()) != 1)
    return absl::InvalidArgumentError("not a secp256k1 public key");
  return key;
}

PublicKey compressed(const secp256k1_pubkey& key) {
  PublicKey out;
  std::size_t n = PublicKey::kSize;
  secp256k1_ec_pubkey_serialize(context(), out.data(), &n, &key, SECP256K1_EC_COMPRESSED);
  return out;
}

secp256k1_ecdsa_signature sign_digest(const Hash32& secret, const Hash32& digest) {
  secp256k1_ecdsa_signature sig;
  secp256k1_ecdsa_sign(context(), &sig, digest.data(), secret.data(), nullptr, nullptr);
  return sig;
}

bool verify_parsed(const PublicKey& key, const Hash32& digest, secp256k1_ecdsa_signature sig) {
  const auto parsed = parse(key.view());
  if (!parsed.ok()) return false;
  secp256k1_ecdsa_signature_normalize(context(), &sig, &sig);
  return secp256k1_ecdsa_verify(context(), &sig, digest.data(), &*parsed) == 1;
}

/// Returns the shared point itself instead of its hash.
int point_of(unsigned char* out, const unsigned char* x, const unsigned char* y, void*) {
  out[0] = static_cast<unsigned char>(2U | (y[31] & 1U));
  std::copy_n(x, 32, out + 1);
  return 1;
}

}  // namespace

absl::StatusOr<SecretKey> SecretKey::from(BytesView bytes) {
  SecretKey k;
  secp256k1_pubkey pub;
  if (bytes.size() != 32 || secp256k1_ec_pubkey_create(context(), &pub, bytes.data()) != 1)
    return absl::InvalidArgumentError("not a secp256k1 private key (32 bytes, not zero)");
  k.secret_ = *Hash32::from(bytes);
  k.public_key_ = compressed(pub);
  return k;
}

SecretKey::~SecretKey() { OPENSSL_cleanse(secret_.data(), Hash32::kSize); }

Signature SecretKey::sign(const Hash32& digest) const {
  const auto sig = sign_digest(secret_, digest);
  Signature out;
  secp256k1_ecdsa_signature_serialize_compact(context(), out.data(), &sig);
  return out;
}

Bytes SecretKey::sign_der(const Hash32& digest) const {
  const auto sig = sign_digest(secret_, digest);
  Bytes out(72);
  std::size_t n = out.size();
  secp256k1_ecdsa_signature_serialize_der(context(), out.data(), &n, &sig);
  out.resize(n);
  return out;
}

RecoverableSignature SecretKey::sign_recoverable(const Hash32& digest) const {
  secp256k1_ecdsa_recoverable_signature sig;
  secp256k1_ecdsa_sign_recoverable(context(), &sig, digest.data(), secret_.data(), nullptr, nullptr);
  RecoverableSignature out;
  int v = 0;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), out.data(), &v, &sig);
  out.bytes[64] = static_cast<std::uint8_t>(v);
  return out;
}

absl::StatusOr<PublicKey> SecretKey::ecdh(const PublicKey& other) const {
  const auto key = parse(other.view());
  if (!key.ok()) return key.status();
  PublicKey out;
  if (secp256k1_ecdh(context(), out.data(), &*key, secret_.data(), point_of, nullptr) != 1)
    return absl::InvalidArgumentError("no shared secret with this key");
  return out;
}

absl::StatusOr<PublicKey> parse_public_key(BytesView bytes) {
  const auto key = parse(bytes);
  if (!key.ok()) return key.status();
  return compressed(*key);
}

FixedBytes<64> uncompressed(const PublicKey& key) {
  FixedBytes<64> out;
  const auto parsed = parse(key.view());
  if (!parsed.ok()) return out;
  std::array<std::uint8_t, 65> raw{};
  std::size_t n = raw.size();
  secp256k1_ec_pubkey_serialize(context(), raw.data(), &n, &*parsed, SECP256K1_EC_UNCOMPRESSED);
  std::copy_n(raw.begin() + 1, 64, out.data());
  return out;
}

Address address_of(const PublicKey& key) {
  const Hash32 h = keccak256(uncompressed(key).view());
  return *Address::from(h.view().subspan(12));
}

bool verify(const PublicKey& key, const Hash32& digest, const Signature& sig) {
  secp256k1_ecdsa_signature parsed;
  return secp256k1_ecdsa_signature_parse_compact(context(), &parsed, sig.data()) == 1 &&
         verify_parsed(key, digest, parsed);
}

bool verify_der(const PublicKey& key, const Hash32& digest, BytesView der) {
  secp256k1_ecdsa_signature parsed;
  return !der.empty() && secp256k1_ecdsa_signature_parse_der(context(), &parsed, der.data(), der.size()) == 1 &&
         verify_parsed(key, digest, parsed);
}

absl::StatusOr<PublicKey> recover(const Hash32& digest, const RecoverableSignature& sig) {
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey key;
  const int v = sig.bytes[64];
  if (v > 3 || secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &parsed, sig.data(), v) != 1 ||
      secp256k1_ecdsa_recover(context(), &key, &parsed, digest.data()) != 1)
    return absl::InvalidArgumentError("no key gives this signature");
  return compressed(key);
}

}  // namespace towline::secp256k1
