// A libp2p node without its sockets: its peers, and which of two connections to one peer stays. A session runs the
// protocols of each connection (identify, ping, gossip), and gossipsub routes the messages. Bytes and the time in;
// bytes, messages to validate and peers out. A failed connection is marked (status()); its owner sends the rest of
// output(), then closes it. Pure.
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
    /// The addresses that identify tells peers.
    std::vector<Multiaddr> listen_addrs;
    absl::Duration negotiation_timeout = absl::Seconds(10);
    /// Bound of the bytes of partly received messages, over all peers. Above it the peer with the most bytes is
    /// disconnected.
    std::size_t max_inbound_bytes = 24U << 20U;
  };
  struct Peer {
    PeerId id;
    SocketAddress address;
    bool outbound = false;
    std::string agent, protocol_version;
    std::vector<std::string> protocols;
    /// Binary multiaddrs from the peer's identify.
    std::vector<Bytes> listen_addrs;
    absl::Time connected_at;
    absl::Duration latency;
    Gossipsub::PeerView gossip;
  };
  struct Handler {
    virtual ~Handler() = default;
    /// The peer has proven its id. An error refuses it (banned, too many peers).
    virtual absl::Status admit(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    virtual void on_peer_connected(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    /// This connection replaces the one that the peer had.
    virtual void on_peer_replaced(const PeerId& peer, const SocketAddress& address, bool outbound) = 0;
    virtual void on_peer_disconnected(const PeerId& peer, const absl::Status& why) = 0;
    virtual void on_bad_score(const PeerId& peer, double score) = 0;
    /// Answer with validated().
    virtual void validate(Gossipsub::Validation v) = 0;
  };
  Node(const Identity& identity, Options options, Gossipsub::Codec codec, Handler& handler, std::uint64_t seed,
       absl::Time now);
  ~Node() override;

  /// A socket is connected; `expected`: the peer that was dialled.
  void add_connection(ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
                      absl::Time now);
  void on_bytes(ConnectionId id, BytesView in, absl::Time now);
  /// The socket is gone.
  void remove_connection(ConnectionId id, const absl::Status& why, absl::Time now);
  bool wants_output(ConnectionId id) const;
  void output(ConnectionId id, Bytes& out, std::size_t max);
  /// The connections that have bytes to send or failed since the last call.
  std::vector<ConnectionId> take_dirty();
  /// An error: close it once output() is sent.
  absl::Status status(ConnectionId id) const;

  /// To be called at next_timer() or later.
  void on_timer(absl::Time now);
  absl::Time next_timer() const { return next_heartbeat_; }

  void validated(const MessageId& id, Gossipsub::Verdict verdict) { gossip_.validated(id, verdict); }
  bool publish(std::size_t topic, BytesView data, absl::Time now) { return gossip_.publish(topic, data, now); }
  void suspend_penalties(bool on) { gossip_.suspend_penalties(on); }
  /// Changes the addresses and tells the peers.
  void set_listen_addrs(std::vector<Multiaddr> addrs, absl::Time now);
  void disconnect(const PeerId& peer, const absl::Status& why);

  std::vector<Peer> peers() const;
  std::size_t peer_count() const { return by_peer_.size(); }
  bool connected(const PeerId& peer) const { return by_peer_.contains(peer); }
  std::size_t connection_count() const { return sessions_.size(); }
  const Gossipsub& gossip() const { return gossip_; }

 private:
  class Session;
  void send(const PeerId& to, SharedBytes frame, bool droppable) override;
  void validate(Gossipsub::Validation v) override { handler_.validate(std::move(v)); }
  void on_bad_score(const PeerId& peer, double score) override { handler_.on_bad_score(peer, score); }
  void mark(ConnectionId id);
  void hold_to_budget();
  /// The session's peer has proven its id: the peer becomes connected, or an error refuses it.
  absl::Status admit(Session& session, const PeerId& peer, absl::Time now);
  Session* session_of(const PeerId& peer);

  const Identity& identity_;
  Options options_;
  Connection::Options connection_options_;
  Handler& handler_;
  Gossipsub gossip_;
  absl::flat_hash_map<ConnectionId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<PeerId, ConnectionId> by_peer_;
  absl::flat_hash_set<ConnectionId> dirty_;
  absl::Time next_heartbeat_;
  std::size_t inbound_bytes_ = 0;
};

}  // namespace towline::p2p
