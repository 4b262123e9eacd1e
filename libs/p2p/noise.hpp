// Noise_XX_25519_ChaChaPoly_SHA256 (Noise Protocol Framework, revision 34) with libp2p's payloads (libp2p specs,
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
  /// Appends the encrypted text. The limit of 2^64-2 messages is beyond the life of a session.
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
  /// Our next message, and the peer's next message; calls alternate, the initiator writes first.
  Bytes write(BytesView payload);
  absl::StatusOr<Bytes> read(BytesView message);
  /// Messages written and read so far.
  int step() const { return step_; }
  bool done() const { return step_ == 3; }
  /// Known after the peer's message with it was read.
  const Hash32& remote_static() const { return remote_static_; }
  struct Ciphers {
    NoiseCipher send, receive;
  };
  /// Valid after done().
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

/// libp2p's handshake: bytes in, bytes out, each message with a 16-bit length prefix.
class NoiseHandshake {
 public:
  struct Keys {
    Hash32 static_secret, ephemeral_secret;
  };
  /// `expected`: any other peer is refused. `muxers` are sent as early data.
  NoiseHandshake(bool initiator, const Identity& identity, const Keys& keys, std::optional<PeerId> expected,
                 std::vector<std::string> muxers);

  struct Result {
    PublicKey remote_key;
    PeerId remote;
    /// The muxer that early data agreed on; nullopt: multistream decides.
    std::optional<std::string> muxer;
    NoiseXx::Ciphers ciphers;
  };
  Bytes take_output() { return std::exchange(output_, {}); }
  /// Removes the handshake's bytes from the front of `in`. UNAUTHENTICATED: a bad signature, another peer than
  /// expected, or ourselves.
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

/// An established session: messages of up to 65519 bytes of text, each with a length prefix.
class NoiseSession {
 public:
  static constexpr std::size_t kMaxText = 65535 - 16;
  explicit NoiseSession(const NoiseXx::Ciphers& ciphers) : ciphers_{ciphers} {}
  /// Appends messages that carry `text`.
  void seal(BytesView text, Bytes& out);
  /// Takes all of `in` and appends the decrypted text. DATA_LOSS: the session is over.
  absl::Status open(BytesView in, Bytes& text);

 private:
  NoiseXx::Ciphers ciphers_;
  Bytes partial_;
};

}  // namespace towline::p2p
