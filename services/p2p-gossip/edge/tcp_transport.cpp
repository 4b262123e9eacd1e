#include "services/p2p-gossip/edge/tcp_transport.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "libs/base/files.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/core/swarm.hpp"
#include "services/p2p-gossip/edge/asio_ip.hpp"
#include "services/p2p-gossip/edge/transport_metrics.hpp"

namespace towline::gossip {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using p2p::ConnectionId;
using p2p::PeerId;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kReadBytes = 64U << 10U, kWriteBytes = 64U << 10U;
/// What a failed connection has for saying why.
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
    TOWLINE_RETURN_IF_ERROR(read_bans());
    TOWLINE_RETURN_IF_ERROR(listen());
    for (const auto& a : config_.static_peers) manager_.add_static(a);
    advertise();
    accept();
    tick();
    thread_ = std::thread{[this] { io_.run(); }};
    return absl::OkStatus();
  }

  void stop() {
    asio::post(io_, [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      timer_.cancel();
      for (auto& [id, s] : sockets_) s->socket.close(ignored);
      work_.reset();
      io_.stop();
    });
    if (thread_.joinable()) thread_.join();
  }

  /// Runs `f(done)`, which asks the loop, and waits until `done` is called with the answer.
  template <typename R, typename F>
  R wait(F f) {
    auto promise = std::make_shared<std::promise<R>>();
    f(std::function<void(R)>{[promise](R r) { promise->set_value(std::move(r)); }});
    return answer_of(*promise);
  }
  template <typename F>
  void post(F f) {
    asio::post(io_, std::move(f));
  }

  /// A loop that was stopped answers nobody: nothing was done, and nothing is known.
  template <typename R>
  R answer_of(std::promise<R>& promise) {
    auto result = promise.get_future();
    while (result.wait_for(std::chrono::milliseconds{100}) != std::future_status::ready) {
      if (!io_.stopped()) continue;
      if constexpr (std::is_constructible_v<R, absl::Status>) return R{absl::UnavailableError("shutting down")};
      else return R{};
    }
    return result.get();
  }

  Network::View view() {
    View out;
    for (auto& p : node_.peers()) {
      const bool is_static = manager_.is_static(p.id);
      out.peers.push_back({std::move(p), is_static});
    }
    out.addresses = addresses();
    return out;
  }
  p2p::Node& node() { return node_; }
  ConnectionManager& manager() { return manager_; }

  absl::StatusOr<std::size_t> publish(std::size_t topic, const Bytes& message) {
    const auto before = node_.gossip().stats().forwarded;
    if (!node_.publish(topic, message, steady_now())) return absl::AlreadyExistsError("the block was seen before");
    flush();
    const auto sent = node_.gossip().stats().forwarded - before;
    return static_cast<std::size_t>(sent);
  }

  absl::Status ban(const std::string& target, absl::Duration how_long, const std::string& reason) {
    TOWLINE_ASSIGN_OR_RETURN(const std::string canonical, Bans::canonical(target));
    if (const auto peer = PeerId::parse(canonical); peer.ok() && manager_.is_static(*peer))
      return absl::FailedPreconditionError(
          absl::StrCat(canonical, " is a static peer, which is kept whatever it does: take it out of --p2p.static"));
    keep_out(canonical, how_long, reason);
    flush();
    return write_bans();
  }

  absl::Status unban(const std::string& target) {
    TOWLINE_ASSIGN_OR_RETURN(const std::string canonical, Bans::canonical(target));
    if (!manager_.bans().unban(canonical)) return absl::NotFoundError(absl::StrCat(canonical, " is not banned"));
    log::info("unbanned", {log::kv("target", canonical)});
    return write_bans();
  }

  /// As people and the file have them.
  Bans wall_bans() { return manager_.bans().shifted(-steady_ahead()); }

  std::vector<p2p::Multiaddr> addresses() const {
    p2p::Multiaddr a;
    const auto ip = p2p::parse_ip(config_.advertise_ip.empty() ? config_.listen_ip : config_.advertise_ip);
    if (ip.ok()) a.ip = *ip;
    if (external_ && config_.advertise_ip.empty()) a.ip = *external_;
    a.tcp = config_.advertise_port != 0 ? config_.advertise_port : port_;
    a.peer = identity_.peer_id();
    return {a};
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
    /// Of an accepted connection whose peer is not known yet.
    std::optional<p2p::SocketAddress> handshake_with;
    std::optional<PeerId> dialled;
    std::array<std::uint8_t, kReadBytes> in{};
    Bytes out;
    bool writing = false, ending = false;
    std::function<void(absl::Status)> on_dialled;
    explicit Socket(asio::io_context& io) : socket{io}, last_words{io} {}
  };
  using SocketPtr = std::shared_ptr<Socket>;

  void keep_out(const std::string& canonical, absl::Duration how_long, const std::string& reason) {
    manager_.bans().ban(canonical, steady_now() + how_long, reason);
    bans_changed_ = true;
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

  absl::Status listen() {
    ErrorCode ec;
    const auto address = asio::ip::make_address(config_.listen_ip, ec);
    if (ec) return absl::InvalidArgumentError(absl::StrCat("--p2p.listen.ip: not an IP address: ", config_.listen_ip));
    const tcp::endpoint endpoint{address, config_.listen_port};
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(asio::socket_base::reuse_address{true}, ec);
    // "::" listens for both families, as everywhere.
    if (!ec && address.is_v6()) acceptor_.set_option(asio::ip::v6_only{!address.is_unspecified()}, ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", config_.listen_ip, ":", config_.listen_port,
                                                 " for p2p: ", ec.message(),
                                                 "; see --p2p.listen.ip and --p2p.listen.tcp"));
    }
    port_ = acceptor_.local_endpoint().port();
    return absl::OkStatus();
  }

  void advertise() { node_.set_listen_addrs(advertised(), steady_now()); }
  /// Without the peer id, as identify has it; an address that says "any" tells nobody anything.
  std::vector<p2p::Multiaddr> advertised() const {
    std::vector<p2p::Multiaddr> out;
    for (auto a : addresses()) {
      a.peer.reset();
      if (!to_address(a.ip).is_unspecified()) out.push_back(a);
    }
    return out;
  }

  void accept() {
    acceptor_.async_accept([this](ErrorCode ec, tcp::socket socket) {
      if (ec == asio::error::operation_aborted) return;
      if (ec) {
        // Out of descriptors: the connections that are open must be let go first.
        timer_accept_.expires_after(std::chrono::milliseconds{100});
        timer_accept_.async_wait([this](ErrorCode e) {
          if (!e) accept();
        });
        return;
      }
      on_accepted(std::move(socket));
      accept();
    });
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
    auto s = std::make_shared<Socket>(io_);
    s->socket = std::move(socket);
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

  /// Starts what has become possible to write, and ends what has failed.
  void flush() {
    for (const ConnectionId id : node_.take_dirty()) {
      const auto it = sockets_.find(id);
      if (it != sockets_.end()) write(SocketPtr{it->second});
    }
  }

  void write(const SocketPtr& s) {
    const absl::Status status = node_.status(s->id);
    if (!status.ok() && !s->ending) {
      // Also for one that reads nothing, whose last write never ends.
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
    // The peer may have gone because of what we found wrong with it.
    const absl::Status first = node_.status(s->id), why = first.ok() ? last : first;
    const char* const stage = s->handshake_with || s->dialled ? "handshake" : "open";
    if (s->handshake_with) {
      log::debug("handshake failed", {log::kv("address", p2p::to_string(*s->handshake_with)), log::kv("why", why)});
    }
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
    auto s = std::make_shared<Socket>(io_);
    s->dialled = address.peer;
    s->on_dialled = std::move(done);
    // One deadline for the name and the connection; the handshake has its own.
    s->last_words.expires_after(absl::ToChronoMilliseconds(config_.dial_timeout));
    s->last_words.async_wait([this, s](ErrorCode ec) {
      if (!ec) fail_dial(s, absl::DeadlineExceededError("the dial took too long"));
    });
    if (address.host == p2p::Multiaddr::Host::ip) return connect(s, {{to_address(address.ip), address.tcp}});
    auto resolver = std::make_shared<tcp::resolver>(io_);
    resolver->async_resolve(
        address.name, std::to_string(address.tcp),
        [this, s, resolver, host = address.host](ErrorCode ec, const tcp::resolver::results_type& found) {
          if (!s->dialled) return;
          std::vector<tcp::endpoint> endpoints;
          for (const auto& e : found) {
            if (host == p2p::Multiaddr::Host::dns4 && !e.endpoint().address().is_v4()) continue;
            if (host == p2p::Multiaddr::Host::dns6 && !e.endpoint().address().is_v6()) continue;
            endpoints.push_back(e.endpoint());
          }
          if (endpoints.empty())
            return fail_dial(s, absl::UnavailableError(ec ? ec.message() : "the name has no address of this kind"));
          connect(s, std::move(endpoints));
        });
  }

  /// To the first of these that takes it.
  void connect(const SocketPtr& s, std::vector<tcp::endpoint> endpoints) {
    auto to = std::make_shared<const std::vector<tcp::endpoint>>(std::move(endpoints));
    asio::async_connect(s->socket, *to, [this, s, to](ErrorCode ec, const tcp::endpoint& endpoint) {
      if (!s->dialled) return;
      if (ec) return fail_dial(s, absl::UnavailableError(ec.message()));
      s->last_words.cancel();
      add(s, {to_ip(endpoint.address()), endpoint.port()}, s->dialled);
    });
  }

  void fail_dial(const SocketPtr& s, const absl::Status& why) {
    if (!s->dialled) return;
    ErrorCode ignored;
    s->last_words.cancel(ignored);
    s->socket.close(ignored);
    log::debug("cannot dial", {log::kv("peer", s->dialled->to_string()), log::kv("why", why)});
    manager_.on_dial_failed(*s->dialled, steady_now());
    s->dialled.reset();
    if (s->on_dialled) std::exchange(s->on_dialled, nullptr)(why);
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
      if (bans_changed_)
        if (const auto st = write_bans(); !st.ok()) log::error("the bans cannot be kept", {log::kv("why", st)});
    }
    flush();
    timer_.expires_after(absl::ToChronoMilliseconds(
        std::clamp(node_.next_timer() - steady_now(), absl::Milliseconds(1), absl::Milliseconds(250))));
    timer_.async_wait([this](ErrorCode ec) {
      if (!ec) tick();
    });
  }

  SocketPtr socket_of_peer(const PeerId& peer, bool outbound) const {
    for (const auto& [id, s] : sockets_)
      if (s->inbound != outbound && s->dialled == peer) return s;
    return nullptr;
  }

  // ---------------------------------------------------------------- p2p::Node::Handler

  absl::Status admit(const PeerId& peer, const p2p::SocketAddress& address, bool outbound) override {
    const absl::Status st = manager_.admit(peer, address.ip, outbound, steady_now());
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
      if (const auto s = socket_of_peer(peer, true)) {
        s->dialled.reset();
        if (s->on_dialled) std::exchange(s->on_dialled, nullptr)(absl::OkStatus());
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
    // Not from within the heartbeat that found it.
    post([this, peer, why = fault.why] {
      for (const std::string& target : ban_targets(peer, swarm())) keep_out(target, config_.ban_duration, why);
      flush();
    });
  }

  void validate(p2p::Gossipsub::Validation v) override {
    const p2p::MessageId id = v.id;
    validate_(std::move(v), [this, id](p2p::Gossipsub::Verdict result) {
      post([this, id, result] {
        node_.validated(id, result, steady_now());
        flush();
      });
    });
  }

  // ---------------------------------------------------------------- files, metrics

  absl::Status read_bans() {
    if (config_.bans_file.empty()) return absl::OkStatus();
    const auto text = read_state_file(config_.bans_file);
    if (absl::IsNotFound(text.status())) return absl::OkStatus();
    if (!text.ok()) return text.status();
    auto bans = Bans::from_json(*text);
    if (!bans.ok()) return absl::InvalidArgumentError(absl::StrCat(config_.bans_file, ": ", bans.status().message()));
    manager_.bans() = bans->shifted(steady_ahead());
    return absl::OkStatus();
  }

  absl::Status write_bans() {
    bans_changed_ = false;
    if (config_.bans_file.empty()) return absl::OkStatus();
    return write_state_file(config_.bans_file, wall_bans().to_json(absl::Now()));
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
  tcp::acceptor acceptor_{io_};
  asio::steady_timer timer_{io_}, timer_accept_{io_};
  std::thread thread_;
  ConnectionManager manager_;
  p2p::Node node_;
  absl::flat_hash_map<ConnectionId, SocketPtr> sockets_;
  ConnectionId last_id_ = 0;
  std::uint16_t port_ = 0;
  std::optional<p2p::Ip> external_;
  std::atomic<bool> wants_peers_{true};
  bool bans_changed_ = false;
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
void Network::ban(const std::string& target, absl::Duration how_long, const std::string& reason,
                  std::function<void(absl::Status)> done) {
  loop_->post([=, this, done = std::move(done)] { done(loop_->ban(target, how_long, reason)); });
}
void Network::unban(const std::string& target, std::function<void(absl::Status)> done) {
  loop_->post([=, this, done = std::move(done)] { done(loop_->unban(target)); });
}
void Network::bans(std::function<void(std::vector<Ban>)> done) {
  loop_->post([this, done = std::move(done)] { done(loop_->wall_bans().list(absl::Now())); });
}
void Network::connect(const p2p::Multiaddr& address, std::function<void(absl::Status)> done) {
  loop_->post([this, address, done = std::move(done)]() mutable { loop_->connect(address, std::move(done)); });
}

std::vector<Network::Peer> Network::peers() {
  return loop_->wait<View>([this](auto done) { look(std::move(done)); }).peers;
}
std::vector<p2p::Multiaddr> Network::addresses() {
  return loop_->wait<View>([this](auto done) { look(std::move(done)); }).addresses;
}
absl::StatusOr<std::size_t> Network::publish(std::size_t topic, BytesView message) {
  return loop_->wait<absl::StatusOr<std::size_t>>([&](auto done) {
    publish(topic, std::make_shared<const Bytes>(message.begin(), message.end()), std::move(done));
  });
}
absl::Status Network::ban(const std::string& target, absl::Duration how_long, const std::string& reason) {
  return loop_->wait<absl::Status>([&](auto done) { ban(target, how_long, reason, std::move(done)); });
}
absl::Status Network::unban(const std::string& target) {
  return loop_->wait<absl::Status>([&](auto done) { unban(target, std::move(done)); });
}
std::vector<Ban> Network::bans() {
  return loop_->wait<std::vector<Ban>>([this](auto done) { bans(std::move(done)); });
}
absl::Status Network::connect(const p2p::Multiaddr& address) {
  return loop_->wait<absl::Status>([&](auto done) { connect(address, std::move(done)); });
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

}  // namespace towline::gossip
