// One connection of a node and the protocols on its streams: identify, ping, gossip. Internal to Node. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/p2p/connection.hpp"
#include "libs/p2p/gossip_streams.hpp"
#include "libs/p2p/node.hpp"
#include "libs/p2p/remote_identify.hpp"

namespace towline::p2p {

class Node::Session final : private Connection::Handler {
 public:
  Session(Node& node, ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
          absl::Time now);

  void on_bytes(BytesView in, absl::Time now);
  void on_timer(absl::Time now);
  /// Marks the connection to be closed. The first cause is kept.
  void fail(absl::Status why);
  void lose_gossip_in() { gossip_.lose_in(); }
  void send_gossip(SharedBytes frame, bool droppable);
  /// Tells the peer of our new addresses.
  void push_identify(absl::Time now);
  Peer view() const;

  Connection& connection() { return connection_; }
  const Connection& connection() const { return connection_; }
  const absl::Status& status() const { return status_; }
  ConnectionId id() const { return id_; }
  const SocketAddress& remote() const { return remote_; }
  bool outbound() const { return outbound_; }
  /// Bytes of a partly received message.
  std::size_t buffered() const { return gossip_.buffered(); }
  /// Whether this is the peer's current session: of two connections to a peer only one is in by_peer_ and in gossip.
  bool current() const { return current_; }
  void set_current(bool on) { current_ = on; }
  const std::optional<PeerId>& peer() const { return peer_; }

 private:
  enum class Kind { identify_out, identify_in, identify_push_in, identify_push_out, ping, gossip_in, gossip_out };
  struct Stream {
    Kind kind;
    RemoteIdentify::Stream identify{};
  };

  absl::Status on_ready(const PublicKey& key, const PeerId& peer) override;
  void on_stream(StreamId id, const std::string& protocol, bool inbound) override;
  void on_stream_data(StreamId id, BytesView data) override;
  void on_stream_end(StreamId id) override;
  void on_stream_gone(StreamId id) override;

  absl::Status open(Kind kind, std::vector<std::string> protocols);
  void on_our_stream(StreamId id, const std::string& protocol);
  void on_their_stream(StreamId id, const std::string& protocol);
  void send_identify(StreamId id);
  void on_identify(StreamId id, Stream& s, BytesView data);
  void on_ping(StreamId id, BytesView data);
  void on_gossip(BytesView data);

  Node& node_;
  const ConnectionId id_;
  const bool outbound_;
  const SocketAddress remote_;
  absl::Time now_;
  Connection connection_;
  absl::Status status_;
  std::optional<PublicKey> key_;
  std::optional<PeerId> peer_;
  bool current_ = false;
  absl::Time ready_at_, subscribed_at_;
  RemoteIdentify identify_;
  GossipStreams gossip_;
  absl::flat_hash_map<StreamId, Stream> streams_;
};

}  // namespace towline::p2p
