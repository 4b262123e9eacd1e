// A libp2p node without its sockets: connections, the protocols that every peer expects (identify, ping), and gossip.
// Bytes and the time in; bytes, messages to validate and peers out. Connections that fail are marked, and closed by the
// owner after what output() still has. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/p2p/connection.hpp"
#include "libs/p2p/gossipsub.hpp"
#include "libs/p2p/identify.hpp"

namespace towline::p2p {

using ConnectionId = std::uint64_t;

class Node final : private Gossipsub::Handler {
 public:
  struct Options {
    Gossipsub::Params gossip;
    std::vector<std::string> topics;
    std::string agent = "towline";
    /// What others are told in identify.
    std::vector<Multiaddr> listen_addrs;
    absl::Duration negotiation_timeout = absl::Seconds(10);
    /// Of messages that have arrived in part, over all peers.
    std::size_t max_inbound_bytes = 24U << 20U;
  };
  struct Peer {
    PeerId id;
    SocketAddress address;
    bool outbound = false;
    std::string agent, protocol_version;
    std::vector<std::string> protocols;
    /// Where it says that it listens, binary.
    std::vector<Bytes> listen_addrs;
    absl::Time connected_at;
    absl::Duration latency;
    Gossipsub::PeerView gossip;
  };
  struct Handler {
    virtual ~Handler() = default;
    /// Who it is was proven; an error refuses it (banned, too many).
    virtual absl::Status admit(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    virtual void on_peer_connected(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    /// A connected peer's connection was replaced by this one.
    virtual void on_peer_replaced(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    virtual void on_peer_disconnected(const PeerId& peer, const absl::Status& why) = 0;
    virtual void on_bad_score(const PeerId& peer, double score) = 0;
    /// Answer with validated().
    virtual void validate(Gossipsub::Validation v) = 0;
  };
  Node(const Identity& identity, Options options, Gossipsub::Codec codec, Handler& handler, std::uint64_t seed,
       absl::Time now);
  ~Node() override;

  /// A socket was connected; `expected` is the peer that was dialled.
  void add_connection(ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
                      absl::Time now);
  void on_bytes(ConnectionId id, BytesView in, absl::Time now);
  /// The socket is gone.
  void remove_connection(ConnectionId id, const absl::Status& why, absl::Time now);
  bool wants_output(ConnectionId id) const;
  void output(ConnectionId id, Bytes& out, std::size_t max);
  /// Connections that have something to send or are to be closed, since the last call.
  std::vector<ConnectionId> take_dirty();
  /// An error: close it once output() is sent.
  absl::Status status(ConnectionId id) const;

  /// At least as often as next_timer() says.
  void on_timer(absl::Time now);
  absl::Time next_timer() const { return next_heartbeat_; }

  void validated(const MessageId& id, Gossipsub::Verdict verdict, absl::Time now);
  bool publish(std::size_t topic, BytesView data, absl::Time now) { return gossip_.publish(topic, data, now); }
  void suspend_penalties(bool on) { gossip_.suspend_penalties(on); }
  /// Peers are told.
  void set_listen_addrs(std::vector<Multiaddr> addrs, absl::Time now);
  void disconnect(const PeerId& peer, const absl::Status& why);

  std::vector<Peer> peers() const;
  std::size_t peer_count() const { return by_peer_.size(); }
  bool connected(const PeerId& peer) const { return by_peer_.contains(peer); }
  std::size_t connection_count() const { return connections_.size(); }
  const Gossipsub& gossip() const { return gossip_; }

 private:
  class Conn;
  friend class Conn;
  void send(const PeerId& to, SharedBytes frame, bool droppable) override;
  void validate(Gossipsub::Validation v) override { handler_.validate(std::move(v)); }
  void on_bad_score(const PeerId& peer, double score) override { handler_.on_bad_score(peer, score); }
  void mark(ConnectionId id);
  void hold_to_budget();
  Conn* conn_of(const PeerId& peer);

  const Identity& identity_;
  Options options_;
  Connection::Options connection_options_;
  Handler& handler_;
  Gossipsub gossip_;
  absl::flat_hash_map<ConnectionId, std::unique_ptr<Conn>> connections_;
  absl::flat_hash_map<PeerId, ConnectionId> by_peer_;
  absl::flat_hash_set<ConnectionId> dirty_;
  absl::Time next_heartbeat_;
  std::size_t inbound_bytes_ = 0;
};

}  // namespace towline::p2p
