// Ethereum Node Records (EIP-778, scheme "v4") with the `opstack` entry of the OP specs, and the older enode URLs.
// Pure.
#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <string>

#include "libs/crypto/secp256k1.hpp"
#include "libs/p2p/multiaddr.hpp"

namespace towline::discv5 {

/// keccak256 of the uncompressed public key.
using NodeId = Hash32;
NodeId node_id_of(const secp256k1::PublicKey& key);

struct OpStack {
  std::uint64_t chain_id = 0;
  std::uint64_t version = 0;
  bool operator==(const OpStack&) const = default;
};

/// A record with a valid signature.
class Enr {
 public:
  static constexpr std::size_t kMaxSize = 300;
  /// What a node publishes of itself, with addresses of both families.
  struct Fields {
    std::optional<p2p::Ip> ip4, ip6;
    std::optional<std::uint16_t> tcp4, udp4, tcp6, udp6;
    std::optional<OpStack> opstack;
    bool operator==(const Fields&) const = default;
  };
  static Enr make(const secp256k1::SecretKey& key, std::uint64_t seq, const Fields& fields);
  /// "enr:" and base64url. INVALID_ARGUMENT names what is wrong.
  static absl::StatusOr<Enr> parse(absl::string_view text);
  static absl::StatusOr<Enr> decode(BytesView rlp);

  std::uint64_t seq() const { return seq_; }
  const secp256k1::PublicKey& public_key() const { return key_; }
  const NodeId& node_id() const { return node_id_; }
  const Fields& fields() const { return fields_; }
  /// The libp2p peer id of the same key.
  p2p::PeerId peer_id() const;
  /// The TCP address to dial: IPv4 if the record has both. nullopt: the record has no TCP address.
  std::optional<p2p::Multiaddr> multiaddr() const;
  const Bytes& encoded() const { return encoded_; }
  std::string to_string() const;
  bool operator==(const Enr& o) const { return encoded_ == o.encoded_; }

 private:
  Enr() = default;
  std::uint64_t seq_ = 0;
  secp256k1::PublicKey key_;
  NodeId node_id_;
  Fields fields_;
  Bytes encoded_;
};

/// enode://PUBLIC-KEY@HOST:TCP?discport=UDP
struct Enode {
  secp256k1::PublicKey key;
  std::string host;  // an IP address or a name
  std::uint16_t tcp = 0, udp = 0;
};
absl::StatusOr<Enode> parse_enode(absl::string_view text);

}  // namespace towline::discv5
