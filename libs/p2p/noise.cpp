#include "libs/p2p/noise.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {
namespace {

// Exactly 32 bytes, so the name itself is the first hash.
constexpr absl::string_view kName = "Noise_XX_25519_ChaChaPoly_SHA256";
constexpr absl::string_view kSignedPrefix = "noise-libp2p-static-key:";
/// Enough for the largest key that we accept. An unauthenticated peer must not make us buffer 64 KiB.
constexpr std::size_t kMaxHandshakeMessage = 8192;
constexpr std::size_t kTag = 16;
constexpr std::size_t kMaxMuxers = 100;

void append_length(std::size_t n, Bytes& out) {
  out.push_back(static_cast<std::uint8_t>(n >> 8U));
  out.push_back(static_cast<std::uint8_t>(n));
}

}  // namespace

FixedBytes<12> NoiseCipher::nonce() {
  FixedBytes<12> out;
  std::uint64_t n = count_++;
  for (std::size_t i = 4; i < 12; ++i, n >>= 8U) out.bytes[i] = static_cast<std::uint8_t>(n);
  return out;
}

void NoiseCipher::seal(BytesView aad, BytesView plain, Bytes& out) {
  crypto::chacha_seal(key_, nonce(), aad, plain, out);
}

absl::Status NoiseCipher::open(BytesView aad, BytesView sealed, Bytes& out) {
  return crypto::chacha_open(key_, nonce(), aad, sealed, out);
}

NoiseXx::NoiseXx(bool initiator, const Hash32& static_secret, const Hash32& ephemeral_secret)
    : initiator_{initiator}, static_secret_{static_secret}, ephemeral_secret_{ephemeral_secret} {
  hash_ = chaining_key_ = *Hash32::from(as_bytes(kName));
  mix_hash({});  // an empty prologue
}

void NoiseXx::mix_hash(BytesView data) { hash_ = crypto::sha256({hash_.view(), data}); }

absl::Status NoiseXx::mix_key(const Hash32& secret, const Hash32& other_public) {
  TOWLINE_ASSIGN_OR_RETURN(const Hash32 shared, crypto::x25519(secret, other_public));
  const Bytes out = crypto::hkdf_sha256(shared.view(), chaining_key_.view(), {}, 64);
  chaining_key_ = *Hash32::from(BytesView{out}.first(32));
  cipher_.emplace(*Hash32::from(BytesView{out}.last(32)));
  return absl::OkStatus();
}

void NoiseXx::encrypt(BytesView plain, Bytes& out) {
  const std::size_t at = out.size();
  if (cipher_) {
    cipher_->seal(hash_.view(), plain, out);
  } else {
    out.insert(out.end(), plain.begin(), plain.end());
  }
  mix_hash(BytesView{out}.subspan(at));
}

absl::Status NoiseXx::decrypt(BytesView sealed, Bytes& out) {
  if (cipher_) {
    TOWLINE_RETURN_IF_ERROR(cipher_->open(hash_.view(), sealed, out));
  } else {
    out.insert(out.end(), sealed.begin(), sealed.end());
  }
  mix_hash(sealed);
  return absl::OkStatus();
}

Bytes NoiseXx::write(BytesView payload) {
  Bytes out;
  const Hash32 e = crypto::x25519_public(ephemeral_secret_);
  // read() checked the peer's points, so the key agreements here cannot fail.
  switch (step_++) {
    case 0:  // -> e
      out.assign(e.bytes.begin(), e.bytes.end());
      mix_hash(e.view());
      break;
    case 1:  // <- e, ee, s, es
      out.assign(e.bytes.begin(), e.bytes.end());
      mix_hash(e.view());
      mix_key(ephemeral_secret_, remote_ephemeral_).IgnoreError();
      encrypt(crypto::x25519_public(static_secret_).view(), out);
      mix_key(static_secret_, remote_ephemeral_).IgnoreError();
      break;
    default:  // -> s, se
      encrypt(crypto::x25519_public(static_secret_).view(), out);
      mix_key(static_secret_, remote_ephemeral_).IgnoreError();
  }
  encrypt(payload, out);
  return out;
}

absl::StatusOr<Bytes> NoiseXx::read(BytesView message) {
  const auto take = [&](std::size_t n) -> absl::StatusOr<BytesView> {
    if (message.size() < n) return absl::InvalidArgumentError("noise: message too short");
    const BytesView v = message.first(n);
    message = message.subspan(n);
    return v;
  };
  const auto read_ephemeral = [&]() -> absl::Status {
    TOWLINE_ASSIGN_OR_RETURN(const BytesView e, take(32));
    remote_ephemeral_ = *Hash32::from(e);
    mix_hash(e);
    // Refuses a point of low order before it is used.
    return crypto::x25519(ephemeral_secret_, remote_ephemeral_).status();
  };
  const auto read_static = [&]() -> absl::Status {
    TOWLINE_ASSIGN_OR_RETURN(const BytesView s, take(32 + kTag));
    Bytes key;
    TOWLINE_RETURN_IF_ERROR(decrypt(s, key));
    remote_static_ = *Hash32::from(key);
    return absl::OkStatus();
  };
  switch (step_++) {
    case 0: TOWLINE_RETURN_IF_ERROR(read_ephemeral()); break;
    case 1:
      TOWLINE_RETURN_IF_ERROR(read_ephemeral());
      TOWLINE_RETURN_IF_ERROR(mix_key(ephemeral_secret_, remote_ephemeral_));
      TOWLINE_RETURN_IF_ERROR(read_static());
      TOWLINE_RETURN_IF_ERROR(mix_key(ephemeral_secret_, remote_static_));
      break;
    default:
      TOWLINE_RETURN_IF_ERROR(read_static());
      TOWLINE_RETURN_IF_ERROR(mix_key(ephemeral_secret_, remote_static_));
  }
  Bytes payload;
  TOWLINE_RETURN_IF_ERROR(decrypt(message, payload));
  return payload;
}

NoiseXx::Ciphers NoiseXx::split() const {
  const Bytes keys = crypto::hkdf_sha256({}, chaining_key_.view(), {}, 64);
  const NoiseCipher first{*Hash32::from(BytesView{keys}.first(32))};
  const NoiseCipher second{*Hash32::from(BytesView{keys}.last(32))};
  return initiator_ ? Ciphers{first, second} : Ciphers{second, first};
}

NoiseHandshake::NoiseHandshake(bool initiator, const Identity& identity, const Keys& keys,
                               std::optional<PeerId> expected, std::vector<std::string> muxers)
    : initiator_{initiator},
      identity_{identity},
      static_public_{crypto::x25519_public(keys.static_secret)},
      xx_{initiator, keys.static_secret, keys.ephemeral_secret},
      expected_{std::move(expected)},
      muxers_{std::move(muxers)} {
  if (initiator_) send(xx_.write({}));
}

void NoiseHandshake::send(BytesView message) {
  append_length(message.size(), output_);
  output_.insert(output_.end(), message.begin(), message.end());
}

Bytes NoiseHandshake::payload() const {
  Bytes to_sign{kSignedPrefix.begin(), kSignedPrefix.end()};
  to_sign.insert(to_sign.end(), static_public_.bytes.begin(), static_public_.bytes.end());
  Bytes out;
  pb::Writer w{out};
  w.bytes(1, identity_.public_key().encoded());
  w.bytes(2, identity_.sign(to_sign));
  Bytes extensions;
  for (const auto& m : muxers_) pb::Writer{extensions}.string(2, m);
  if (!extensions.empty()) w.bytes(4, extensions);
  return out;
}

absl::Status NoiseHandshake::read_payload(BytesView in) {
  BytesView key, signature, extensions;
  for (pb::Reader r{in}; !r.empty();) {
    TOWLINE_ASSIGN_OR_RETURN(const auto f, r.next());
    if (!f.is_bytes) continue;
    if (f.number == 1) key = f.bytes;
    if (f.number == 2) signature = f.bytes;
    if (f.number == 4) extensions = f.bytes;
  }
  TOWLINE_ASSIGN_OR_RETURN(remote_key_, PublicKey::parse(key));
  Bytes signed_text{kSignedPrefix.begin(), kSignedPrefix.end()};
  const Hash32& s = xx_.remote_static();
  signed_text.insert(signed_text.end(), s.bytes.begin(), s.bytes.end());
  if (!remote_key_->verify(signed_text, signature)) return absl::UnauthenticatedError("noise: bad identity signature");
  const PeerId id = remote_key_->peer_id();
  if (expected_ && id != *expected_)
    return absl::UnauthenticatedError(absl::StrCat("noise: it is ", id.to_string(), ", not the peer that was dialled"));
  if (id == identity_.peer_id()) return absl::UnauthenticatedError("noise: this is ourselves");
  for (pb::Reader r{extensions}; !r.empty();) {
    TOWLINE_ASSIGN_OR_RETURN(const auto f, r.next());
    if (f.number == 2 && f.is_bytes && remote_muxers_.size() < kMaxMuxers)
      remote_muxers_.push_back(towline::to_string(f.bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<NoiseHandshake::Result>> NoiseHandshake::on_bytes(BytesView& in) {
  while (!xx_.done()) {
    // Takes only the missing bytes of this message: after the last one the session begins.
    const auto want = [&]() -> std::size_t {
      if (partial_.size() < 2) return 2;
      return 2U + (static_cast<std::size_t>(partial_[0]) << 8U | partial_[1]);
    };
    while (partial_.size() < want() && !in.empty()) {
      const std::size_t n = std::min(want() - partial_.size(), in.size());
      partial_.insert(partial_.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
      in = in.subspan(n);
      if (want() > kMaxHandshakeMessage) return absl::ResourceExhaustedError("noise: handshake message too long");
    }
    if (partial_.size() < want()) return std::nullopt;
    // The initiator's first message carries no identity.
    const bool has_identity = xx_.step() > 0;
    TOWLINE_ASSIGN_OR_RETURN(const Bytes payload_in, xx_.read(BytesView{partial_}.subspan(2)));
    partial_.clear();
    if (has_identity) TOWLINE_RETURN_IF_ERROR(read_payload(payload_in));
    if (!xx_.done()) send(xx_.write(payload()));
  }
  std::optional<std::string> muxer;
  const auto& first = initiator_ ? muxers_ : remote_muxers_;
  const auto& second = initiator_ ? remote_muxers_ : muxers_;
  const auto m = std::find_if(first.begin(), first.end(), [&](const std::string& s) {
    return std::find(second.begin(), second.end(), s) != second.end();
  });
  if (m != first.end()) muxer = *m;
  return Result{*remote_key_, remote_key_->peer_id(), muxer, xx_.split()};
}

void NoiseSession::seal(BytesView text, Bytes& out) {
  while (!text.empty()) {
    const BytesView part = text.first(std::min(text.size(), kMaxText));
    append_length(part.size() + kTag, out);
    ciphers_.send.seal({}, part, out);
    text = text.subspan(part.size());
  }
}

absl::Status NoiseSession::open(BytesView in, Bytes& text) {
  const auto length = [](BytesView v) { return static_cast<std::size_t>(v[0]) << 8U | v[1]; };
  // The rest of a partly received message is joined; whole messages are decrypted in place.
  if (!partial_.empty()) {
    while (!in.empty() && (partial_.size() < 2 || partial_.size() < 2 + length(partial_))) {
      const std::size_t whole = partial_.size() < 2 ? 2 : 2 + length(partial_);
      const std::size_t n = std::min(whole - partial_.size(), in.size());
      partial_.insert(partial_.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
      in = in.subspan(n);
    }
    if (partial_.size() < 2 || partial_.size() < 2 + length(partial_)) return absl::OkStatus();
    TOWLINE_RETURN_IF_ERROR(ciphers_.receive.open({}, BytesView{partial_}.subspan(2), text));
    partial_.clear();
  }
  while (in.size() >= 2 && in.size() >= 2 + length(in)) {
    const std::size_t n = length(in);
    TOWLINE_RETURN_IF_ERROR(ciphers_.receive.open({}, in.subspan(2, n), text));
    in = in.subspan(2 + n);
  }
  partial_.assign(in.begin(), in.end());
  return absl::OkStatus();
}

}  // namespace towline::p2p
