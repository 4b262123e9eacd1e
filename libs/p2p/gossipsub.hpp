// The router of gossipsub v1.0, v1.1 and v1.2 (libp2p specs, pubsub/gossipsub) as OP Stack nodes run it: fixed topics,
// all subscribed, StrictNoSign, no peer exchange. It decides the reaction to each RPC, the receivers of a message, and
// which messages are announced and requested. Its parts decide the rest: mesh, peer_score, backoff_table, promises,
// seen_cache, message_cache, validation_queue. RPCs and the time in; RPCs and messages to validate out. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "libs/p2p/backoff_table.hpp"
#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/mesh.hpp"
#include "libs/p2p/message_cache.hpp"
#include "libs/p2p/multiaddr.hpp"
#include "libs/p2p/peer_score.hpp"
#include "libs/p2p/promises.hpp"
#include "libs/p2p/seen_cache.hpp"
#include "libs/p2p/token_bucket.hpp"
#include "libs/p2p/validation_queue.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

class Gossipsub {
 public:
  struct Params : Mesh::Degrees {
    /// The least number of peers outside the mesh to which each heartbeat announces messages.
    int d_lazy = 6;
    /// Our own messages go to all subscribed peers, not only to the mesh.
    bool flood_publish = false;
    absl::Duration heartbeat = absl::Milliseconds(500);
    double gossip_threshold = -10, publish_threshold = -40, graylist_threshold = -40, ban_threshold = -100;
    /// Bounds of the validation queue. The largest message takes twice 10 MiB: received and decoded.
    std::size_t max_pending = 256;
    std::size_t max_pending_bytes = 32U << 20U;
    std::size_t max_cache_bytes = 16U << 20U;
  };
  enum class Version { floodsub, v1_0, v1_1, v1_2 };
  /// The result of a validation. accept: the message is forwarded; ignore: dropped without a penalty; reject: dropped,
  /// and counts against every peer that brought it.
  enum class Verdict { accept, ignore, reject };

  /// The id of a message and its decoded bytes, null if it does not decode.
  struct Identified {
    MessageId id;
    SharedBytes body;
  };
  /// The topic's message encoding.
  struct Codec {
    std::function<Identified(const std::string& topic, BytesView data)> identify;
    /// The size of the decoded bytes. It must be cheap: the sender is charged before the message is decoded.
    std::function<std::size_t(BytesView data)> size;
  };

  /// A message to validate.
  struct Validation {
    MessageId id;
    std::size_t topic;  // index into the topics
    SharedBytes data;
    SharedBytes body;  // decoded; null: it does not decode
    PeerId from;
    absl::Time received;
  };
  struct Handler {
    virtual ~Handler() = default;
    /// Sends an RPC with its length prefix. A droppable RPC is dropped if the peer reads too slowly.
    virtual void send(const PeerId& to, SharedBytes frame, bool droppable) = 0;
    /// Answer with validated(), now or later.
    virtual void validate(Validation v) = 0;
    /// The peer's score fell below the ban threshold, or too many of its messages were rejected. Once per connection.
    virtual void on_bad_score(const PeerId& peer, double score) = 0;
  };

  Gossipsub(Params params, std::vector<std::string> topics, Codec codec, Handler& handler, std::uint64_t seed);

  void add_peer(const PeerId& peer, bool outbound, const Ip& ip, absl::Time now);
  /// Our stream to the peer is open. The peer gets our subscriptions.
  void peer_writable(const PeerId& peer, Version version);
  void remove_peer(const PeerId& peer, absl::Time now);
  /// An error: close the connection.
  absl::Status on_rpc(const PeerId& from, BytesView rpc, absl::Time now);
  void validated(const MessageId& id, Verdict verdict);
  /// Sends a message of our own. False: the message was seen before.
  bool publish(std::size_t topic, BytesView data, absl::Time now);
  void on_heartbeat(absl::Time now);

  /// While our own clock or signer may be wrong, invalid messages and penalties are not counted against peers.
  void suspend_penalties(bool on) { score_.suspend_penalties(on); }

  const std::vector<std::string>& topics() const { return topics_; }
  double score(const PeerId& peer) const { return score_.score(peer); }
  struct PeerView {
    std::vector<std::string> topics, mesh;
    double score = 0, app = 0, behaviour = 0, colocation = 0;
    std::uint64_t accepted = 0, rejected = 0, duplicates = 0;
  };
  PeerView view(const PeerId& peer) const;
  /// Whether the peer subscribes to at least one of our topics.
  bool subscribed(const PeerId& peer) const;
  std::size_t mesh_size(std::size_t topic) const { return mesh_[topic].size(); }

  /// Counts since the start.
  struct Stats {
    std::uint64_t received = 0, duplicates = 0, throttled = 0, refused_signed = 0, unknown_topic = 0;
    std::uint64_t accepted = 0, ignored = 0, rejected = 0;
    std::uint64_t forwarded = 0, graylisted = 0;
    std::uint64_t grafts = 0, prunes = 0, grafts_refused = 0;
    std::uint64_t ihave_sent = 0, iwant_sent = 0, iwant_served = 0, idontwant_sent = 0, idontwant_honoured = 0,
                  broken_promises = 0;
  };
  const Stats& stats() const { return stats_; }
  std::size_t cache_bytes() const { return cache_.bytes(); }

 private:
  struct Peer {
    std::optional<Version> version;  // known once writable
    bool outbound = false;
    std::uint64_t topics = 0;  // bit per topic
    std::uint64_t accepted = 0, rejected = 0, duplicates = 0;
    // Since the last heartbeat.
    int ihave_messages = 0;
    std::size_t asked_ids = 0, unwanted_ids = 0, served_bytes = 0;
    bool reported_bad = false;
    /// Ids that the peer does not want (IDONTWANT), and the heartbeat until which each counts.
    absl::flat_hash_map<MessageId, std::uint64_t> unwanted;
    /// How often the peer got a message with IWANT.
    absl::flat_hash_map<MessageId, int> served;
    TokenBucket messages{100, 400};
    TokenBucket validations{100, 400};
    bool subscribed(std::size_t topic) const { return (topics >> topic & 1U) != 0; }
  };
  using Controls = absl::flat_hash_map<PeerId, GossipRpcWriter::Control>;

  std::optional<std::size_t> topic_index(absl::string_view topic) const;
  void on_message(const PeerId& from, Peer& peer, const GossipRpc::Message& m, absl::Time now);
  void on_graft(const PeerId& from, Peer& peer, absl::string_view topic, GossipRpcWriter::Control& reply,
                absl::Time now);
  void on_prune(const PeerId& from, const GossipRpc::Prune& prune, absl::Time now);
  void on_ihave(const PeerId& from, Peer& peer, const GossipRpc::Have& have, GossipRpcWriter::Control& reply,
                absl::Time now);
  void on_iwant(const PeerId& from, Peer& peer, const std::vector<BytesView>& ids);
  void expire_peer_state(const PeerId& id, Peer& peer);
  void maintain(std::size_t topic, Controls& out, absl::Time now);
  void emit_gossip(std::size_t topic, Controls& out);

  void forward(std::size_t topic, const MessageId& id, const SharedBytes& frame, const std::vector<PeerId>& except);
  void send_idontwant(std::size_t topic, const MessageId& id, const PeerId& from);
  void send_control(const PeerId& to, const GossipRpcWriter::Control& c, bool droppable);
  SharedBytes message_frame(std::size_t topic, BytesView data) const;
  /// After a peer left the mesh: tells it with a PRUNE, and begins the back-off.
  void announce_prune(const PeerId& peer, std::size_t topic, GossipRpcWriter::Control& c, absl::Time now);
  void on_invalid(const PeerId& id, Peer& peer);
  /// Subscribed peers that speak gossipsub, outside the mesh, in random order.
  std::vector<PeerId> candidates(std::size_t topic, double least_score);

  const Params params_;
  const std::vector<std::string> topics_;
  const Codec codec_;
  Handler& handler_;
  std::mt19937_64 random_;
  absl::flat_hash_map<PeerId, Peer> peers_;
  PeerScore score_;
  std::vector<Mesh> mesh_;  // one for each topic
  BackoffTable backoff_;
  Promises promises_;
  SeenCache seen_;
  ValidationQueue pending_;
  MessageCache cache_;
  std::uint64_t heartbeats_ = 0;
  Stats stats_;
};

}  // namespace towline::p2p
