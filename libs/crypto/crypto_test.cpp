// Known answers from RFC 5869 (HKDF), RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305), the discv5 wire vectors (ECDH,
// id signature), and the properties that callers rely on.
#include <gtest/gtest.h>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/crypto/secp256k1.hpp"

namespace towline {
namespace {

Bytes hex(const std::string& digits) { return *parse_hex("0x" + digits); }
template <std::size_t N>
FixedBytes<N> fixed(const std::string& digits) {
  return *parse_fixed_hex<N>("0x" + digits);
}
secp256k1::SecretKey key(const std::string& digits) { return *secp256k1::SecretKey::from(hex(digits)); }

TEST(Hkdf, Rfc5869Case1) {
  const auto okm = crypto::hkdf_sha256(hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                                       hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42);
  EXPECT_EQ(to_hex(okm), "0x3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST(X25519, Rfc7748) {
  const auto a = fixed<32>("77076d0a7318a57d3c16c17251b26645df1f3c0ad2f1b3f0f2c5d6e1a6d9d0e0");
  const auto b = fixed<32>("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(to_hex(crypto::x25519_public(b).view()),
            "0xde9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(*crypto::x25519(a, crypto::x25519_public(b)), *crypto::x25519(b, crypto::x25519_public(a)));
  EXPECT_FALSE(crypto::x25519(a, Hash32{}).ok()) << "a point of low order";
}

TEST(ChaChaPoly, Rfc8439) {
  const auto k = fixed<32>("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const auto nonce = fixed<12>("070000004041424344454647");
  const auto aad = hex("50515253c0c1c2c3c4c5c6c7");
  const std::string text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
      "it.";
  Bytes sealed;
  crypto::chacha_seal(k, nonce, aad, as_bytes(text), sealed);
  EXPECT_EQ(to_hex(BytesView{sealed}.last(16)), "0x1ae10b594f09e26a7e902ecbd0600691");
  Bytes out;
  ASSERT_TRUE(crypto::chacha_open(k, nonce, aad, sealed, out).ok());
  EXPECT_EQ(to_string(out), text);
  for (const std::size_t i : {std::size_t{0}, sealed.size() - 1}) {
    Bytes bad = sealed;
    bad[i] ^= 1U;
    Bytes none;
    EXPECT_FALSE(crypto::chacha_open(k, nonce, aad, bad, none).ok());
    EXPECT_TRUE(none.empty());
  }
  EXPECT_FALSE(crypto::chacha_open(k, nonce, aad, BytesView{sealed}.first(15), out).ok());
}

TEST(Secp256k1, SharedPointOfDiscv5) {
  const auto k = key("fb757dc581730490a1d7a00deea65e9b1936924caaea8f44d476014856b68736");
  const auto shared = k.ecdh(fixed<33>("039961e4c2356d61bedb83052c115d311acb3a96f5777296dcf297351130266231"));
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(to_hex(shared->view()), "0x033b11a2a1f214567e1537ce5e509ffd9b21373247f2a3ff6841f4976f53165e7e");
}

TEST(Secp256k1, SignsVerifiesAndRecovers) {
  const auto k = key("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba");
  EXPECT_EQ(to_hex(secp256k1::address_of(k.public_key()).view()), "0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc");
  const Hash32 digest = keccak256(as_bytes("text"));
  Hash32 other = digest;
  other.bytes[0] ^= 1U;
  EXPECT_TRUE(secp256k1::verify(k.public_key(), digest, k.sign(digest)));
  EXPECT_FALSE(secp256k1::verify(k.public_key(), other, k.sign(digest)));
  EXPECT_TRUE(secp256k1::verify_der(k.public_key(), digest, k.sign_der(digest)));
  EXPECT_FALSE(secp256k1::verify_der(k.public_key(), other, k.sign_der(digest)));
  EXPECT_FALSE(secp256k1::verify_der(k.public_key(), digest, {}));
  const auto sig = k.sign_recoverable(digest);
  EXPECT_EQ(*secp256k1::recover(digest, sig), k.public_key());
  EXPECT_NE(*secp256k1::recover(other, sig), k.public_key());
  auto bad = sig;
  bad.bytes[64] = 27;
  EXPECT_FALSE(secp256k1::recover(digest, bad).ok());
  EXPECT_FALSE(secp256k1::recover(digest, {}).ok());
}

TEST(Secp256k1, RefusesWhatIsNoKey) {
  EXPECT_FALSE(secp256k1::SecretKey::from(Hash32{}.view()).ok());
  EXPECT_FALSE(secp256k1::SecretKey::from(Bytes(31, 1)).ok());
  EXPECT_FALSE(secp256k1::parse_public_key(Bytes(33, 5)).ok());
  EXPECT_FALSE(secp256k1::parse_public_key({}).ok());
  const auto k = key("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba");
  Bytes full{4};
  const auto xy = secp256k1::uncompressed(k.public_key());
  full.insert(full.end(), xy.bytes.begin(), xy.bytes.end());
  EXPECT_EQ(*secp256k1::parse_public_key(full), k.public_key());
}

TEST(Aes, GcmAndCtr) {
  const auto k = fixed<16>("9f2d77db7004bf8a1a85107ac686990b");
  const auto nonce = fixed<12>("27b5af763c446acd2749fe8e");
  const auto sealed = crypto::aes128_gcm_seal(
      k, nonce, hex("93a7400fa0d6a694ebc24d5cf570f65d04215b6ac00757875e3f3a5f42107903"), hex("01c20101"));
  EXPECT_EQ(to_hex(sealed), "0xa5d12a2d94b8ccb3ba55558229867dc13bfa3648") << "discv5 wire vectors";
  EXPECT_FALSE(crypto::aes128_gcm_open(k, nonce, {}, sealed).ok());
  const auto iv = fixed<16>("00112233445566778899aabbccddeeff");
  EXPECT_EQ(crypto::aes128_ctr(k, iv, crypto::aes128_ctr(k, iv, hex("010203"))), hex("010203"));
}

}  // namespace
}  // namespace towline
