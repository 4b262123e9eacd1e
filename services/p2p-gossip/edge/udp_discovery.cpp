#include "services/p2p-gossip/edge/udp_discovery.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>

#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <mutex>
#include <thread>

#include "libs/base/files.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/base/text.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/edge/asio_ip.hpp"

namespace towline::gossip {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using ErrorCode = boost::system::error_code;

constexpr absl::Duration kShowNodesEach = absl::Seconds(1), kKeepEach = absl::Minutes(5),
                         kResolveAgain = absl::Seconds(30);
constexpr absl::Duration kWarnEach = absl::Minutes(1);
constexpr std::size_t kMaxKept = 64;

}  // namespace

absl::StatusOr<BootNode> parse_boot_node(absl::string_view text) {
  if (absl::StartsWith(text, "enr:")) {
    TOWLINE_ASSIGN_OR_RETURN(auto record, discv5::Enr::parse(text));
    return BootNode{std::move(record)};
  }
  if (absl::StartsWith(text, "enode:")) {
    TOWLINE_ASSIGN_OR_RETURN(auto node, discv5::parse_enode(text));
    return BootNode{std::move(node)};
  }
  return absl::InvalidArgumentError(absl::StrCat("want enr:... or enode://..., not ", cut_text(text, 100)));
}

class Discovery::Loop final : private discv5::Service::Handler {
 public:
  Loop(DiscoveryConfig config, const secp256k1::SecretKey& key, Network& network, Metrics& metrics)
      : config_{std::move(config)}, key_{key}, network_{network}, metrics_{metrics} {}

  absl::Status start() {
    TOWLINE_RETURN_IF_ERROR(open());
    discv5::Service::Options o;
    o.fields = fields();
    o.address_is_fixed = o.fields.ip4 || o.fields.ip6;
    // The sequence number is the time in milliseconds, so that each start has a higher one without a file.
    o.first_seq = static_cast<std::uint64_t>(absl::ToUnixMillis(absl::Now()));
    o.ip4 = !v6_ || dual_;
    o.ip6 = v6_;
    service_.emplace(key_, std::move(o), static_cast<Handler&>(*this),
                     [](std::span<std::uint8_t> out) { crypto::random_bytes(out); });
    say_record();
    for (const auto& b : config_.boot_nodes) add(b);
    read_nodes();
    receive();
    tick();
    thread_ = std::thread{[this] { io_.run(); }};
    return absl::OkStatus();
  }

  void stop() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      keep_nodes();
      ErrorCode ignored;
      socket_.close(ignored);
      io_.stop();
    });
    thread_.join();
  }

  std::string enr() const {
    std::lock_guard lock{mutex_};
    return enr_;
  }
  std::uint16_t port() const { return port_; }
  std::size_t peers_known() const { return peers_known_; }
  void ask_turn(std::function<void()> turn) { asio::post(io_, std::move(turn)); }

 private:
  absl::Status open() {
    ErrorCode ec;
    const auto address = asio::ip::make_address(config_.listen_ip, ec);
    if (ec) return absl::InvalidArgumentError(absl::StrCat("--p2p.listen.ip: not an IP address: ", config_.listen_ip));
    v6_ = address.is_v6();
    dual_ = v6_ && address.is_unspecified();
    const udp::endpoint endpoint{address, config_.listen_port};
    socket_.open(endpoint.protocol(), ec);
    if (!ec && v6_) socket_.set_option(asio::ip::v6_only{!dual_}, ec);
    if (!ec) socket_.bind(endpoint, ec);
    if (!ec) socket_.non_blocking(true, ec);
    if (ec) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", config_.listen_ip, ":", config_.listen_port,
                                                 " for discovery: ", ec.message(),
                                                 "; see --p2p.listen.ip and --p2p.listen.udp"));
    }
    port_ = socket_.local_endpoint().port();
    return absl::OkStatus();
  }

  discv5::Enr::Fields fields() const {
    discv5::Enr::Fields f;
    f.opstack = discv5::OpStack{config_.chain_id, 0};
    const std::uint16_t udp_port = config_.advertise_port != 0 ? config_.advertise_port : port_;
    const auto ip = p2p::parse_ip(config_.advertise_ip.empty() ? config_.listen_ip : config_.advertise_ip);
    const bool known = ip.ok() && !p2p::is_unspecified(*ip);
    if (!v6_ || dual_) {
      f.tcp4 = config_.advertise_tcp;
      f.udp4 = udp_port;
      if (known && p2p::is_ip4(*ip)) f.ip4 = *ip;
    }
    if (v6_) {
      f.tcp6 = config_.advertise_tcp;
      f.udp6 = udp_port;
      if (known && !p2p::is_ip4(*ip)) f.ip6 = *ip;
    }
    return f;
  }

  void add(const BootNode& b) {
    if (const auto* record = std::get_if<discv5::Enr>(&b)) {
      if (!service_->add_boot_node(*record))
        log::warn("a boot node cannot be reached from here: its record has no address that we can use",
                  {log::kv("enr", record->to_string())});
      return;
    }
    resolve(std::get<discv5::Enode>(b));
  }

  void resolve(const discv5::Enode& node) {
    auto resolver = std::make_shared<udp::resolver>(io_);
    resolver->async_resolve(
        node.host, std::to_string(node.udp),
        [this, resolver, node](ErrorCode ec, const udp::resolver::results_type& found) {
          for (const auto& e : found) {
            const auto endpoint = e.endpoint();
            if (endpoint.address().is_v6() ? !v6_ : v6_ && !dual_) continue;
            service_->add_boot_node(
                {discv5::node_id_of(node.key), node.key, {to_ip(endpoint.address()), endpoint.port()}});
            return;
          }
          if (ec == asio::error::operation_aborted) return;
          log::warn("a boot node's name cannot be resolved, trying again later",
                    {log::kv("host", node.host), log::kv("why", ec ? ec.message() : "no address that we can use")});
          auto timer = std::make_shared<asio::steady_timer>(io_, absl::ToChronoMilliseconds(kResolveAgain));
          timer->async_wait([this, timer, node](ErrorCode e2) {
            if (!e2) resolve(node);
          });
        });
  }

  void receive() {
    socket_.async_receive_from(asio::buffer(in_), from_, [this](ErrorCode ec, std::size_t n) {
      if (ec == asio::error::operation_aborted || !socket_.is_open()) return;
      // An error belongs to a packet sent earlier (ICMP); the socket stays usable.
      if (!ec) service_->on_packet({to_ip(from_.address()), from_.port()}, BytesView{in_}.first(n), steady_now());
      receive();
    });
  }

  void tick() {
    const absl::Time now = steady_now();
    service_->want_more(network_.wants_peers());
    service_->on_timer(now);
    if (now >= next_show_) {
      next_show_ = now + kShowNodesEach;
      show();
    }
    if (now >= next_keep_) {
      if (next_keep_ != absl::InfinitePast()) keep_nodes();
      next_keep_ = now + kKeepEach;
    }
    timer_.expires_after(absl::ToChronoMilliseconds(discv5::Service::kTick));
    timer_.async_wait([this](ErrorCode ec) {
      if (!ec) tick();
    });
  }

  // ---------------------------------------------------------------- discv5::Service::Handler

  void send(const discv5::SocketAddress& to, const Bytes& packet) override {
    ErrorCode ignored;  // a packet that cannot be sent counts as lost
    const udp::endpoint endpoint{v6_ ? asio::ip::address{to_address_v6(to.ip)} : to_address(to.ip), to.port};
    socket_.send_to(asio::buffer(packet), endpoint, 0, ignored);
  }

  void discovered(const discv5::Enr& record) override { network_.add_candidate(*record.multiaddr()); }

  void local_changed(const discv5::Enr& record) override {
    const auto& f = record.fields();
    log::info("others see this node at another address",
              {log::kv("ip", p2p::to_string(f.ip4 ? *f.ip4 : *f.ip6)), log::kv("enr", record.to_string())});
    network_.set_external_address(f.ip4 ? *f.ip4 : *f.ip6);
    say_record();
  }

  // ---------------------------------------------------------------- files, metrics

  void say_record() {
    std::lock_guard lock{mutex_};
    enr_ = service_->local().to_string();
  }

  void read_nodes() {
    if (!config_.nodes_file) return;
    const auto text = read_state_file(config_.nodes_file->path());
    if (absl::IsNotFound(text.status())) return;
    std::size_t read = 0;
    if (text.ok()) {
      for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
        const auto record = discv5::Enr::parse(line);
        if (record.ok() && service_->add_boot_node(*record) && ++read >= kMaxKept) break;
      }
    }
    // Everything works without this file; only the first minute is slower.
    if (read == 0) log::warn("no node found before can be read", {log::kv("file", config_.nodes_file->path())});
  }

  void keep_nodes() {
    if (!config_.nodes_file) return;
    std::string text;
    std::size_t kept = 0;
    for (const auto* n : service_->table().all())
      if (n->live && kept++ < kMaxKept) absl::StrAppend(&text, n->record.to_string(), "\n");
    if (kept == 0) return;  // an outage is no reason to forget them
    config_.nodes_file->keep(std::move(text));
  }

  void show() {
    const auto& s = service_->stats();
    peers_known_ = service_->peers_known();
    const auto add = [&](const char* name, const char* help, std::uint64_t v, std::uint64_t& shown,
                         const Labels& labels = {}) {
      metrics_.counter(name, help, labels).inc(static_cast<double>(v - shown));
      shown = v;
    };
    const char* const packets = "towline_gossip_discovery_packets_total";
    add(packets, "Packets of discv5.", s.packets_in, shown_.packets_in, {{"direction", "in"}});
    add(packets, "Packets of discv5.", s.packets_out, shown_.packets_out, {{"direction", "out"}});
    const char* const dropped = "towline_gossip_discovery_dropped_total";
    const char* const what = "Packets of discv5 that were dropped.";
    add(dropped, what, s.malformed, shown_.malformed, {{"reason", "malformed"}});
    add(dropped, what, s.unexpected, shown_.unexpected, {{"reason", "unexpected"}});
    add(dropped, what, s.bad_handshake, shown_.bad_handshake, {{"reason", "bad_handshake"}});
    const std::uint64_t limited = s.limited - shown_.limited;
    add(dropped, what, s.limited, shown_.limited, {{"reason", "limited"}});
    if (limited > 0 && steady_now() >= next_warning_) {
      next_warning_ = steady_now() + kWarnEach;
      log::warn(
          "more discovery packets come in than are answered: somebody floods this node, maybe from false addresses",
          {log::kv("dropped_in_last_second", limited)});
    }
    add("towline_gossip_discovery_lookups_total", "Searches for nodes.", s.lookups, shown_.lookups);
    add("towline_gossip_discovery_timeouts_total", "Requests that were not answered.", s.timeouts, shown_.timeouts);
    const auto nodes = [&](const char* state, std::size_t n) {
      metrics_
          .gauge("towline_gossip_discovery_nodes",
                 "Nodes in the table: all, those that answer, and of them our chain's.", {{"state", state}})
          .set(static_cast<double>(n));
    };
    nodes("known", service_->table().size());
    nodes("live", service_->table().live());
    nodes("chain", peers_known_);
    metrics_.gauge("towline_gossip_discovery_sessions", "Sessions with other nodes.")
        .set(static_cast<double>(service_->sessions()));
  }

  const DiscoveryConfig config_;
  const secp256k1::SecretKey& key_;
  Network& network_;
  Metrics& metrics_;
  asio::io_context io_{1};
  udp::socket socket_{io_};
  asio::steady_timer timer_{io_};
  std::thread thread_;
  bool v6_ = false, dual_ = false;
  std::uint16_t port_ = 0;
  std::optional<discv5::Service> service_;
  std::array<std::uint8_t, 2048> in_{};
  udp::endpoint from_;
  absl::Time next_show_ = absl::InfinitePast(), next_keep_ = absl::InfinitePast(), next_warning_ = absl::InfinitePast();
  discv5::Service::Stats shown_;
  std::atomic<std::size_t> peers_known_{0};
  mutable std::mutex mutex_;
  std::string enr_;
};

Discovery::Discovery(DiscoveryConfig config, const secp256k1::SecretKey& key, Network& network, Metrics& metrics)
    : loop_{std::make_unique<Loop>(std::move(config), key, network, metrics)} {}
Discovery::~Discovery() { stop(); }

absl::Status Discovery::start() { return loop_->start(); }
void Discovery::stop() { loop_->stop(); }
std::string Discovery::enr() const { return loop_->enr(); }
std::uint16_t Discovery::port() const { return loop_->port(); }
void Discovery::ask_turn(std::function<void()> turn) { loop_->ask_turn(std::move(turn)); }
std::size_t Discovery::peers_known() const { return loop_->peers_known(); }

}  // namespace towline::gossip
