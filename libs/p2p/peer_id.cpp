#include "libs/p2p/peer_id.hpp"

#include <absl/strings/match.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {
namespace {

constexpr absl::string_view kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::size_t kLongestIdentityHash = 42;

template <auto F>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    F(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;

/// RSA and ECDSA keys are encoded as SubjectPublicKeyInfo.
Key load(KeyType type, BytesView data) {
  if (type == KeyType::ed25519)
    return Key{EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, data.data(), data.size())};
  const unsigned char* p = data.data();
  Key k{d2i_PUBKEY(nullptr, &p, static_cast<long>(data.size()))};
  if (!k || p != data.data() + data.size()) return nullptr;
  const int bits = EVP_PKEY_bits(k.get());
  // The upper bound limits the cost of a verification.
  if (type == KeyType::rsa && (EVP_PKEY_base_id(k.get()) != EVP_PKEY_RSA || bits < 2048 || bits > 8192)) return nullptr;
  if (type == KeyType::ecdsa && EVP_PKEY_base_id(k.get()) != EVP_PKEY_EC) return nullptr;
  return k;
}

Bytes encode(KeyType type, BytesView data) {
  Bytes out;
  pb::Writer w{out};
  w.varint(1, static_cast<std::uint64_t>(type));
  w.bytes(2, data);
  return out;
}

/// RFC 4648 base32 in lower case without padding, as multibase "b" has it.
absl::StatusOr<Bytes> parse_base32(absl::string_view text) {
  Bytes out;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : text) {
    std::uint32_t v = 0;
    if (c >= 'a' && c <= 'z') {
      v = static_cast<std::uint32_t>(c - 'a');
    } else if (c >= '2' && c <= '7') {
      v = static_cast<std::uint32_t>(c - '2') + 26;
    } else {
      return absl::InvalidArgumentError("not base32");
    }
    bits = bits << 5U | v;
    if ((have += 5) >= 8) {
      have -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> have));
      bits &= (1U << have) - 1;
    }
  }
  return out;
}

}  // namespace

const char* name(KeyType t) {
  switch (t) {
    case KeyType::rsa: return "RSA";
    case KeyType::ed25519: return "Ed25519";
    case KeyType::secp256k1: return "secp256k1";
    case KeyType::ecdsa: return "ECDSA";
  }
  return "unknown";
}

std::string to_base58(BytesView in) {
  std::string digits;  // least significant first
  for (const std::uint32_t b : in) {
    std::uint32_t carry = b;
    for (char& d : digits) {
      carry += static_cast<std::uint32_t>(d) << 8U;
      d = static_cast<char>(carry % 58);
      carry /= 58;
    }
    for (; carry > 0; carry /= 58) digits.push_back(static_cast<char>(carry % 58));
  }
  const auto zeros = std::find_if(in.begin(), in.end(), [](std::uint8_t b) { return b != 0; }) - in.begin();
  std::string out(static_cast<std::size_t>(zeros), '1');
  for (auto d = digits.rbegin(); d != digits.rend(); ++d) out.push_back(kBase58[static_cast<std::size_t>(*d)]);
  return out;
}

absl::StatusOr<Bytes> parse_base58(absl::string_view text) {
  if (text.size() > 128) return absl::InvalidArgumentError("base58: too long");
  Bytes bytes;  // least significant first
  for (const char c : text) {
    const auto at = kBase58.find(c);
    if (at == absl::string_view::npos) return absl::InvalidArgumentError("base58: a character that it does not have");
    auto carry = static_cast<std::uint32_t>(at);
    for (auto& b : bytes) {
      carry += b * 58U;
      b = static_cast<std::uint8_t>(carry);
      carry >>= 8U;
    }
    for (; carry > 0; carry >>= 8U) bytes.push_back(static_cast<std::uint8_t>(carry));
  }
  const std::size_t zeros = std::min(text.find_first_not_of('1'), text.size());
  bytes.insert(bytes.end(), zeros, 0);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

absl::StatusOr<PeerId> PeerId::from(BytesView m) {
  const bool identity = m.size() > 2 && m[0] == 0 && m[1] == m.size() - 2 && m[1] <= kLongestIdentityHash;
  const bool sha256 = m.size() == 34 && m[0] == 0x12 && m[1] == 32;
  if (!identity && !sha256) return absl::InvalidArgumentError("not a peer id");
  PeerId out;
  out.multihash_ = towline::to_string(m);
  return out;
}

absl::StatusOr<PeerId> PeerId::parse(absl::string_view text) {
  if (absl::StartsWith(text, "b")) {
    // CIDv1: version 1, codec libp2p-key, multihash.
    TOWLINE_ASSIGN_OR_RETURN(const Bytes cid, parse_base32(text.substr(1, 128)));
    if (cid.size() < 2 || cid[0] != 1 || cid[1] != 0x72) return absl::InvalidArgumentError("not a peer id");
    return from(BytesView{cid}.subspan(2));
  }
  TOWLINE_ASSIGN_OR_RETURN(const Bytes multihash, parse_base58(text));
  return from(multihash);
}

std::string PeerId::to_string() const { return to_base58(multihash()); }

std::string PeerId::short_string() const {
  const std::string s = to_string();
  return s.size() <= 6 ? s : s.substr(s.size() - 6);
}

absl::StatusOr<PublicKey> PublicKey::parse(BytesView protobuf) {
  const auto bad = [](const char* why) { return absl::InvalidArgumentError(why); };
  std::optional<std::uint64_t> type;
  std::optional<BytesView> data;
  for (pb::Reader r{protobuf}; !r.empty();) {
    TOWLINE_ASSIGN_OR_RETURN(const pb::Field f, r.next());
    if (f.number == 1 && !f.is_bytes) type = f.value;
    if (f.number == 2 && f.is_bytes) data = f.bytes;
  }
  if (!type || !data) return bad("public key: type or data is missing");
  if (*type > 3) return bad("public key: unknown type");
  PublicKey out;
  out.type_ = static_cast<KeyType>(*type);
  if (out.type_ == KeyType::secp256k1) {
    TOWLINE_ASSIGN_OR_RETURN(const auto key, secp256k1::parse_public_key(*data));
    return of(key);
  }
  if (data->size() > 2048 || (out.type_ == KeyType::ed25519 && data->size() != 32) || !load(out.type_, *data))
    return bad("public key: not a key of its type");
  out.data_.assign(data->begin(), data->end());
  out.encoded_ = encode(out.type_, *data);
  return out;
}

PublicKey PublicKey::of(const secp256k1::PublicKey& key) {
  PublicKey out;
  out.data_.assign(key.bytes.begin(), key.bytes.end());
  out.encoded_ = encode(KeyType::secp256k1, key.view());
  return out;
}

PeerId PublicKey::peer_id() const {
  Bytes multihash;
  if (encoded_.size() <= kLongestIdentityHash) {
    multihash = {0, static_cast<std::uint8_t>(encoded_.size())};
    multihash.insert(multihash.end(), encoded_.begin(), encoded_.end());
  } else {
    const Hash32 h = crypto::sha256({encoded_});
    multihash = {0x12, 32};
    multihash.insert(multihash.end(), h.bytes.begin(), h.bytes.end());
  }
  return *PeerId::from(multihash);
}

bool PublicKey::verify(BytesView message, BytesView signature) const {
  if (type_ == KeyType::secp256k1)
    return secp256k1::verify_der(*secp256k1::PublicKey::from(data_), crypto::sha256({message}), signature);
  const Key key = load(type_, data_);
  const Digest d{EVP_MD_CTX_new()};
  const EVP_MD* hash = type_ == KeyType::ed25519 ? nullptr : EVP_sha256();
  return key && d && EVP_DigestVerifyInit(d.get(), nullptr, hash, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(d.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

Identity::Identity(secp256k1::SecretKey key)
    : key_{std::move(key)}, public_key_{PublicKey::of(key_.public_key())}, peer_id_{public_key_.peer_id()} {}

Bytes Identity::sign(BytesView message) const { return key_.sign_der(crypto::sha256({message})); }

}  // namespace towline::p2p
