#include "libs/p2p/node.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"

namespace towline::p2p {
namespace {

const std::string kIdentify = "/ipfs/id/1.0.0";
const std::string kIdentifyPush = "/ipfs/id/push/1.0.0";
const std::string kPing = "/ipfs/ping/1.0.0";
constexpr absl::string_view kGossip[] = {"/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0"};
constexpr Gossipsub::Version kVersions[] = {Gossipsub::Version::v1_2, Gossipsub::Version::v1_1,
                                            Gossipsub::Version::v1_0, Gossipsub::Version::floodsub};
constexpr std::size_t kMaxRpc = 10U << 20U;
constexpr std::size_t kMaxIdentify = 8192;
constexpr int kMaxIdentifyParts = 10;
/// The first heartbeat comes soon, so that a mesh is there soon.
constexpr absl::Duration kFirstHeartbeat = absl::Milliseconds(100);
/// What may wait for a slow reader before blocks and gossip to it are dropped, and before it is let go.
constexpr std::size_t kMaxQueued = 4U << 20U, kMaxQueuedWithControl = 16U << 20U;
constexpr absl::Duration kStalled = absl::Seconds(30);
/// A lost gossip stream is opened again, at once where that does not happen often.
constexpr double kReopens = 1.0 / 60, kReopensBurst = 5;
constexpr absl::Duration kReopenLater = absl::Seconds(30);
/// From the first byte of an RPC to its last.
constexpr absl::Duration kRpcTime = absl::Seconds(30);
constexpr std::size_t kMaxPingsPerPeer = 2;
/// go-libp2p asks who we are once for each connection. Where that fails it never subscribes, and takes the place of a
/// peer that would: the next connection asks again.
constexpr absl::Duration kSubscribes = absl::Minutes(1);

std::vector<std::string> gossip_protocols() { return {std::begin(kGossip), std::end(kGossip)}; }

SharedBytes shared(Bytes b) { return std::make_shared<const Bytes>(std::move(b)); }

}  // namespace

/// One connection and the protocols on it.
class Node::Conn final : private Connection::Handler {
 public:
  Conn(Node& node, ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
       absl::Time now)
      : node_{node},
        id_{id},
        outbound_{dialer},
        remote_{remote},
        now_{now},
        connection_{dialer,
                    node.identity_,
                    {crypto::random<32>(), crypto::random<32>()},
                    std::move(expected),
                    node.connection_options_,
                    *this,
                    now} {}

  void on_bytes(BytesView in, absl::Time now) {
    now_ = now;
    if (!status_.ok()) return;
    if (auto st = connection_.on_bytes(in, now); !st.ok()) fail(std::move(st));
  }
  void on_timer(absl::Time now) {
    now_ = now;
    if (!status_.ok()) return;
    if (auto st = connection_.on_timer(now); !st.ok()) return fail(std::move(st));
    const std::size_t queued = gossip_out_ ? connection_.queued(*gossip_out_) : 0;
    if (queued == 0 || queued < last_queued_) progress_at_ = now;
    last_queued_ = queued;
    if (gossip_reader_.buffered() > 0 && now - rpc_since_ > kRpcTime)
      return fail(absl::DeadlineExceededError("a message of the peer does not come to its end"));
    if (!current_ || node_.gossip_.subscribed(*peer_)) subscribed_at_ = now;
    if (now - subscribed_at_ > kSubscribes)
      return fail(absl::UnavailableError("the peer subscribes to none of the chain's topics"));
    if (current_ && now >= reopen_at_) {
      reopen_at_ = absl::InfiniteFuture();
      if (auto st = open(Kind::gossip_out, gossip_protocols()); !st.ok()) return fail(std::move(st));
    }
    if (queued > kMaxQueuedWithControl || now - progress_at_ > kStalled)
      fail(absl::DeadlineExceededError("the peer does not read what it is sent"));
  }
  /// The first cause stays.
  void fail(absl::Status why) {
    if (!status_.ok()) return;
    status_ = std::move(why);
    node_.mark(id_);
  }
  /// Lets go of the stream that the peer gossips on, and of what came of it in part.
  void lose_gossip_in() {
    gossip_in_.reset();
    node_.inbound_bytes_ -= gossip_reader_.buffered();
    gossip_reader_ = DelimitedReader{kMaxRpc};
  }
  void send_gossip(SharedBytes frame, bool droppable) {
    if (!gossip_out_ || (droppable && connection_.queued(*gossip_out_) > kMaxQueued)) return;
    connection_.write(*gossip_out_, std::move(frame));
    node_.mark(id_);
  }
  void push_identify(absl::Time now) {
    now_ = now;
    // Who cannot be told now asks when it connects again.
    if (speaks(std::array{kIdentifyPush})) (void)open(Kind::identify_push_out, {kIdentifyPush});
    node_.mark(id_);
  }
  Peer view() const {
    Peer p;
    p.id = *peer_;
    p.address = remote_;
    p.outbound = outbound_;
    p.agent = identify_.agent_version;
    p.protocol_version = identify_.protocol_version;
    p.protocols = identify_.protocols;
    p.listen_addrs = identify_.listen_addrs;
    p.connected_at = ready_at_;
    p.latency = connection_.latency();
    return p;
  }

  Connection& connection() { return connection_; }
  const Connection& connection() const { return connection_; }
  const absl::Status& status() const { return status_; }
  const std::optional<PeerId>& peer() const { return peer_; }
  bool outbound() const { return outbound_; }
  std::size_t buffered() const { return gossip_reader_.buffered(); }
  /// It stands for its peer in by_peer_ and in the gossip.
  bool current() const { return current_; }
  void set_current(bool on) { current_ = on; }

 private:
  enum class Kind { identify_out, identify_in, identify_push, identify_push_out, ping, gossip_in, gossip_out };
  struct Stream {
    Kind kind;
    DelimitedReader identify{kMaxIdentify};
    int parts = 0;
  };

  absl::Status on_ready(const PublicKey& key, const PeerId& peer) override {
    key_ = key;
    peer_ = peer;
    ready_at_ = progress_at_ = subscribed_at_ = now_;
    if (auto st = node_.handler_.admit(peer, remote_, outbound_); !st.ok()) {
      peer_.reset();
      return st;
    }
    if (Conn* other = node_.conn_of(peer)) {
      // Both dialled at once: both ends keep the one that the smaller id dialled. Else the peer came back before its
      // old connection was seen to be dead.
      const bool keep_outbound = node_.identity_.peer_id() < peer;
      if (other->outbound() != outbound_ && outbound_ != keep_outbound) {
        peer_.reset();
        return absl::AlreadyExistsError("connected twice");
      }
      node_.gossip_.remove_peer(peer, now_);
      other->set_current(false);
      other->fail(absl::AlreadyExistsError("connected again"));
      node_.handler_.on_peer_replaced(peer, remote_, outbound_);
    } else {
      node_.handler_.on_peer_connected(peer, remote_, outbound_);
    }
    current_ = true;
    node_.by_peer_[peer] = id_;
    node_.gossip_.add_peer(peer, outbound_, remote_.ip, now_);
    TOWLINE_RETURN_IF_ERROR(open(Kind::identify_out, {kIdentify}));
    return open(Kind::gossip_out, gossip_protocols());
  }

  /// It said so in identify.
  template <typename Protocols>
  bool speaks(const Protocols& any_of) const {
    return std::any_of(identify_.protocols.begin(), identify_.protocols.end(), [&](const auto& p) {
      return std::find(std::begin(any_of), std::end(any_of), p) != std::end(any_of);
    });
  }

  absl::Status open(Kind kind, std::vector<std::string> protocols) {
    TOWLINE_ASSIGN_OR_RETURN(const StreamId id, connection_.open(std::move(protocols), now_));
    streams_[id] = {kind};
    return absl::OkStatus();
  }

  void on_stream(StreamId id, const std::string& protocol, bool inbound) override {
    if (!inbound) {
      const Kind kind = streams_.at(id).kind;
      if (kind == Kind::identify_out) connection_.finish(id);
      if (kind == Kind::identify_push_out) say_who_we_are(id);
      if (kind == Kind::gossip_out && current_) {
        const auto* v = std::find(std::begin(kGossip), std::end(kGossip), protocol);
        gossip_out_ = id;
        node_.gossip_.peer_writable(*peer_, kVersions[v - std::begin(kGossip)]);
      }
      return;
    }
    if (protocol == kIdentify) {
      say_who_we_are(id);
      streams_[id] = {Kind::identify_in};
    } else if (protocol == kIdentifyPush) {
      streams_[id] = {Kind::identify_push};
    } else if (protocol == kPing) {
      const auto pings =
          std::count_if(streams_.begin(), streams_.end(), [](const auto& s) { return s.second.kind == Kind::ping; });
      if (static_cast<std::size_t>(pings) >= kMaxPingsPerPeer) return connection_.reset(id);
      streams_[id] = {Kind::ping};
    } else {
      // A new one replaces the old one: the peer gave that up.
      if (gossip_in_) {
        connection_.reset(*gossip_in_);
        streams_.erase(*gossip_in_);
        node_.inbound_bytes_ -= gossip_reader_.buffered();
        gossip_reader_ = DelimitedReader{kMaxRpc};
      }
      gossip_in_ = id;
      streams_[id] = {Kind::gossip_in};
    }
  }

  void on_stream_data(StreamId id, BytesView data) override {
    const auto it = streams_.find(id);
    if (it == streams_.end() || !status_.ok()) return;
    Stream& s = it->second;
    switch (s.kind) {
      case Kind::identify_out:
      case Kind::identify_push: return on_identify(id, s, data);
      case Kind::ping:
        if (connection_.queued(id) > 4096) return fail(absl::ResourceExhaustedError("ping: the peer does not read"));
        return connection_.write(id, shared({data.begin(), data.end()}));
      case Kind::gossip_in: return on_gossip(data);
      case Kind::identify_in:
      case Kind::identify_push_out:
      case Kind::gossip_out: return;
    }
  }

  void say_who_we_are(StreamId id) {
    Identify mine;
    mine.public_key = node_.identity_.public_key().encoded();
    for (const auto& a : node_.options_.listen_addrs) mine.listen_addrs.push_back(a.encode());
    mine.protocols = node_.connection_options_.protocols;
    Multiaddr seen;
    seen.ip = remote_.ip;
    seen.tcp = remote_.port;
    mine.observed_addr = seen.encode();
    mine.protocol_version = "optimism";
    mine.agent_version = node_.options_.agent;
    Bytes out;
    append_delimited(mine.encode(), out);
    connection_.write(id, shared(std::move(out)));
    connection_.finish(id);
  }

  void on_identify(StreamId id, Stream& s, BytesView data) {
    s.identify.append(data);
    while (true) {
      const auto message = s.identify.next();
      if (!message.ok() || s.parts >= kMaxIdentifyParts) {
        streams_.erase(id);
        return connection_.reset(id);
      }
      if (!*message) return;
      Identify merged = ++s.parts == 1 ? Identify{} : identify_;
      if (const auto st = merged.merge(**message); !st.ok()) return fail(st);
      if (!merged.public_key.empty() && merged.public_key != key_->encoded())
        return fail(absl::UnauthenticatedError("identify: another key than the connection's"));
      // A push says what has changed, often only the protocols and addresses.
      if (merged.agent_version.empty()) merged.agent_version = identify_.agent_version;
      if (merged.protocol_version.empty()) merged.protocol_version = identify_.protocol_version;
      identify_ = std::move(merged);
      if (reopen_at_ != absl::InfiniteFuture() && speaks(kGossip)) reopen_at_ = now_;
    }
  }

  void on_gossip(BytesView data) {
    node_.inbound_bytes_ -= gossip_reader_.buffered();
    if (gossip_reader_.buffered() == 0) rpc_since_ = now_;
    gossip_reader_.append(data);
    absl::Status st;
    while (st.ok()) {
      const auto rpc = gossip_reader_.next();
      if (!rpc.ok()) st = rpc.status();
      if (!rpc.ok() || !*rpc) break;
      rpc_since_ = now_;
      if (current_) st = node_.gossip_.on_rpc(*peer_, **rpc, now_);
    }
    node_.inbound_bytes_ += gossip_reader_.buffered();
    if (!st.ok()) return fail(std::move(st));
    node_.hold_to_budget();
  }

  void on_stream_end(StreamId id) override {
    const auto it = streams_.find(id);
    if (it == streams_.end()) return;
    const Kind kind = it->second.kind;
    // Their half of our gossip stream is never used, whether it is open or not.
    if (kind == Kind::gossip_out) return;
    streams_.erase(it);
    if (kind == Kind::gossip_in) {
      connection_.reset(id);
      return lose_gossip_in();
    }
    connection_.finish(id);
  }

  void on_stream_gone(StreamId id) override {
    const auto it = streams_.find(id);
    if (it == streams_.end()) return;
    const Kind kind = it->second.kind;
    streams_.erase(it);
    if (kind == Kind::gossip_in) return lose_gossip_in();
    if (kind != Kind::gossip_out) return;
    const bool was_open = gossip_out_.has_value();
    gossip_out_.reset();
    // Lost: it restarted that part of itself. Refused: it has no gossip, or not yet.
    reopen_at_ = was_open && reopens_.take(1, now_) ? now_ : now_ + kReopenLater;
  }

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
  absl::Time ready_at_;
  Identify identify_;
  absl::flat_hash_map<StreamId, Stream> streams_;
  std::optional<StreamId> gossip_in_, gossip_out_;
  DelimitedReader gossip_reader_{kMaxRpc};
  TokenBucket reopens_{kReopens, kReopensBurst};
  absl::Time reopen_at_ = absl::InfiniteFuture();
  absl::Time rpc_since_;
  std::size_t last_queued_ = 0;
  absl::Time progress_at_, subscribed_at_;
};

Node::Node(const Identity& identity, Options options, Gossipsub::Codec codec, Handler& handler, std::uint64_t seed,
           absl::Time now)
    : identity_{identity},
      options_{std::move(options)},
      handler_{handler},
      gossip_{options_.gossip, options_.topics, std::move(codec), *this, seed},
      next_heartbeat_{now + kFirstHeartbeat} {
  connection_options_.negotiation_timeout = options_.negotiation_timeout;
  connection_options_.protocols = {kIdentify, kIdentifyPush, kPing};
  // Nobody needs us to flood: who has no more than floodsub is still served on our own stream to it.
  for (std::size_t i = 0; i < 3; ++i) connection_options_.protocols.emplace_back(kGossip[i]);
}

Node::~Node() = default;

void Node::add_connection(ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
                          absl::Time now) {
  connections_[id] = std::make_unique<Conn>(*this, id, dialer, remote, std::move(expected), now);
  mark(id);
}

void Node::on_bytes(ConnectionId id, BytesView in, absl::Time now) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  it->second->on_bytes(in, now);
  mark(id);
}

void Node::remove_connection(ConnectionId id, const absl::Status& why, absl::Time now) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  const std::unique_ptr<Conn> conn = std::move(it->second);
  connections_.erase(it);
  dirty_.erase(id);
  inbound_bytes_ -= conn->buffered();
  if (!conn->current()) return;
  by_peer_.erase(*conn->peer());
  gossip_.remove_peer(*conn->peer(), now);
  handler_.on_peer_disconnected(*conn->peer(), conn->status().ok() ? why : conn->status());
}

bool Node::wants_output(ConnectionId id) const {
  const auto it = connections_.find(id);
  return it != connections_.end() && it->second->connection().wants_output();
}

void Node::output(ConnectionId id, Bytes& out, std::size_t max) {
  const auto it = connections_.find(id);
  if (it != connections_.end()) it->second->connection().output(out, max);
}

std::vector<ConnectionId> Node::take_dirty() {
  std::vector<ConnectionId> out{dirty_.begin(), dirty_.end()};
  dirty_.clear();
  return out;
}

absl::Status Node::status(ConnectionId id) const {
  const auto it = connections_.find(id);
  return it == connections_.end() ? absl::NotFoundError("no such connection") : it->second->status();
}

void Node::on_timer(absl::Time now) {
  if (now < next_heartbeat_) return;
  // Late ones are not made up for.
  next_heartbeat_ = std::max(next_heartbeat_ + options_.gossip.heartbeat, now + options_.gossip.heartbeat / 2);
  gossip_.on_heartbeat(now);
  for (auto& [id, conn] : connections_) {
    conn->on_timer(now);
    if (conn->connection().wants_output()) mark(id);
  }
}

void Node::validated(const MessageId& id, Gossipsub::Verdict verdict, absl::Time now) {
  gossip_.validated(id, verdict, now);
}

void Node::disconnect(const PeerId& peer, const absl::Status& why) {
  if (Conn* c = conn_of(peer)) c->fail(why);
}

void Node::set_listen_addrs(std::vector<Multiaddr> addrs, absl::Time now) {
  if (options_.listen_addrs == addrs) return;
  options_.listen_addrs = std::move(addrs);
  for (const auto& [peer, id] : by_peer_)
    if (const auto c = connections_.find(id); c != connections_.end()) c->second->push_identify(now);
}

void Node::send(const PeerId& to, SharedBytes frame, bool droppable) {
  if (Conn* c = conn_of(to)) c->send_gossip(std::move(frame), droppable);
}

void Node::mark(ConnectionId id) { dirty_.insert(id); }

void Node::hold_to_budget() {
  if (inbound_bytes_ <= options_.max_inbound_bytes) return;
  const auto most = std::max_element(connections_.begin(), connections_.end(), [](const auto& a, const auto& b) {
    return a.second->buffered() < b.second->buffered();
  });
  most->second->fail(
      absl::ResourceExhaustedError("too much of unfinished messages is held, and of this peer the most"));
  most->second->lose_gossip_in();
}

Node::Conn* Node::conn_of(const PeerId& peer) {
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return nullptr;
  const auto c = connections_.find(it->second);
  return c == connections_.end() ? nullptr : c->second.get();
}

std::vector<Node::Peer> Node::peers() const {
  std::vector<Peer> out;
  for (const auto& [peer, id] : by_peer_) {
    const auto it = connections_.find(id);
    if (it == connections_.end()) continue;
    Peer p = it->second->view();
    p.gossip = gossip_.view(peer);
    out.push_back(std::move(p));
  }
  std::sort(out.begin(), out.end(), [](const Peer& a, const Peer& b) { return a.connected_at < b.connected_at; });
  return out;
}

}  // namespace towline::p2p
