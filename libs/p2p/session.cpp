#include "libs/p2p/session.hpp"

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/p2p/protocols.hpp"

namespace towline::p2p {
namespace {

constexpr std::ptrdiff_t kMaxPingStreams = 2;
constexpr std::size_t kMaxPingQueued = 4096;
/// go-libp2p runs identify once per connection. If that fails it never subscribes, and holds the place of a peer that
/// would. So it is disconnected: the next connection runs identify again.
constexpr absl::Duration kSubscribes = absl::Minutes(1);

SharedBytes shared(Bytes b) { return std::make_shared<const Bytes>(std::move(b)); }

}  // namespace

Node::Session::Session(Node& node, ConnectionId id, bool dialer, const SocketAddress& remote,
                       std::optional<PeerId> expected, absl::Time now)
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
                  now},
      gossip_{node.inbound_bytes_} {}

void Node::Session::on_bytes(BytesView in, absl::Time now) {
  now_ = now;
  if (!status_.ok()) return;
  if (auto st = connection_.on_bytes(in, now); !st.ok()) fail(std::move(st));
}

void Node::Session::on_timer(absl::Time now) {
  now_ = now;
  if (!status_.ok()) return;
  if (auto st = connection_.on_timer(now); !st.ok()) return fail(std::move(st));
  const std::size_t queued = gossip_.out() ? connection_.queued(*gossip_.out()) : 0;
  const absl::Status reads = gossip_.check_out(queued, now);
  if (auto st = gossip_.check_in(now); !st.ok()) return fail(std::move(st));
  if (!current_ || node_.gossip_.subscribed(*peer_)) subscribed_at_ = now;
  if (now - subscribed_at_ > kSubscribes)
    return fail(absl::UnavailableError("the peer subscribes to none of the chain's topics"));
  if (current_ && gossip_.reopen_due(now)) {
    if (auto st = open(Kind::gossip_out, gossip_protocols()); !st.ok()) return fail(std::move(st));
  }
  if (!reads.ok()) fail(reads);
}

void Node::Session::fail(absl::Status why) {
  if (!status_.ok()) return;
  status_ = std::move(why);
  node_.mark(id_);
}

void Node::Session::send_gossip(SharedBytes frame, bool droppable) {
  if (!gossip_.out() || GossipStreams::drops(droppable, connection_.queued(*gossip_.out()))) return;
  connection_.write(*gossip_.out(), std::move(frame));
  node_.mark(id_);
}

void Node::Session::push_identify(absl::Time now) {
  now_ = now;
  // A failure to open the stream is harmless: the peer runs identify when it connects again.
  if (identify_.speaks(kIdentifyPush)) (void)open(Kind::identify_push_out, {kIdentifyPush});
  node_.mark(id_);
}

Node::Peer Node::Session::view() const {
  Peer p;
  p.id = *peer_;
  p.address = remote_;
  p.outbound = outbound_;
  p.agent = identify_.get().agent_version;
  p.protocol_version = identify_.get().protocol_version;
  p.protocols = identify_.get().protocols;
  p.listen_addrs = identify_.get().listen_addrs;
  p.connected_at = ready_at_;
  p.latency = connection_.latency();
  return p;
}

absl::Status Node::Session::on_ready(const PublicKey& key, const PeerId& peer) {
  key_ = key;
  ready_at_ = subscribed_at_ = now_;
  gossip_.start(now_);
  TOWLINE_RETURN_IF_ERROR(node_.admit(*this, peer, now_));
  peer_ = peer;
  TOWLINE_RETURN_IF_ERROR(open(Kind::identify_out, {kIdentify}));
  return open(Kind::gossip_out, gossip_protocols());
}

// --------------------------------------------------------------------- streams

absl::Status Node::Session::open(Kind kind, std::vector<std::string> protocols) {
  TOWLINE_ASSIGN_OR_RETURN(const StreamId id, connection_.open(std::move(protocols), now_));
  streams_[id] = {kind};
  return absl::OkStatus();
}

void Node::Session::on_stream(StreamId id, const std::string& protocol, bool inbound) {
  if (inbound) on_their_stream(id, protocol);
  else on_our_stream(id, protocol);
}

void Node::Session::on_our_stream(StreamId id, const std::string& protocol) {
  const Kind kind = streams_.at(id).kind;
  if (kind == Kind::identify_out) connection_.finish(id);
  if (kind == Kind::identify_push_out) send_identify(id);
  if (kind == Kind::gossip_out && current_) {
    const auto* g =
        std::find_if(std::begin(kGossip), std::end(kGossip), [&](const auto& x) { return x.id == protocol; });
    gossip_.on_out_open(id);
    node_.gossip_.peer_writable(*peer_, g->version);
  }
}

void Node::Session::on_their_stream(StreamId id, const std::string& protocol) {
  if (protocol == kIdentify) {
    send_identify(id);
    streams_[id] = {Kind::identify_in};
  } else if (protocol == kIdentifyPush) {
    streams_[id] = {Kind::identify_push_in};
  } else if (protocol == kPing) {
    const auto pings =
        std::count_if(streams_.begin(), streams_.end(), [](const auto& s) { return s.second.kind == Kind::ping; });
    if (pings >= kMaxPingStreams) return connection_.reset(id);
    streams_[id] = {Kind::ping};
  } else {
    // A new gossip stream replaces the old one, which the peer has given up.
    if (gossip_.in()) {
      connection_.reset(*gossip_.in());
      streams_.erase(*gossip_.in());
      gossip_.lose_in();
    }
    gossip_.on_in_open(id);
    streams_[id] = {Kind::gossip_in};
  }
}

void Node::Session::on_stream_data(StreamId id, BytesView data) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || !status_.ok()) return;
  switch (it->second.kind) {
    case Kind::identify_out:
    case Kind::identify_push_in: return on_identify(id, it->second, data);
    case Kind::ping: return on_ping(id, data);
    case Kind::gossip_in: return on_gossip(data);
    case Kind::identify_in:
    case Kind::identify_push_out:
    case Kind::gossip_out: return;
  }
}

void Node::Session::on_stream_end(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const Kind kind = it->second.kind;
  // The peer's half of our gossip stream is never used, so its end means nothing.
  if (kind == Kind::gossip_out) return;
  streams_.erase(it);
  if (kind == Kind::gossip_in) {
    connection_.reset(id);
    return gossip_.lose_in();
  }
  connection_.finish(id);
}

void Node::Session::on_stream_gone(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const Kind kind = it->second.kind;
  streams_.erase(it);
  if (kind == Kind::gossip_in) gossip_.lose_in();
  if (kind == Kind::gossip_out) gossip_.on_out_gone(now_);
}

// ------------------------------------------------------------------- protocols

void Node::Session::send_identify(StreamId id) {
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

void Node::Session::on_identify(StreamId id, Stream& s, BytesView data) {
  const int messages_before = s.identify.messages;
  const auto next = identify_.on_data(s.identify, data, *key_);
  if (!next.ok()) return fail(next.status());
  const auto speaks = [&](const auto& g) { return identify_.speaks(g.id); };
  if (s.identify.messages > messages_before && std::any_of(std::begin(kGossip), std::end(kGossip), speaks))
    gossip_.reopen_soon(now_);
  if (*next == RemoteIdentify::Next::read_on) return;
  streams_.erase(id);
  connection_.reset(id);
}

void Node::Session::on_ping(StreamId id, BytesView data) {
  if (connection_.queued(id) > kMaxPingQueued)
    return fail(absl::ResourceExhaustedError("ping: the peer does not read"));
  connection_.write(id, shared({data.begin(), data.end()}));
}

void Node::Session::on_gossip(BytesView data) {
  auto st = gossip_.on_data(data, now_, [this](BytesView rpc) {
    return current_ ? node_.gossip_.on_rpc(*peer_, rpc, now_) : absl::OkStatus();
  });
  if (!st.ok()) return fail(std::move(st));
  node_.hold_to_budget();
}

}  // namespace towline::p2p
