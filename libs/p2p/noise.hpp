// Noise_XX_25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34) and what libp2p puts into it (libp2p specs,
// noise): identity keys in the handshake, muxers as early data. Pure: keys come in.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

/// One direction of an established session.
class NoiseCipher {
 public:
  explicit NoiseCipher(const Hash32& key) : key_{key} {}
  /// Appends the sealed text. At most 2^64-2 messages; a session does not live that long.
  void seal(BytesView aad, BytesView plain, Bytes& out);
  absl::Status open(BytesView aad, BytesView sealed, Bytes& out);

 private:
  FixedBytes<12> nonce();
  Hash32 key_;
  std::uint64_t count_ = 0;
};

/// The three messages of the XX pattern, without libp2p's payloads and framing.
class NoiseXx {
 public:
  NoiseXx(bool initiator, const Hash32& static_secret, const Hash32& ephemeral_secret);
  /// The next message of ours, and the next of theirs; calls alternate, the initiator writes first.
  Bytes write(BytesView payload);
  absl::StatusOr<Bytes> read(BytesView message);
  /// Messages written and read so far.
  int step() const { return step_; }
  bool done() const { return step_ == 3; }
  /// Known once it was read.
  const Hash32& remote_static() const { return remote_static_; }
  struct Ciphers {
    NoiseCipher send, receive;
  };
  /// After done().
  Ciphers split() const;

 private:
  void mix_hash(BytesView data);
  absl::Status mix_key(const Hash32& secret, const Hash32& other_public);
  void encrypt(BytesView plain, Bytes& out);
  absl::Status decrypt(BytesView sealed, Bytes& out);

  bool initiator_;
  int step_ = 0;
  Hash32 static_secret_, ephemeral_secret_;
  Hash32 remote_static_, remote_ephemeral_;
  Hash32 hash_, chaining_key_;
  std::optional<NoiseCipher> cipher_;
};

/// The handshake as libp2p does it: bytes in, bytes out, each message behind its 16-bit length.
class NoiseHandshake {
 public:
  struct Keys {
    Hash32 static_secret, ephemeral_secret;
  };
  /// `expected`: refuse everyone else. `muxers` travel as early data.
  NoiseHandshake(bool initiator, const Identity& identity, const Keys& keys, std::optional<PeerId> expected,
                 std::vector<std::string> muxers);

  struct Result {
    PublicKey remote_key;
    PeerId remote;
    /// The muxer that early data settled; else multistream decides.
    std::optional<std::string> muxer;
    NoiseXx::Ciphers ciphers;
  };
  Bytes take_output() { return std::exchange(output_, {}); }
  /// Eats from the front of `in`. UNAUTHENTICATED: a bad signature, another peer than expected, or ourselves.
  absl::StatusOr<std::optional<Result>> on_bytes(BytesView& in);

 private:
  void send(BytesView message);
  Bytes payload() const;
  absl::Status read_payload(BytesView payload);

  bool initiator_;
  const Identity& identity_;
  Hash32 static_public_;
  NoiseXx xx_;
  std::optional<PeerId> expected_;
  std::vector<std::string> muxers_, remote_muxers_;
  std::optional<PublicKey> remote_key_;
  Bytes partial_;
  Bytes output_;
};

/// An established session: whole messages of up to 65519 bytes of text, each behind its length.
class NoiseSession {
 public:
  static constexpr std::size_t kMaxText = 65535 - 16;
  explicit NoiseSession(const NoiseXx::Ciphers& ciphers) : ciphers_{ciphers} {}
  /// Appends messages that carry `text`.
  void seal(BytesView text, Bytes& out);
  /// Eats all of `in` and appends the text. DATA_LOSS: the session is over.
  absl::Status open(BytesView in, Bytes& text);

 private:
  NoiseXx::Ciphers ciphers_;
  Bytes partial_;
};

}  // namespace towline::p2p
