// gossipsub v1.0, v1.1 and v1.2 (libp2p specs, pubsub/gossipsub) as OP Stack nodes run it: fixed topics, all
// subscribed, StrictNoSign, no peer exchange; scores as op-node has them now (IP colocation, behaviour) and beside them
// one of our own for what a peer's messages turn out to be. RPCs and the time in; RPCs and messages to validate out.
// Pure.
#pragma once
#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/time/time.h>

#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/multiaddr.hpp"
#include "libs/p2p/token_bucket.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

using MessageId = FixedBytes<20>;

class Gossipsub {
 public:
  struct Params {
    int d = 8, d_low = 6, d_high = 12, d_lazy = 6, d_score = 4, d_out = 2;
    bool flood_publish = false;
    absl::Duration heartbeat = absl::Milliseconds(500);
    double gossip_threshold = -10, publish_threshold = -40, graylist_threshold = -40, ban_threshold = -100;
    /// Of messages that wait for a verdict, in all; the largest that there may be is twice 10 MiB.
    std::size_t max_pending = 256;
    std::size_t max_pending_bytes = 32U << 20U;
    /// Of memory for messages that others may still ask for.
    std::size_t max_cache_bytes = 16U << 20U;
  };
  enum class Version { floodsub, v1_0, v1_1, v1_2 };
  enum class Verdict { accept, ignore, reject };

  /// The id of a message, and what it decodes to where it does.
  struct Identified {
    MessageId id;
    SharedBytes body;
  };
  struct Codec {
    std::function<Identified(const std::string& topic, BytesView data)> identify;
    /// The size that it would decode to, cheap and before any work is done for it.
    std::function<std::size_t(BytesView data)> size;
  };

  struct Validation {
    MessageId id;
    std::size_t topic;  // index into the topics
    SharedBytes data;
    SharedBytes body;  // null: it does not decode
    PeerId from;
    absl::Time received;
  };
  struct Handler {
    virtual ~Handler() = default;
    /// An RPC behind its length. `droppable`: may be dropped when the peer reads too slowly.
    virtual void send(const PeerId& to, SharedBytes frame, bool droppable) = 0;
    /// Answer with validated(), now or later.
    virtual void validate(Validation v) = 0;
    /// The score fell below the ban threshold, or too many messages were rejected.
    virtual void on_bad_score(const PeerId& peer, double score) = 0;
  };

  Gossipsub(Params params, std::vector<std::string> topics, Codec codec, Handler& handler, std::uint64_t seed);

  void add_peer(const PeerId& peer, bool outbound, const Ip& ip, absl::Time now);
  /// Our stream to the peer is open; it gets our subscriptions.
  void peer_writable(const PeerId& peer, Version version);
  void remove_peer(const PeerId& peer, absl::Time now);
  /// An error: close the connection.
  absl::Status on_rpc(const PeerId& from, BytesView rpc, absl::Time now);
  void validated(const MessageId& id, Verdict verdict, absl::Time now);
  /// A message of our own; false: it was seen before.
  bool publish(std::size_t topic, BytesView data, absl::Time now);
  void on_heartbeat(absl::Time now);

  /// Nobody is punished for what may be our own mistake (a wrong clock, a wrong signer).
  void suspend_penalties(bool on) { penalties_suspended_ = on; }

  const std::vector<std::string>& topics() const { return topics_; }
  double score(const PeerId& peer) const;
  struct PeerView {
    std::vector<std::string> topics, mesh;
    double score = 0, app = 0, behaviour = 0, colocation = 0;
    std::uint64_t accepted = 0, rejected = 0, duplicates = 0;
  };
  PeerView view(const PeerId& peer) const;
  /// To one of our topics at least.
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
  std::size_t cache_bytes() const { return cache_bytes_; }

 private:
  struct Peer {
    std::optional<Version> version;  // known once writable
    bool outbound = false;
    Ip ip;
    std::uint64_t topics = 0;  // bit per topic
    double behaviour = 0, app = 0;
    double invalid = 0;  // rejected messages of late
    std::uint64_t accepted = 0, rejected = 0, duplicates = 0;
    // Since the last heartbeat.
    int have_messages = 0;
    std::size_t asked_ids = 0, unwanted_ids = 0, served_bytes = 0;
    bool reported_bad = false;
    absl::flat_hash_map<MessageId, std::uint64_t> unwanted;  // until which tick
    absl::flat_hash_map<MessageId, int> served;
    /// What it announced, was asked for and has to bring until then.
    std::deque<std::pair<MessageId, absl::Time>> promises;
    std::size_t pending = 0;
    TokenBucket messages{100, 400};
    TokenBucket validations{100, 400};
  };
  struct Pending {
    std::size_t topic;
    SharedBytes data;
    std::size_t bytes;
    std::vector<PeerId> from;
    absl::Time until;
  };
  /// A message as it is sent, so that all who get it share the bytes.
  struct Cached {
    MessageId id;
    std::size_t topic;
    SharedBytes frame;
    std::uint64_t tick;
  };
  struct Retained {
    double behaviour, app;
    absl::Time until;
  };

  std::optional<std::size_t> topic_index(absl::string_view topic) const;
  void on_message(const PeerId& from, Peer& peer, const GossipRpc::Message& m, absl::Time now);
  void on_graft(const PeerId& from, Peer& peer, absl::string_view topic, GossipRpcWriter::Control& reply,
                absl::Time now);
  void on_prune(const PeerId& from, const GossipRpc::Prune& prune, absl::Time now);
  void on_have(Peer& peer, const GossipRpc::Have& have, GossipRpcWriter::Control& reply, absl::Time now);
  void on_want(const PeerId& from, Peer& peer, const std::vector<BytesView>& ids);
  void maintain(std::size_t topic, absl::flat_hash_map<PeerId, GossipRpcWriter::Control>& out, absl::Time now);
  void emit_gossip(std::size_t topic, absl::flat_hash_map<PeerId, GossipRpcWriter::Control>& out);
  void decay(absl::Time now);

  bool room_for(const Peer& peer, std::size_t bytes) const;
  void see(const MessageId& id, absl::Time now);
  void remember(const MessageId& id, std::size_t topic, SharedBytes frame);
  void forget_oldest();
  /// It waits no more.
  Pending settle(absl::flat_hash_map<MessageId, Pending>::iterator it);
  void forward(std::size_t topic, const MessageId& id, const SharedBytes& frame, const std::vector<PeerId>& except);
  void send_control(const PeerId& to, const GossipRpcWriter::Control& c, bool droppable);
  SharedBytes message_frame(std::size_t topic, BytesView data) const;
  void graft(const PeerId& peer, std::size_t topic, GossipRpcWriter::Control& c);
  void prune(const PeerId& peer, std::size_t topic, GossipRpcWriter::Control& c, absl::Time now);
  void back_off(const PeerId& peer, std::size_t topic, absl::Duration d, absl::Time now);
  bool backing_off(const PeerId& peer, std::size_t topic, absl::Time now) const;
  double score_of(const Peer& p) const;
  double colocation_of(const Peer& p) const;
  void punish(double& counter, double by);
  /// It brought a message that breaks a rule.
  void punish_message(Peer& p);
  void judge_promises(absl::Time now);
  /// Subscribed peers that speak gossipsub, outside the mesh, in random order.
  std::vector<PeerId> candidates(std::size_t topic, double least_score);

  const Params params_;
  const std::vector<std::string> topics_;
  const Codec codec_;
  Handler& handler_;
  std::mt19937_64 random_;
  absl::flat_hash_map<PeerId, Peer> peers_;
  absl::flat_hash_map<Ip, int> peers_by_ip_;
  std::vector<absl::btree_set<PeerId>> mesh_;
  absl::flat_hash_map<std::pair<std::size_t, PeerId>, absl::Time> backoff_;
  absl::flat_hash_set<MessageId> seen_, rejected_;
  std::deque<std::pair<absl::Time, MessageId>> seen_order_;
  absl::flat_hash_map<MessageId, Pending> pending_;
  std::size_t pending_bytes_ = 0;
  std::deque<Cached> cache_;  // oldest first
  absl::flat_hash_map<MessageId, const Cached*> cache_index_;
  std::size_t cache_bytes_ = 0;
  /// Ids that somebody was asked for of late, and when.
  absl::flat_hash_map<MessageId, absl::Time> asked_;
  absl::flat_hash_map<PeerId, Retained> retained_;
  bool penalties_suspended_ = false;
  std::uint64_t tick_ = 0;
  Stats stats_;
};

}  // namespace towline::p2p
