#include "libs/p2p/node.hpp"

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/p2p/protocols.hpp"
#include "libs/p2p/session.hpp"

namespace towline::p2p {
namespace {

/// The first heartbeat comes early, so that a mesh forms soon.
constexpr absl::Duration kFirstHeartbeat = absl::Milliseconds(100);

}  // namespace

Node::Node(const Identity& identity, Options options, Gossipsub::Codec codec, Handler& handler, std::uint64_t seed,
           absl::Time now)
    : identity_{identity},
      options_{std::move(options)},
      handler_{handler},
      gossip_{options_.gossip, options_.topics, std::move(codec), *this, seed},
      next_heartbeat_{now + kFirstHeartbeat} {
  connection_options_.negotiation_timeout = options_.negotiation_timeout;
  connection_options_.protocols = served_protocols();
}

Node::~Node() = default;

void Node::add_connection(ConnectionId id, bool dialer, const SocketAddress& remote, std::optional<PeerId> expected,
                          absl::Time now) {
  sessions_[id] = std::make_unique<Session>(*this, id, dialer, remote, std::move(expected), now);
  mark(id);
}

void Node::on_bytes(ConnectionId id, BytesView in, absl::Time now) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  it->second->on_bytes(in, now);
  mark(id);
}

void Node::remove_connection(ConnectionId id, const absl::Status& why, absl::Time now) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  const std::unique_ptr<Session> session = std::move(it->second);
  sessions_.erase(it);
  dirty_.erase(id);
  session->lose_gossip_in();
  if (!session->current()) return;
  by_peer_.erase(*session->peer());
  gossip_.remove_peer(*session->peer(), now);
  handler_.on_peer_disconnected(*session->peer(), session->status().ok() ? why : session->status());
}

absl::Status Node::admit(Session& session, const PeerId& peer, absl::Time now) {
  TOWLINE_RETURN_IF_ERROR(handler_.admit(peer, session.remote(), session.outbound()));
  if (Session* other = session_of(peer)) {
    // Two connections in opposite directions: both ends dialled at once, and both keep the connection that the smaller
    // id dialled. Otherwise the peer came back before its old connection was found dead.
    const bool keep_outbound = identity_.peer_id() < peer;
    if (other->outbound() != session.outbound() && session.outbound() != keep_outbound)
      return absl::AlreadyExistsError("connected twice");
    gossip_.remove_peer(peer, now);
    other->set_current(false);
    other->fail(absl::AlreadyExistsError("connected again"));
    handler_.on_peer_replaced(peer, session.remote(), session.outbound());
  } else {
    handler_.on_peer_connected(peer, session.remote(), session.outbound());
  }
  session.set_current(true);
  by_peer_[peer] = session.id();
  gossip_.add_peer(peer, session.outbound(), session.remote().ip, now);
  return absl::OkStatus();
}

bool Node::wants_output(ConnectionId id) const {
  const auto it = sessions_.find(id);
  return it != sessions_.end() && it->second->connection().wants_output();
}

void Node::output(ConnectionId id, Bytes& out, std::size_t max) {
  const auto it = sessions_.find(id);
  if (it != sessions_.end()) it->second->connection().output(out, max);
}

std::vector<ConnectionId> Node::take_dirty() {
  std::vector<ConnectionId> out{dirty_.begin(), dirty_.end()};
  dirty_.clear();
  return out;
}

absl::Status Node::status(ConnectionId id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? absl::NotFoundError("no such connection") : it->second->status();
}

void Node::on_timer(absl::Time now) {
  if (now < next_heartbeat_) return;
  // Missed heartbeats are not made up for.
  next_heartbeat_ = std::max(next_heartbeat_ + options_.gossip.heartbeat, now + options_.gossip.heartbeat / 2);
  gossip_.on_heartbeat(now);
  for (auto& [id, session] : sessions_) {
    session->on_timer(now);
    if (session->connection().wants_output()) mark(id);
  }
}

void Node::disconnect(const PeerId& peer, const absl::Status& why) {
  if (Session* s = session_of(peer)) s->fail(why);
}

void Node::set_listen_addrs(std::vector<Multiaddr> addrs, absl::Time now) {
  if (options_.listen_addrs == addrs) return;
  options_.listen_addrs = std::move(addrs);
  for (const auto& [peer, id] : by_peer_)
    if (const auto s = sessions_.find(id); s != sessions_.end()) s->second->push_identify(now);
}

void Node::send(const PeerId& to, SharedBytes frame, bool droppable) {
  if (Session* s = session_of(to)) s->send_gossip(std::move(frame), droppable);
}

void Node::mark(ConnectionId id) { dirty_.insert(id); }

void Node::hold_to_budget() {
  if (inbound_bytes_ <= options_.max_inbound_bytes) return;
  const auto most = std::max_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
    return a.second->buffered() < b.second->buffered();
  });
  most->second->fail(
      absl::ResourceExhaustedError("too much of unfinished messages is held, and of this peer the most"));
  most->second->lose_gossip_in();
}

Node::Session* Node::session_of(const PeerId& peer) {
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return nullptr;
  const auto s = sessions_.find(it->second);
  return s == sessions_.end() ? nullptr : s->second.get();
}

std::vector<Node::Peer> Node::peers() const {
  std::vector<Peer> out;
  for (const auto& [peer, id] : by_peer_) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end()) continue;
    Peer p = it->second->view();
    p.gossip = gossip_.view(peer);
    out.push_back(std::move(p));
  }
  std::sort(out.begin(), out.end(), [](const Peer& a, const Peer& b) { return a.connected_at < b.connected_at; });
  return out;
}

}  // namespace towline::p2p
