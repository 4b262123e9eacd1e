#include "services/p2p-gossip/edge/tcp_transport.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <thread>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/core/swarm.hpp"
#include "services/p2p-gossip/edge/asio_ip.hpp"
#include "services/p2p-gossip/edge/bans_file.hpp"
#include "services/p2p-gossip/edge/tcp_dial.hpp"
#include "services/p2p-gossip/edge/tcp_listener.hpp"
#include "services/p2p-gossip/edge/transport_metrics.hpp"

namespace towline::gossip {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using p2p::ConnectionId;
using p2p::PeerId;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kReadBytes = 64U << 10U, kWriteBytes = 64U << 10U;
/// The time that a failed connection has to send the reason.
constexpr auto kLastWords = std::chrono::seconds{1};
constexpr absl::Duration kTrimEach = absl::Seconds(10);
constexpr absl::Duration kShowEach = absl::Seconds(1);

}  // namespace

class Network::Loop final : private p2p::Node::Handler {
 public:
  Loop(NetworkConfig config, const p2p::Identity& identity, p2p::Gossipsub::Codec codec, Validate validate,
       Metrics& metrics)
      : config_{std::move(config)},
        identity_{identity},
        validate_{std::move(validate)},
        metrics_{metrics},
        manager_{config_.peers},
        node_{identity, config_.node, std::move(codec), *this, config_.peers.seed, steady_now()} {}

  absl::Status start() {
    TOWLINE_RETURN_IF_ERROR(bans_.read());
    TOWLINE_RETURN_IF_ERROR(listener_.start(config_.listen_ip, config_.listen_port,
                                            [this](tcp::socket socket) { on_accepted(std::move(socket)); }));
    for (const auto& a : config_.static_peers) manager_.add_static(a);
    advertise();
    tick();
    thread_ = std::thread{[this] { io_.run(); }};
    return absl::OkStatus();
  }

  void stop() {
    asio::post(io_, [this] {
      ErrorCode ignored;
      bans_.write_changes();
      listener_.close();
      timer_.cancel();
      for (auto& [id, s] : sockets_) s->socket.close(ignored);
      work_.reset();
      io_.stop();
    });
    if (thread_.joinable()) thread_.join();
  }

  template <typename F>
  void post(F f) {
    asio::post(io_, std::move(f));
  }

  bool stopped() const { return io_.stopped(); }

  Network::View view() {
    View out;
    for (auto& p : node_.peers()) {
      const bool is_static = manager_.is_static(p.id);
      out.peers.push_back({std::move(p), is_static});
    }
    out.addresses = {address()};
    return out;
  }
  p2p::Node& node() { return node_; }
  ConnectionManager& manager() { return manager_; }

  absl::StatusOr<std::size_t> publish(std::size_t topic, const Bytes& message) {
    const auto before = node_.gossip().stats().forwarded;
    if (!node_.publish(topic, message, steady_now())) return absl::AlreadyExistsError("the block was seen before");
    flush();
    return static_cast<std::size_t>(node_.gossip().stats().forwarded - before);
  }

  void ban(const std::string& target, absl::Duration how_long, const std::string& reason, KeptFile::Done done) {
    const auto canonical = Bans::canonical(target);
    if (!canonical.ok()) return done(canonical.status());
    if (const auto peer = PeerId::parse(*canonical); peer.ok() && manager_.is_static(*peer))
      return done(absl::FailedPreconditionError(
          absl::StrCat(*canonical, " is a static peer, which is kept whatever it does: take it out of --p2p.static")));
    keep_out(*canonical, how_long, reason);
    flush();
    bans_.write(std::move(done));
  }

  void unban(const std::string& target, KeptFile::Done done) {
    const auto canonical = Bans::canonical(target);
    if (!canonical.ok()) return done(canonical.status());
    if (!manager_.bans().unban(*canonical))
      return done(absl::NotFoundError(absl::StrCat(*canonical, " is not banned")));
    log::info("unbanned", {log::kv("target", *canonical)});
    bans_.write(std::move(done));
  }

  Bans wall_bans() const { return bans_.by_wall_clock(); }

  p2p::Multiaddr address() const {
    p2p::Multiaddr a;
    const auto ip = p2p::parse_ip(config_.advertise_ip.empty() ? config_.listen_ip : config_.advertise_ip);
    if (ip.ok()) a.ip = *ip;
    if (external_ && config_.advertise_ip.empty()) a.ip = *external_;
    a.tcp = config_.advertise_port != 0 ? config_.advertise_port : listener_.port();
    a.peer = identity_.peer_id();
    return a;
  }

  void set_external_address(const p2p::Ip& ip) {
    external_ = ip;
    advertise();
  }

  void connect(const p2p::Multiaddr& address, std::function<void(absl::Status)> done) {
    if (node_.connected(*address.peer)) return done(absl::OkStatus());
    dial(address, std::move(done));
  }
  bool wants_peers() const { return wants_peers_; }

 private:
  struct Socket {
    ConnectionId id = 0;
    tcp::socket socket;
    asio::steady_timer last_words;
    bool inbound = false;
    /// Set for an accepted connection whose peer is not known yet.
    std::optional<p2p::SocketAddress> handshake_with;
    std::optional<PeerId> dialled;
    std::array<std::uint8_t, kReadBytes> in{};
    Bytes out;
    bool writing = false, ending = false;
    std::function<void(absl::Status)> on_dialled;
    explicit Socket(tcp::socket s) : socket{std::move(s)}, last_words{socket.get_executor()} {}
  };
  using SocketPtr = std::shared_ptr<Socket>;

  void keep_out(const std::string& canonical, absl::Duration how_long, const std::string& reason) {
    manager_.bans().ban(canonical, steady_now() + how_long, reason);
    bans_.changed();
    log::warn("banned", {log::kv("target", canonical), log::kv("reason", reason),
                         log::kv("for", absl::FormatDuration(how_long))});
    for (const PeerId& p : let_go(canonical, swarm()))
      node_.disconnect(p, absl::PermissionDeniedError(absl::StrCat("banned: ", reason)));
  }
  std::vector<SwarmPeer> swarm() const {
    std::vector<SwarmPeer> out;
    for (const auto& p : node_.peers()) out.push_back({p.id, p.address.ip, manager_.is_static(p.id)});
    return out;
  }

  void advertise() {
    p2p::Multiaddr a = address();
    a.peer.reset();  // as identify requires
    std::vector<p2p::Multiaddr> listen;
    // An unspecified address is of no use to others.
    if (!to_address(a.ip).is_unspecified()) listen.push_back(a);
    node_.set_listen_addrs(std::move(listen), steady_now());
  }

  void on_accepted(tcp::socket socket) {
    ErrorCode ec;
    const auto remote = socket.remote_endpoint(ec);
    if (ec) return;
    const p2p::SocketAddress address{to_ip(remote.address()), remote.port()};
    if (const auto st = manager_.on_accepted(address.ip, steady_now()); !st.ok()) {
      count_refused("accept");
      return;  // the socket closes
    }
    auto s = std::make_shared<Socket>(std::move(socket));
    s->inbound = true;
    s->handshake_with = address;
    add(s, address, {});
  }

  void add(const SocketPtr& s, const p2p::SocketAddress& remote, std::optional<PeerId> expected) {
    ErrorCode ignored;
    s->socket.set_option(tcp::no_delay{true}, ignored);
    s->id = ++last_id_;
    sockets_[s->id] = s;
    node_.add_connection(s->id, !s->inbound, remote, std::move(expected), steady_now());
    read(s);
    flush();
  }

  void read(const SocketPtr& s) {
    s->socket.async_read_some(asio::buffer(s->in), [this, s](ErrorCode ec, std::size_t n) {
      if (!sockets_.contains(s->id)) return;
      if (ec)
        return close(s,
                     absl::UnavailableError(ec == asio::error::eof ? "the peer closed the connection" : ec.message()));
      bytes_in_ += n;
      node_.on_bytes(s->id, BytesView{s->in}.first(n), steady_now());
      flush();
      if (sockets_.contains(s->id) && node_.status(s->id).ok()) read(s);
    });
  }

  /// Starts writes that have become possible, and ends connections that have failed.
  void flush() {
    for (const ConnectionId id : node_.take_dirty()) {
      const auto it = sockets_.find(id);
      if (it != sockets_.end()) write(SocketPtr{it->second});
    }
  }

  void write(const SocketPtr& s) {
    const absl::Status status = node_.status(s->id);
    if (!status.ok() && !s->ending) {
      // Also applies to a peer that reads nothing, to which the last write never ends.
      s->ending = true;
      s->last_words.expires_after(kLastWords);
      s->last_words.async_wait([this, s, status](ErrorCode ec) {
        if (!ec) close(s, status);
      });
    }
    if (s->writing) return;
    if (!node_.wants_output(s->id)) {
      if (!status.ok()) close(s, status);
      return;
    }
    s->out.clear();
    node_.output(s->id, s->out, kWriteBytes);
    s->writing = true;
    asio::async_write(s->socket, asio::buffer(s->out), [this, s](ErrorCode ec, std::size_t n) {
      s->writing = false;
      if (!sockets_.contains(s->id)) return;
      bytes_out_ += n;
      if (ec) return close(s, absl::UnavailableError(ec.message()));
      write(s);
    });
  }

  void close(const SocketPtr& s, const absl::Status& last) {
    ErrorCode ignored;
    s->last_words.cancel(ignored);
    s->socket.close(ignored);
    if (sockets_.erase(s->id) == 0) return;
    // The peer may have closed because of a fault that we found first.
    const absl::Status first = node_.status(s->id), why = first.ok() ? last : first;
    const char* const stage = s->handshake_with || s->dialled ? "handshake" : "open";
    if (s->handshake_with)
      log::debug("handshake failed", {log::kv("address", p2p::to_string(*s->handshake_with)), log::kv("why", why)});
    end_handshake(s);
    if (s->on_dialled && node_.connected(*s->dialled)) std::exchange(s->on_dialled, nullptr)(absl::OkStatus());
    if (s->dialled) {
      manager_.on_dial_failed(*s->dialled, steady_now());
      log::debug("cannot connect", {log::kv("peer", s->dialled->to_string()), log::kv("why", why)});
    }
    if (s->on_dialled) std::exchange(s->on_dialled, nullptr)(why);
    node_.remove_connection(s->id, why, steady_now());
    metrics_
        .counter("towline_gossip_connections_ended_total", "Connections that ended.",
                 {{"stage", stage}, {"reason", label_of(why)}})
        .inc();
  }

  void end_handshake(const SocketPtr& s) {
    if (s->handshake_with) manager_.on_handshake_ended(s->handshake_with->ip);
    s->handshake_with.reset();
  }

  void dial(const p2p::Multiaddr& address, std::function<void(absl::Status)> done) {
    tcp_dial(io_, address, config_.dial_timeout,
             [this, peer = *address.peer, done = std::move(done)](absl::StatusOr<DialledSocket> dialled) mutable {
               if (!dialled.ok()) {
                 log::debug("cannot dial", {log::kv("peer", peer.to_string()), log::kv("why", dialled.status())});
                 manager_.on_dial_failed(peer, steady_now());
                 if (done) done(dialled.status());
                 return;
               }
               auto s = std::make_shared<Socket>(std::move(dialled->socket));
               s->dialled = peer;
               s->on_dialled = std::move(done);
               add(s, dialled->address, peer);
             });
  }

  void tick() {
    const absl::Time t = steady_now();
    node_.on_timer(t);
    for (const auto& a : manager_.next_dials(t)) dial(a, {});
    wants_peers_ = manager_.wants_peers();
    if (t >= next_trim_) {
      next_trim_ = t + kTrimEach;
      absl::flat_hash_map<PeerId, double> scores;
      for (const auto& p : node_.peers()) scores[p.id] = p.gossip.score;
      for (const auto& p : manager_.to_trim(scores, t))
        node_.disconnect(p, absl::ResourceExhaustedError("more peers are connected than wanted"));
    }
    if (t >= next_show_) {
      next_show_ = t + kShowEach;
      metrics_shown_.show(node_, bytes_in_, bytes_out_);
      bans_.write_changes();
    }
    flush();
    timer_.expires_after(absl::ToChronoMilliseconds(
        std::clamp(node_.next_timer() - steady_now(), absl::Milliseconds(1), absl::Milliseconds(250))));
    timer_.async_wait([this](ErrorCode ec) {
      if (!ec) tick();
    });
  }

  // ---------------------------------------------------------------- p2p::Node::Handler

  absl::Status admit(const PeerId& peer, const p2p::SocketAddress& address, bool outbound) override {
    auto st = manager_.admit(peer, address.ip, outbound, steady_now());
    if (!st.ok()) count_refused("secured");
    return st;
  }

  void on_peer_connected(const PeerId& peer, const p2p::SocketAddress& address, bool outbound) override {
    on_peer_replaced(peer, address, outbound);
    log::info("peer connected", {log::kv("peer", peer.to_string()), log::kv("address", p2p::to_string(address)),
                                 log::kv("direction", outbound ? "outbound" : "inbound")});
  }

  void on_peer_replaced(const PeerId& peer, const p2p::SocketAddress& address, bool outbound) override {
    if (outbound) {
      for (const auto& [id, s] : sockets_) {
        if (s->dialled != peer) continue;
        s->dialled.reset();
        if (s->on_dialled) std::exchange(s->on_dialled, nullptr)(absl::OkStatus());
        break;
      }
    } else {
      for (const auto& [id, s] : sockets_)
        if (s->handshake_with == address) end_handshake(s);
    }
    manager_.on_connected(peer, address.ip, outbound, steady_now());
  }

  void on_peer_disconnected(const PeerId& peer, const absl::Status& why) override {
    manager_.on_disconnected(peer, steady_now());
    log::info("peer disconnected", {log::kv("peer", peer.to_string()), log::kv("why", why)});
  }

  void on_bad_score(const PeerId& peer, double score) override {
    if (!config_.ban_peers || manager_.is_static(peer)) return;
    const ScoreFault fault = fault_of(score, node_.gossip().view(peer));
    metrics_.counter("towline_gossip_bans_total", "Peers banned for their score.", {{"reason", fault.reason}}).inc();
    // Deferred, because the heartbeat that found the score is still running.
    post([this, peer, why = fault.why] {
      for (const std::string& target : ban_targets(peer, swarm())) keep_out(target, config_.ban_duration, why);
      flush();
    });
  }

  void validate(p2p::Gossipsub::Validation v) override {
    const p2p::MessageId id = v.id;
    validate_(std::move(v), [this, id](p2p::Gossipsub::Verdict result) {
      post([this, id, result] {
        node_.validated(id, result);
        flush();
      });
    });
  }

  void count_refused(const char* where) {
    metrics_.counter("towline_gossip_connections_refused_total", "Connections that were refused.", {{"stage", where}})
        .inc();
  }

  const NetworkConfig config_;
  const p2p::Identity& identity_;
  const Validate validate_;
  Metrics& metrics_;
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{asio::make_work_guard(io_)};
  TcpListener listener_{io_};
  asio::steady_timer timer_{io_};
  std::thread thread_;
  ConnectionManager manager_;
  BansFile bans_{config_.bans_file, manager_.bans()};
  p2p::Node node_;
  absl::flat_hash_map<ConnectionId, SocketPtr> sockets_;
  ConnectionId last_id_ = 0;
  std::optional<p2p::Ip> external_;
  std::atomic<bool> wants_peers_{true};
  absl::Time next_trim_ = absl::InfinitePast(), next_show_ = absl::InfinitePast();
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  TransportMetrics metrics_shown_{metrics_, config_.node.topics.size()};
};

Network::Network(NetworkConfig config, const p2p::Identity& identity, p2p::Gossipsub::Codec codec, Validate validate,
                 Metrics& metrics)
    : loop_{std::make_unique<Loop>(std::move(config), identity, std::move(codec), std::move(validate), metrics)} {}
Network::~Network() { stop(); }

absl::Status Network::start() { return loop_->start(); }
void Network::stop() { loop_->stop(); }

void Network::look(std::function<void(View)> done) {
  loop_->post([this, done = std::move(done)] { done(loop_->view()); });
}
void Network::publish(std::size_t topic, std::shared_ptr<const Bytes> message,
                      std::function<void(absl::StatusOr<std::size_t>)> done) {
  loop_->post(
      [this, topic, message = std::move(message), done = std::move(done)] { done(loop_->publish(topic, *message)); });
}
void Network::ban(const std::string& target, absl::Duration how_long, const std::string& reason, KeptFile::Done done) {
  loop_->post([=, this] { loop_->ban(target, how_long, reason, done); });
}
void Network::unban(const std::string& target, KeptFile::Done done) {
  loop_->post([=, this] { loop_->unban(target, done); });
}
void Network::bans(std::function<void(std::vector<Ban>)> done) {
  loop_->post([this, done = std::move(done)] { done(loop_->wall_bans().list(absl::Now())); });
}
void Network::connect(const p2p::Multiaddr& address, std::function<void(absl::Status)> done) {
  loop_->post([this, address, done = std::move(done)]() mutable { loop_->connect(address, std::move(done)); });
}

void Network::add_candidate(const p2p::Multiaddr& address) {
  loop_->post([this, address] { loop_->manager().add_candidate(address); });
}
void Network::suspend_penalties(bool on) {
  loop_->post([this, on] { loop_->node().suspend_penalties(on); });
}
void Network::set_external_address(const p2p::Ip& ip) {
  loop_->post([this, ip] { loop_->set_external_address(ip); });
}
void Network::ask_turn(std::function<void()> turn) { loop_->post(std::move(turn)); }
bool Network::wants_peers() const { return loop_->wants_peers(); }
bool Network::stopped() const { return loop_->stopped(); }

}  // namespace towline::gossip
