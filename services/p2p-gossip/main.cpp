#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <CLI/CLI.hpp>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/files.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/discv5/boot_nodes.hpp"
#include "libs/http/client.hpp"
#include "libs/service/flags.hpp"
#include "libs/service/service_main.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/actors/clock_poller.hpp"
#include "services/p2p-gossip/actors/signer_poller.hpp"
#include "services/p2p-gossip/core/block_codec.hpp"
#include "services/p2p-gossip/edge/blocking_network.hpp"
#include "services/p2p-gossip/edge/gossip_service.hpp"
#include "services/p2p-gossip/edge/udp_discovery.hpp"
#include "services/p2p-gossip/key_file.hpp"

namespace towline::gossip {
namespace {

/// A duration with a unit, such as "10s" or "500ms".
absl::StatusOr<absl::Duration> duration(const char* flag, const std::string& text, absl::Duration least) {
  absl::Duration d;
  if (!absl::ParseDuration(text, &d) || d < least)
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": a duration such as 10s or 1h, at least ", absl::FormatDuration(least)));
  return d;
}

class P2PGossip final : public service::Program {
 public:
  void add_flags(CLI::App& app) override {
    chain_.add(app);
    app.add_option("--data-dir", data_dir_, "keeps the node's key and the bans")->capture_default_str();
    app.add_option("--p2p.listen.ip", network_.listen_ip, "IP address to listen on; 0.0.0.0 or :: for all")
        ->capture_default_str();
    app.add_option("--p2p.listen.tcp", network_.listen_port, "TCP port, 0: any")->capture_default_str();
    app.add_option("--p2p.advertise.ip", network_.advertise_ip,
                   "IP address that others are told, where it is not the one listened on");
    app.add_option("--p2p.advertise.tcp", network_.advertise_port,
                   "TCP port that others are told, 0: the one listened on")
        ->capture_default_str();
    app.add_option("--p2p.listen.udp", listen_udp_, "UDP port of discovery, 0: the same as for TCP")
        ->capture_default_str();
    app.add_option("--p2p.advertise.udp", discovery_.advertise_port,
                   "UDP port that others are told, 0: the one listened on")
        ->capture_default_str();
    app.add_flag("--p2p.no-discovery", no_discovery_, "do not look for peers by discv5: static peers only");
    app.add_option("--p2p.bootnodes", boot_nodes_,
                   "enr:... or enode://... to find others through; repeat it, or separate by commas; default: those of "
                   "the chain's L1")
        ->delimiter(',');
    app.add_option("--p2p.priv.path", key_file_,
                   "file with the node's secp256k1 key (64 hex digits), made if it is not there; default: "
                   "p2p_priv.txt in the data directory");
    app.add_option("--p2p.priv.raw", raw_key_, "the key itself")->group(service::kSecrets);
    app.add_option("--p2p.netrestrict", netrestrict_,
                   "CIDR networks; peers that were found elsewhere are not dialled. Repeat it, or separate by commas")
        ->delimiter(',');
    app.add_option("--p2p.static", static_peers_,
                   "multiaddr with /p2p of a peer to stay connected to; repeat it, or separate by commas")
        ->delimiter(',');
    app.add_option("--p2p.peers.lo", network_.peers.peers_lo, "dial until this many peers are connected")
        ->capture_default_str();
    app.add_option("--p2p.peers.hi", network_.peers.peers_hi, "let peers go when more are connected")
        ->capture_default_str();
    app.add_option("--p2p.peers.grace", grace_, "how long a new peer is kept whatever happens")->capture_default_str();
    app.add_option("--p2p.timeout.dial", dial_timeout_, "time for one dial")->capture_default_str();
    app.add_option("--p2p.timeout.negotiation", negotiation_timeout_, "time for a handshake")->capture_default_str();
    app.add_option("--p2p.useragent", network_.node.agent, "what others see in identify")->capture_default_str();
    app.add_option("--p2p.gossip.mesh.d", network_.node.gossip.d, "wanted peers in a mesh")
        ->capture_default_str()
        ->check(CLI::Range(1, 100));
    app.add_option("--p2p.gossip.mesh.lo", network_.node.gossip.d_low, "graft when fewer are in it")
        ->capture_default_str()
        ->check(CLI::Range(1, 100));
    app.add_option("--p2p.gossip.mesh.dhi", network_.node.gossip.d_high, "prune when more are in it")
        ->capture_default_str()
        ->check(CLI::Range(1, 100));
    app.add_option("--p2p.gossip.mesh.dlazy", network_.node.gossip.d_lazy,
                   "peers that are told of messages each heartbeat")
        ->capture_default_str()
        ->check(CLI::Range(0, 100));
    app.add_option("--p2p.gossip.mesh.floodpublish", network_.node.gossip.flood_publish,
                   "send published blocks to all peers, not to the mesh only")
        ->capture_default_str();
    app.add_option("--p2p.gossip.timestamp.threshold", past_, "refuse blocks that are older")->capture_default_str();
    app.add_option("--p2p.ban.peers", network_.ban_peers, "ban peers with a bad score")->capture_default_str();
    app.add_option("--p2p.ban.threshold", network_.node.gossip.ban_threshold, "ban below this score")
        ->capture_default_str();
    app.add_option("--p2p.ban.duration", ban_duration_, "for how long")->capture_default_str();
    app.add_option("--p2p.unsafe-block-signer", signer_,
                   "address that signs the chain's blocks; default: the network's, or what L1 says");
    app.add_option(
        "--l1-rpc", l1_urls_,
        "L1 RPC to read the signer from SystemConfig each 10 minutes, proven by eth_getProof; repeat it: with "
        "two or more, two must agree on the block");
    app.add_option(
           "--clock-source", clock_sources_,
           "URL of an HTTP server whose clock (Date header) ours is compared with, such as http://host:port of a "
           "source; no key is needed. Repeat it, or separate by commas; default: --l1-rpc")
        ->delimiter(',');
    app.add_option("--max-cached-blocks", cached_blocks_, "recent blocks that are kept for the EL")
        ->capture_default_str()
        ->check(CLI::Range(16, 100000));
    app.add_option("--max-cached-bytes", cached_bytes_, "and bytes of them")->capture_default_str();
  }

  absl::Status start(service::Context& ctx) override {
    TOWLINE_ASSIGN_OR_RETURN(config_, chain_.load());
    TOWLINE_ASSIGN_OR_RETURN(const auto signer, choose_signer());
    TOWLINE_RETURN_IF_ERROR(read_flags());
    if (const auto ec = make_private_directory(data_dir_))
      return absl::InvalidArgumentError(absl::StrCat("--data-dir: cannot make ", data_dir_, ": ", ec.message()));
    if (key_file_.empty()) key_file_ = data_dir_ + "/p2p_priv.txt";
    auto key = raw_key_.empty() ? read_or_make_key(key_file_) : parse_key(raw_key_);
    if (!key.ok() && !raw_key_.empty())
      return absl::InvalidArgumentError(absl::StrCat("--p2p.priv.raw: ", key.status().message()));
    TOWLINE_RETURN_IF_ERROR(key.status());
    identity_ = std::make_unique<p2p::Identity>(*std::move(key));
    network_.node.topics = gossip_block::topic_names(config_.l2_chain_id);
    network_.peers.seed = static_cast<std::uint64_t>(absl::ToUnixNanos(absl::Now()));

    gossip_block::Options rules;
    rules.chain_id = config_.l2_chain_id;
    rules.past = past_duration_;
    system_ = &ctx.system;
    const file_store_actor files = actors_.add(system_->spawn<caf::detached>(file_store));
    network_.bans_file = std::make_shared<KeptFile>(data_dir_ + "/p2p_bans.json", "the bans", files);
    discovery_.nodes_file =
        std::make_shared<KeptFile>(data_dir_ + "/p2p_nodes.txt", "the nodes that were found", files);
    store_ = actors_.add(system_->spawn(block_store, BlockStoreConfig{cached_blocks_, cached_bytes_, &last_block_}));
    validator_ = std::make_unique<Validator>(
        ctx.system, config_, rules, *store_, ctx.metrics, [this](bool on) { p2p_->suspend_penalties(on); }, signer);
    p2p_ = std::make_unique<BlockingNetwork>(
        network_, *identity_, block_codec(),
        [this](p2p::Gossipsub::Validation v, Network::Done done) { validate(std::move(v), std::move(done)); },
        ctx.metrics);
    TOWLINE_RETURN_IF_ERROR(p2p_->start());
    ctx.watchdog.watch("p2p", [this](std::function<void()> turn) { p2p_->ask_turn(std::move(turn)); });
    if (clock_sources_.empty()) clock_sources_ = l1_urls_;
    if (!clock_sources_.empty()) {
      http_ = std::make_shared<http::Client>();
      ctx.watchdog.watch("http", [this](std::function<void()> turn) { http_->ask_turn(std::move(turn)); });
      clock_poller_ = ctx.system.spawn<caf::detached>(
          clock_poller, ClockPollerConfig{clock_sources_, http_, validator_.get(), &ctx.metrics});
    }
    if (!l1_urls_.empty())
      signer_poller_ = ctx.system.spawn<caf::detached>(
          signer_poller,
          SignerPollerConfig{l1_urls_, *config_.l1_system_config, http_, validator_.get(), &evidence_, &ctx.metrics});
    NodeFacts facts;
    facts.config = &config_;
    facts.signer_source = [this] { return evidence_.get()->proof.empty() ? signer_source_ : "l1"; };
    if (!no_discovery_) {
      TOWLINE_RETURN_IF_ERROR(discover(ctx.metrics));
      ctx.watchdog.watch("discovery", [this](std::function<void()> turn) { finder_->ask_turn(std::move(turn)); });
      facts.enr = [this] { return finder_->enr(); };
      facts.discovered = [this] { return finder_->peers_known(); };
    }
    service_ = std::make_unique<GossipService>(
        GossipService::Parts{system_, *store_, &last_block_, validator_.get(), p2p_.get(), std::move(facts)});
    payloads_ = std::make_unique<GossipPayloadService>(*system_, *store_);
    log::info("gossiping",
              {log::kv("chain_id", config_.l2_chain_id), log::kv("address", p2p_->addresses()[0].to_string()),
               log::kv("signer", signer ? to_hex(signer->view()) : "from L1"),
               log::kv("static_peers", network_.static_peers.size()),
               log::kv("enr", finder_ ? finder_->enr() : "no discovery")});
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> services() override { return {service_.get(), payloads_.get()}; }

  Readiness readiness() override {
    Readiness r{true, "ready", {}, {}};
    const std::size_t peers = p2p_->peers().size();
    const ValidBlockPtr last = *last_block_.get();
    r.details["peers"] = absl::StrCat(peers);
    if (last) r.details["last_block"] = eth::to_string(last->payload->ref());
    const auto l1 = evidence_.get();
    if (!l1->proof.empty()) r.details["signer"] = l1->proof;
    if (!l1->failure.empty()) r.details["signer_not_proven"] = l1->failure;
    const std::string doubt = validator_->doubt();
    const auto not_ready = [&](const char* code, std::string reason) {
      r.ready = false;
      r.code = code;
      r.reason = std::move(reason);
    };
    if (validator_->signers().empty())
      not_ready("no_signer", l1->failure.empty() ? "L1 has not said yet who signs the unsafe blocks, or it says nobody"
                                                 : absl::StrCat("the unsafe block signer is not known: ", l1->failure));
    else if (!doubt.empty()) not_ready("own_settings_suspect", doubt);
    else if (peers == 0) not_ready("no_peers", "no peer is connected; see `towline peers`");
    return r;
  }

  void stop() override {
    if (store_) caf::anon_send(*store_, stop_atom{});
    if (http_) http_->cancel_all();
  }

  void release() override {
    if (finder_) finder_->stop();
    if (p2p_) p2p_->stop();
    if (system_ == nullptr) return;
    caf::scoped_actor self{*system_};
    const auto end = [&](auto& actor) {
      if (!actor) return;
      self->send_exit(*actor, caf::exit_reason::user_shutdown);
      self->wait_for(*actor);
      actor.reset();
    };
    end(signer_poller_);
    end(clock_poller_);
    if (validator_) validator_->join(*system_);
    service_.reset();
    payloads_.reset();
    actors_.end(*system_);
    store_.reset();
  }

 private:
  /// nullopt: L1 will tell.
  absl::StatusOr<std::optional<Address>> choose_signer() {
    for (const auto& url : l1_urls_) {
      if (auto st = http::check_url(url); !st.ok())
        return absl::InvalidArgumentError(absl::StrCat("--l1-rpc: ", st.message()));
      if (std::count(l1_urls_.begin(), l1_urls_.end(), url) > 1)
        return absl::InvalidArgumentError("--l1-rpc: one URL is given twice, which is no second word");
    }
    if (!l1_urls_.empty() && !config_.l1_system_config)
      return absl::InvalidArgumentError(
          "--l1-rpc: the rollup config has no l1_system_config_address to read the signer from");
    if (!signer_.empty()) {
      const auto a = parse_fixed_hex<20>(signer_);
      if (!a.ok())
        return absl::InvalidArgumentError(
            absl::StrCat("--p2p.unsafe-block-signer: not an address (0x and 40 hex digits): ", signer_));
      signer_source_ = "flag";
      return *a;
    }
    if (config_.unsafe_block_signer) {
      signer_source_ = "network";
      return *config_.unsafe_block_signer;
    }
    if (!l1_urls_.empty()) return std::nullopt;
    return absl::InvalidArgumentError(
        "the unsafe block signer of this chain is not known: give --p2p.unsafe-block-signer ADDRESS, or --l1-rpc URL "
        "to read it from L1");
  }

  absl::Status read_flags() {
    for (const auto& text : static_peers_) {
      const auto a = p2p::Multiaddr::parse(text);
      if (!a.ok()) return absl::InvalidArgumentError(absl::StrCat("--p2p.static: ", a.status().message()));
      if (!a->peer) return absl::InvalidArgumentError(absl::StrCat("--p2p.static: ", text, " has no /p2p/PEER-ID"));
      network_.static_peers.push_back(*a);
    }
    const auto known = discv5::default_boot_nodes(config_.l1_chain_id);
    if (boot_nodes_.empty())
      for (const auto& text : known) boot_nodes_.emplace_back(text);
    for (const auto& text : boot_nodes_) {
      auto b = parse_boot_node(text);
      if (!b.ok()) return absl::InvalidArgumentError(absl::StrCat("--p2p.bootnodes: ", b.status().message()));
      discovery_.boot_nodes.push_back(*std::move(b));
    }
    if (!network_.advertise_ip.empty() && !p2p::parse_ip(network_.advertise_ip).ok())
      return absl::InvalidArgumentError(absl::StrCat("--p2p.advertise.ip: not an IP address: ", network_.advertise_ip));
    for (const auto& url : clock_sources_)
      if (auto st = http::check_url(url); !st.ok())
        return absl::InvalidArgumentError(absl::StrCat("--clock-source: ", st.message()));
    for (const auto& text : netrestrict_) {
      const auto n = p2p::IpNetwork::parse(text);
      if (!n.ok()) return absl::InvalidArgumentError(absl::StrCat("--p2p.netrestrict: ", n.status().message()));
      network_.peers.candidates_from.push_back(*n);
    }
    const auto& g = network_.node.gossip;
    if (g.d_low > g.d || g.d > g.d_high)
      return absl::InvalidArgumentError("--p2p.gossip.mesh: lo <= d <= dhi must hold");
    if (network_.peers.peers_lo > network_.peers.peers_hi)
      return absl::InvalidArgumentError("--p2p.peers.lo is larger than --p2p.peers.hi");
    TOWLINE_ASSIGN_OR_RETURN(network_.peers.peers_grace, duration("--p2p.peers.grace", grace_, absl::ZeroDuration()));
    TOWLINE_ASSIGN_OR_RETURN(network_.dial_timeout,
                             duration("--p2p.timeout.dial", dial_timeout_, absl::Milliseconds(100)));
    TOWLINE_ASSIGN_OR_RETURN(network_.node.negotiation_timeout,
                             duration("--p2p.timeout.negotiation", negotiation_timeout_, absl::Milliseconds(100)));
    TOWLINE_ASSIGN_OR_RETURN(network_.ban_duration, duration("--p2p.ban.duration", ban_duration_, absl::Seconds(1)));
    TOWLINE_ASSIGN_OR_RETURN(past_duration_, duration("--p2p.gossip.timestamp.threshold", past_, absl::Seconds(1)));
    network_.node.gossip.d_score = std::min(network_.node.gossip.d_score, network_.node.gossip.d);
    network_.node.gossip.d_out = std::min(network_.node.gossip.d_out, network_.node.gossip.d / 2);
    return absl::OkStatus();
  }

  absl::Status discover(Metrics& metrics) {
    discovery_.listen_ip = network_.listen_ip;
    discovery_.listen_port = listen_udp_ != 0 ? listen_udp_ : network_.listen_port;
    discovery_.advertise_ip = network_.advertise_ip;
    discovery_.advertise_tcp = p2p_->addresses()[0].tcp;
    discovery_.chain_id = config_.l2_chain_id;
    finder_ = std::make_unique<Discovery>(discovery_, identity_->key(), *p2p_, metrics);
    return finder_->start();
  }

  void validate(p2p::Gossipsub::Validation v, Network::Done done) {
    ValidationJob job;
    job.version = static_cast<gossip_block::PayloadVersion>(v.topic + 1);
    job.body = std::move(v.body);
    job.peer = v.from.to_string();
    // When the message was read, before it was decompressed.
    job.received = v.received - steady_ahead();
    job.done = [done = std::move(done)](const gossip_block::Checked&, gossip_block::Result result) {
      done(validation_result(result));
    };
    validator_->submit(std::move(job));
  }

  service::ChainFlags chain_;
  NetworkConfig network_;
  DiscoveryConfig discovery_;
  std::uint16_t listen_udp_ = 0;
  bool no_discovery_ = false;
  std::vector<std::string> boot_nodes_;
  std::string data_dir_ = "towline-gossip";
  std::string key_file_, raw_key_, signer_, signer_source_;
  std::vector<std::string> l1_urls_, static_peers_, netrestrict_, clock_sources_;
  std::string grace_ = "30s", dial_timeout_ = "10s", negotiation_timeout_ = "10s", ban_duration_ = "1h", past_ = "60s";
  absl::Duration past_duration_;
  std::size_t cached_blocks_ = 512, cached_bytes_ = 32U << 20U;

  rollup::Config config_;
  caf::actor_system* system_ = nullptr;
  std::unique_ptr<p2p::Identity> identity_;
  Published<ValidBlockPtr> last_block_{nullptr};
  Terminator actors_;
  std::optional<block_store_actor> store_;
  std::unique_ptr<Validator> validator_;
  Published<SignerEvidence> evidence_{{}};
  /// For the L1 endpoints and the clock sources.
  std::shared_ptr<http::Client> http_;
  std::unique_ptr<BlockingNetwork> p2p_;
  std::unique_ptr<Discovery> finder_;
  std::unique_ptr<GossipService> service_;
  std::unique_ptr<GossipPayloadService> payloads_;
  std::optional<signer_poller_actor> signer_poller_;
  std::optional<clock_poller_actor> clock_poller_;
};

}  // namespace
}  // namespace towline::gossip

int main(int argc, char** argv) {
  towline::gossip::P2PGossip gossip;
  return towline::service::service_main(
      {"p2p-gossip", "Unsafe blocks from the chain's p2p network, validated.", "127.0.0.1:7440", "127.0.0.1:7441",
       static_cast<int>(towline::gossip_block::kMaxMessage) + (64 << 10)},
      gossip, argc, argv);
}
