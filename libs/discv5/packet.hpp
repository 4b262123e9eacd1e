// The wire of discv5 v5.1 (devp2p, discv5-wire): packets, messages, and the keys between two nodes. Pure: nonces and
// ephemeral keys come in.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <variant>
#include <vector>

#include "libs/discv5/enr.hpp"

namespace towline::discv5 {

using MaskingIv = FixedBytes<16>;
using Nonce = FixedBytes<12>;
using IdNonce = FixedBytes<16>;
using SessionKey = FixedBytes<16>;
/// Chosen by the asker, at most 8 bytes.
using RequestId = Bytes;

inline constexpr std::size_t kMinPacket = 63, kMaxPacket = 1280;

struct Ping {
  RequestId id;
  std::uint64_t enr_seq = 0;
  bool operator==(const Ping&) const = default;
};
struct Pong {
  RequestId id;
  std::uint64_t enr_seq = 0;
  p2p::Ip ip{};  // where the asker was seen
  std::uint16_t port = 0;
  bool operator==(const Pong&) const = default;
};
struct FindNode {
  RequestId id;
  std::vector<std::uint64_t> distances{};  // 0 .. 256
  bool operator==(const FindNode&) const = default;
};
struct Nodes {
  RequestId id;
  std::uint64_t total = 1;       // messages that make up the answer
  std::vector<Bytes> records{};  // RLP; not verified here
  bool operator==(const Nodes&) const = default;
};
struct TalkRequest {
  RequestId id;
  Bytes protocol, request;
  bool operator==(const TalkRequest&) const = default;
};
struct TalkResponse {
  RequestId id;
  Bytes response;
  bool operator==(const TalkResponse&) const = default;
};
using Message = std::variant<Ping, Pong, FindNode, Nodes, TalkRequest, TalkResponse>;

Bytes encode(const Message& m);
/// INVALID_ARGUMENT: malformed. UNIMPLEMENTED: an unknown type.
absl::StatusOr<Message> decode_message(BytesView in);

struct Ordinary {
  NodeId source;
};
struct WhoAreYou {
  IdNonce id_nonce;
  std::uint64_t enr_seq = 0;
};
struct Handshake {
  NodeId source;
  secp256k1::Signature id_signature;
  secp256k1::PublicKey ephemeral_key;
  Bytes record;  // RLP; empty where the receiver has it already
};

/// An unmasked packet; its message is still encrypted.
struct Packet {
  Nonce nonce;  // in a WHOAREYOU: the nonce of the packet that it answers
  std::variant<Ordinary, WhoAreYou, Handshake> auth;
  /// masking-iv ‖ header, unmasked: the associated data of the message, and the challenge data of a WHOAREYOU.
  Bytes header;
  Bytes sealed;
};
/// INVALID_ARGUMENT: not a packet for the node `local`.
absl::StatusOr<Packet> decode_packet(const NodeId& local, BytesView in);
/// The message of an ordinary or a handshake packet. DATA_LOSS: not encrypted with this key.
absl::StatusOr<Message> open(const Packet& p, const SessionKey& key);

/// An ordinary packet for `to`, its message encrypted with `key`.
Bytes encode_ordinary(const NodeId& to, const NodeId& from, const MaskingIv& iv, const Nonce& nonce,
                      const SessionKey& key, const Message& m);
/// A packet without a session: `noise` in place of a message makes the receiver answer with WHOAREYOU.
Bytes encode_noise(const NodeId& to, const NodeId& from, const MaskingIv& iv, const Nonce& nonce, BytesView noise);
Bytes encode_handshake(const NodeId& to, const MaskingIv& iv, const Nonce& nonce, const Handshake& h,
                       const SessionKey& key, const Message& m);
struct Challenge {
  Bytes packet;
  Bytes data;  // masking-iv ‖ header
};
Challenge encode_whoareyou(const NodeId& to, const MaskingIv& iv, const Nonce& request_nonce, const WhoAreYou& w);

struct SessionKeys {
  SessionKey initiator, recipient;
};
/// `shared`: ECDH of the ephemeral and the other's static key. `a`: the initiator of the handshake; `b`: its recipient.
SessionKeys derive_keys(const secp256k1::PublicKey& shared, BytesView challenge_data, const NodeId& a, const NodeId& b);
/// What the initiator signs to prove its identity.
Hash32 id_signature_digest(BytesView challenge_data, const secp256k1::PublicKey& ephemeral, const NodeId& recipient);

}  // namespace towline::discv5
