// towline, the operator's command line: one function per verb, small calls with a deadline.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <variant>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/http/client.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/service/flags.hpp"
#include "libs/wire/channel.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/token.hpp"
#include "tools/towline/demo.hpp"
#include "tools/towline/inspect/inspect.hpp"
#include "tools/towline/inspect/p2p.hpp"
#include "tools/towline/live_area.hpp"
#include "tools/towline/process.hpp"
#include "tools/towline/recovery.hpp"
#include "tools/towline/render.hpp"
#include "tools/towline/replicas.hpp"
#include "tools/towline/supervisor.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::cli {
namespace {

// Exit codes: --help and docs/operations.md have them, too.
constexpr int kOk = 0;
constexpr int kFailed = 1;       // the answer is no: INVALID, no such name, a service that cannot run
constexpr int kUsage = 2;        // wrong flags
constexpr int kUnreachable = 3;  // the service does not answer
constexpr int kUnhealthy = 4;    // status --check: not ready; recover: a person is needed

constexpr auto kDeadline = std::chrono::seconds{5};
/// Every source has some seconds to answer.
constexpr auto kAskAll = std::chrono::seconds{30};
constexpr auto kRewind = std::chrono::minutes{5};
constexpr const char* kFetcher = "127.0.0.1:7410";

int report(const grpc::Status& s, const std::string& target) {
  if (s.error_code() == grpc::StatusCode::UNAVAILABLE || s.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::cerr << "towline: " << target << " does not answer; is it running there?\n";
    return kUnreachable;
  }
  std::cerr << "towline: " << s.error_message() << '\n';
  return kFailed;
}

struct Call {
  grpc::ClientContext context;
  Call() { context.set_deadline(std::chrono::system_clock::now() + kDeadline); }
};

std::string read_all(std::istream& in) { return {std::istreambuf_iterator<char>{in}, {}}; }

class Cli {
 public:
  int run(int argc, char** argv) {
    CLI::App app{
        "Towline tows a local execution client along an OP Stack chain.\n\n"
        "  towline up --source https://rpc.example --engine http://127.0.0.1:8551 \\\n"
        "             --jwt-secret jwt.hex --network op-mainnet\n"
        "  towline status            where it is, and why\n"
        "  towline decisions -n 20   what it did last, and why\n"
        "  towline recover           what to do when it cannot go on\n",
        "towline"};
    app.footer(
        "Exit codes: 0 done; 1 the answer is no (INVALID, no such name, a service that\ncannot run); 2 wrong flags; 3 "
        "the service does not answer; 4 `status --check`:\nnot ready; 4 `recover`: somebody has to do something.");
    app.set_version_flag("--version", "towline " TOWLINE_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    app.set_config("--config", "", "TOML file of flags; those of a command stand in its section, as engine under [up]")
        ->envname("TOWLINE_CONFIG");
    app.allow_config_extras(CLI::config_extras_mode::error);
    app.get_config_formatter_base()->parentSeparator('/');
    app.add_option("--coordinator", coordinator_, "gRPC address of the sync-coordinator")
        ->envname("TOWLINE_COORDINATOR")
        ->capture_default_str();
    app.add_option("--gossip", gossip_, "gRPC target of p2p-gossip; the coordinator knows it")
        ->envname("TOWLINE_GOSSIP");
    app.add_option("--fetcher", fetcher_, "gRPC target of the remote-fetcher; the coordinator knows it")
        ->envname("TOWLINE_FETCHER");
    app.add_option("--auth.token-file", token_file_,
                   "file with the services' shared token; default: what `towline up` made in towline-data")
        ->envname("TOWLINE_AUTH_TOKEN_FILE");
    app.add_flag("--json", json_, "print JSON, fields named as in the protos");

    auto* up_command = app.add_subcommand("up", "run all services on this host and show how far they are");
    add_up_flags(*up_command);
    absl::StatusOr<ServiceFlags> service_flags = absl::UnknownError("not asked for");
    up_command->preparse_callback([&](std::size_t) {
      service_flags = ServiceFlags::ask(own_directory());
      if (service_flags.ok()) service_flags->add_to(*up_command);
    });
    auto* status = app.add_subcommand("status", "where the tow is, and why");
    bool check = false;
    status->add_flag("--check", check, "exit code 4 unless every tow is ready, as /readyz says it");
    auto* watch = app.add_subcommand("watch", "status lines as they change, until Ctrl-C");
    auto* decisions = app.add_subcommand("decisions", "the last decisions with their reasons");
    std::uint32_t limit = 0;
    decisions->add_option("-n,--limit", limit, "only the last N (0: all that are kept)");
    auto* endpoints = app.add_subcommand("endpoints", "what is known of every source");
    std::string name;
    std::string reason;
    auto* cordon = app.add_subcommand("cordon", "take a source out of use");
    cordon->add_option("name", name, "as `towline endpoints` shows it")->required();
    cordon->add_option("--reason", reason, "kept and shown");
    CLI::App* uncordon = app.add_subcommand("uncordon", "put a source back into use");
    uncordon->add_option("name", name, "as `towline endpoints` shows it")->required();
    auto* peers = app.add_subcommand("peers", "this node on the p2p network, its peers and the bans");
    auto* ban = app.add_subcommand("ban", "keep a p2p peer or an IP address out");
    std::uint64_t seconds = 3600;
    ban->add_option("target", name, "a peer id, or an IP address")->required();
    ban->add_option("--seconds", seconds, "for how long")->capture_default_str()->check(CLI::PositiveNumber);
    ban->add_option("--reason", reason, "kept and shown");
    auto* unban = app.add_subcommand("unban", "let a banned peer or IP address in again");
    unban->add_option("target", name, "as `towline peers` shows it")->required();
    auto* connect = app.add_subcommand("connect", "dial a p2p peer now");
    connect->add_option("address", name, "multiaddr with /p2p, e.g. /ip4/10.0.0.1/tcp/9222/p2p/16Uiu2HA..")->required();
    std::string driver;
    auto* pause = app.add_subcommand("pause", "stop towing after the command in hand");
    pause->add_option("--driver", driver, "only this engine-driver");
    pause->add_option("--reason", reason, "kept and shown");
    auto* resume = app.add_subcommand("resume", "tow on");
    resume->add_option("--driver", driver, "only this engine-driver");
    auto* recover = app.add_subcommand("recover", "what to do when the tow is DIVERGED or NEEDS_OPERATOR");
    bool force = false;
    auto* forced =
        recover->add_flag("--force", force,
                          "lower what is final here, where a majority of the configured trust groups has one "
                          "other block in its place");
    recover->add_option("--reason", reason, "why; kept in engine-driver's log")->needs(forced);
    recover->add_option("--driver", driver, "only this engine-driver");
    auto* networks = app.add_subcommand("networks", "the chains that --network knows");
    auto* version = app.add_subcommand("version", "the version of this program");
    auto* demo_command = app.add_subcommand(
        "demo", "tow a simulated client along a simulated chain and check every step: about 75 seconds");
    auto* inspect = app.add_subcommand("inspect", "look into data")->require_subcommand(1);
    auto* block = inspect->add_subcommand(
        "block", "recompute every hash of a block and say whether it verifies (exit code 0 or 1)");
    std::string file;
    std::string url;
    std::string number;
    block->add_option("file", file, "a block file, or - for standard input");
    block->add_option("--url", url, "take the block from this JSON-RPC instead");
    block->add_option("--number", number, "with --url: a number, or latest, safe, finalized");
    block->add_option("--rollup-config", up_.rollup_config, "rollup.json of the chain: the forks are checked, too");
    block->add_option("--network", up_.network, "or a known chain by name");
    auto* gossip = inspect->add_subcommand(
        "gossip", "decode and verify a gossiped block: its signer, and the first rule that it breaks");
    std::string topic, at, signer;
    std::uint64_t chain_id = 0;
    gossip->add_option("file", file, "the raw message or its hex text, or - for standard input")->required();
    gossip->add_option("--chain-id", chain_id, "of the chain (default: that of --network or --rollup-config)");
    gossip->add_option("--topic", topic, "v1 to v4 (default: what fits)")
        ->check(CLI::IsMember({"v1", "v2", "v3", "v4"}));
    gossip->add_option("--at", at, "Unix seconds at which it is judged (default: the block's own time)");
    gossip->add_option("--signer", signer, "the address that must have signed it (default: anybody)");
    gossip->add_option("--rollup-config", up_.rollup_config, "rollup.json of the chain, for its fork times");
    gossip->add_option("--network", up_.network, "or a known chain by name");
    std::string text;
    auto* enr = inspect->add_subcommand("enr", "decode and verify a node record (enr:..) or an enode URL");
    enr->add_option("text", text, "enr:.. or enode://..")->required();
    auto* multiaddr = inspect->add_subcommand("multiaddr", "decode a multiaddr");
    multiaddr->add_option("text", text, "/ip4/../tcp/../p2p/..")->required();
    auto* peer_id = inspect->add_subcommand("peer-id", "decode a libp2p peer id");
    peer_id->add_option("text", text, "16Uiu2HA.., 12D3KooW.., Qm.. or bafz..")->required();
    for (auto* c : {gossip, enr, multiaddr, peer_id}) c->fallthrough();
    inspect->fallthrough();
    block->fallthrough();

    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& e) {
      return app.exit(e);
    } catch (const CLI::ParseError& e) {
      if (*up_command && !service_flags.ok()) return cannot_ask(service_flags.status());
      std::cerr << "towline: "
                << absl::StrReplaceAll(e.what(),
                                       {{"INI was not able to parse ", "--config: no such key, or no TOML: "}})
                << " (--help shows the flags)\n";
      return kUsage;
    }
    hide_urls(argc, argv);
    if (*up_command) {
      if (!service_flags.ok()) return cannot_ask(service_flags.status());
      if (const std::string wrong = service::secret_on_command_line(*up_command, argc, argv); !wrong.empty()) {
        std::cerr << "towline up: " << wrong << '\n';
        return kUsage;
      }
      if (const std::string unknown = service::unknown_variables({&app, up_command}); !unknown.empty())
        std::cerr << "towline up: no flag reads " << unknown << " (--help shows them)\n";
      up_.environment = service_flags->given();
      up_.token_file = token_file_;
      return run_up();
    }
    if (*demo_command) return demo();
    if (*version) {
      std::cout << "towline " TOWLINE_VERSION "\n";
      return kOk;
    }
    if (*networks) {
      if (json_) {
        std::cout << nlohmann::json(rollup::network_names()).dump(1) << '\n';
        return kOk;
      }
      for (const auto& n : rollup::network_names()) std::cout << n << '\n';
      return kOk;
    }
    if (*block) return inspect_block(file, url, number);
    if (*gossip) return inspect_gossip(file, chain_id, topic, at, signer);
    if (*enr) return show(inspect::inspect_enr(text));
    if (*multiaddr) return show(inspect::inspect_multiaddr(text));
    if (*peer_id) return show(inspect::inspect_peer_id(text));
    if (!read_token()) return kUsage;
    if (*status) return run_status(check);
    if (*watch) return run_watch();
    if (*decisions) {
      v1::ListDecisionsRequest request;
      request.set_limit(limit);
      v1::ListDecisionsResponse response;
      return coordinator_call([&](auto& s, auto* c) { return s.ListDecisions(c, request, &response); },
                              [&] { print(response, decisions_text(response)); });
    }
    if (*pause || *resume) {
      v1::PauseRequest p;
      p.set_driver(driver);
      p.set_reason(reason);
      v1::ResumeRequest r;
      r.set_driver(driver);
      v1::PauseResponse pr;
      v1::ResumeResponse rr;
      return coordinator_call([&](auto& s, auto* c) { return *pause ? s.Pause(c, p, &pr) : s.Resume(c, r, &rr); },
                              [&] { done(*pause ? "paused: `towline resume` goes on" : "resumed"); });
    }
    if (*recover) return run_recover(driver, force, reason);
    if (*endpoints) {
      v1::ListEndpointsResponse response;
      return fetcher_call([&](auto& s, auto* c) { return s.ListEndpoints(c, {}, &response); },
                          [&] { print(response, endpoints_text(response)); });
    }
    if (*cordon) {
      v1::CordonEndpointRequest request;
      request.set_name(name);
      request.set_reason(reason);
      return every_fetcher(
          [&](auto& s, auto* c) {
            v1::CordonEndpointResponse response;
            return s.CordonEndpoint(c, request, &response);
          },
          [&](const std::string& where) {
            return absl::StrCat(name, " is out of use", where, ": `towline uncordon ", name, "` takes it back");
          });
    }
    if (*peers) return run_peers();
    if (*ban) {
      v1::BanPeerRequest request;
      request.set_target(name);
      request.set_seconds(seconds);
      request.set_reason(reason);
      v1::BanPeerResponse response;
      return gossip_call(
          [&](auto& s, auto* c) { return s.BanPeer(c, request, &response); },
          [&] { done(absl::StrCat(name, " is kept out: `towline unban ", name, "` lets it in again")); });
    }
    if (*unban) {
      v1::UnbanPeerRequest request;
      request.set_target(name);
      v1::UnbanPeerResponse response;
      return gossip_call([&](auto& s, auto* c) { return s.UnbanPeer(c, request, &response); },
                         [&] { done(absl::StrCat(name, " may connect again")); });
    }
    if (*connect) {
      v1::ConnectPeerRequest request;
      request.set_address(name);
      v1::ConnectPeerResponse response;
      return gossip_call([&](auto& s, auto* c) { return s.ConnectPeer(c, request, &response); },
                         [&] { done("connected"); });
    }
    v1::UncordonEndpointRequest request;
    request.set_name(name);
    return every_fetcher(
        [&](auto& s, auto* c) {
          v1::UncordonEndpointResponse response;
          return s.UncordonEndpoint(c, request, &response);
        },
        [&](const std::string& where) { return absl::StrCat(name, " is in use again", where); });
  }

 private:
  /// URLs may hold keys, and every user of the host can read /proc/PID/cmdline: what was parsed is blanked there.
  static void hide_urls(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      char* at = std::strstr(argv[i], "://");
      if (at != nullptr) std::memset(at + 3, '*', std::strlen(at + 3));
    }
  }

  bool read_token() {
    const std::string by_default = absl::StrCat(kDefaultDataDir, "/", kTokenFile);
    if (token_file_.empty() && access(by_default.c_str(), R_OK) != 0) return true;
    auto token = wire::read_token(token_file_.empty() ? by_default : token_file_);
    if (!token.ok()) {
      std::cerr << "towline: --auth.token-file: " << token.status().message() << '\n';
      return false;
    }
    token_ = *std::move(token);
    return true;
  }

  void add_up_flags(CLI::App& c) {
    c.footer(
        "Example: towline up --source https://rpc.example --engine http://127.0.0.1:8551 \\\n           --jwt-secret "
        "jwt.hex --network op-mainnet\n\n"
        "It needs no L1 endpoint. Several --source are used together: one may fail or lie.\nCtrl-C stops everything "
        "within 5 seconds.");
    c.add_option(
         "--source", up_.sources,
         "JSON-RPC URL of a remote node (EL or CL), best first; repeat it. URL,group=NAME says who runs it: one vote")
        ->delimiter(',');
    c.add_option("--engine", up_.engine, "Engine API of the local EL, for example http://127.0.0.1:8551")->required();
    c.add_option("--network", up_.network, "a known chain by name (`towline networks`)");
    c.add_option("--rollup-config", up_.rollup_config, "or its rollup.json");
    c.add_option("--unsafe-source", up_.unsafe_source,
                 "gossip (the p2p network), remote, both, or none to follow the safe head")
        ->capture_default_str()
        ->check(CLI::IsMember({"both", "gossip", "remote", "none"}));
    c.add_flag("--p2p.disable", up_.p2p_disable, "do not join the chain's p2p network");
    c.add_option("--data-dir", up_.data_dir, "fence, epoch and logs")->capture_default_str();
    c.add_option("--base-port", up_.base_port, "services listen on loopback from this port on; 0: any free ports")
        ->capture_default_str()
        ->check(CLI::Range(0, kLargestBasePort));
    service::name_environment(c);
  }

  static int cannot_ask(const absl::Status& why) {
    std::cerr << "towline up: " << why.message() << '\n';
    return kFailed;
  }

  int run_up() {
    if (up_.sources.empty() && !up_.environment["remote-fetcher"].contains("TOWLINE_ENDPOINTS_FILE")) {
      std::cerr << "towline up: no source: give --source URL (repeat it for more) or --endpoints-file FILE\n";
      return kUsage;
    }
    if (up_.unsafe_source == "gossip" && !runs_gossip(up_)) {
      std::cerr << "towline up: --unsafe-source gossip needs nodes of the chain to begin with (--p2p.static or "
                   "--p2p.bootnodes) and who signs its blocks (--p2p.unsafe-block-signer)\n";
      return kUsage;
    }
    if (up_.network.empty() == up_.rollup_config.empty()) {
      std::cerr << "towline up: give one of --network and --rollup-config\n";
      return kUsage;
    }
    return up(up_);
  }

  void print(const google::protobuf::Message& m, const std::string& text) const {
    std::cout << (json_ ? to_json(m) : text) << std::flush;
  }

  void done(const std::string& text) const { std::cout << (json_ ? "{}" : text) << std::endl; }

  template <class Ask, class Show>
  int coordinator_call(Ask ask, Show show) {
    auto stub = v1::SyncCoordinator::NewStub(wire::make_channel(coordinator_, token_));
    Call call;
    if (const grpc::Status s = ask(*stub, &call.context); !s.ok())
      return report(s, "sync-coordinator at " + coordinator_);
    show();
    return kOk;
  }

  /// Where a service is: what the flag says, else what the coordinator says, else its default.
  std::string target_of(const std::string& flag, const std::string& (v1::GetSyncStatusResponse::*known)() const,
                        const char* otherwise) const {
    if (!flag.empty()) return flag;
    auto stub = v1::SyncCoordinator::NewStub(wire::make_channel(coordinator_, token_));
    Call call;
    v1::GetSyncStatusResponse response;
    const bool answered = stub->GetSyncStatus(&call.context, {}, &response).ok();
    return answered && !(response.*known)().empty() ? (response.*known)() : otherwise;
  }
  std::string fetcher_target() const {
    return target_of(fetcher_, &v1::GetSyncStatusResponse::remote_fetcher, kFetcher);
  }
  std::string gossip_target() const {
    return target_of(gossip_, &v1::GetSyncStatusResponse::p2p_gossip, "127.0.0.1:7440");
  }

  template <class Ask, class Show>
  int fetcher_call(Ask ask, Show show) {
    const std::string target = fetcher_target();
    auto stub = v1::RemoteFetcher::NewStub(wire::make_channel(target, token_));
    Call call;
    if (const grpc::Status s = ask(*stub, &call.context); !s.ok()) return report(s, "remote-fetcher at " + target);
    show();
    return kOk;
  }

  /// Each replica has its own list: all of them are told. `say` gets " in all 3 remote-fetchers", or nothing for one.
  template <class Ask, class Say>
  int every_fetcher(Ask ask, Say say) {
    const std::vector<std::string> replicas = addresses_of(fetcher_target());
    int code = kOk;
    std::size_t reached = 0;
    for (const auto& address : replicas) {
      auto stub = v1::RemoteFetcher::NewStub(wire::make_channel(address, token_));
      Call call;
      if (const grpc::Status s = ask(*stub, &call.context); s.ok()) ++reached;
      else code = report(s, "remote-fetcher at " + address);
    }
    if (reached == 0) return code;
    done(say(replicas.size() == 1 ? "" : absl::StrCat(" in ", reached, " of ", replicas.size(), " remote-fetchers")));
    return code;
  }

  template <class Ask, class Show>
  int gossip_call(Ask ask, Show show) {
    const std::string target = gossip_target();
    auto stub = v1::P2PGossip::NewStub(wire::make_channel(target, token_));
    Call call;
    // A dial takes longer than a question.
    call.context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{35});
    if (const grpc::Status s = ask(*stub, &call.context); !s.ok()) return report(s, "p2p-gossip at " + target);
    show();
    return kOk;
  }

  int run_peers() {
    v1::GetNodeResponse node;
    v1::ListPeersResponse peers;
    v1::ListBansResponse bans;
    return gossip_call(
        [&](auto& s, auto* c) {
          if (grpc::Status st = s.GetNode(c, {}, &node); !st.ok()) return st;
          Call second, third;
          if (grpc::Status st = s.ListPeers(&second.context, {}, &peers); !st.ok()) return st;
          return s.ListBans(&third.context, {}, &bans);
        },
        [&] {
          if (!json_) {
            std::cout << peers_text(node, peers, bans) << std::flush;
            return;
          }
          std::cout << absl::StrCat("{\"node\": ", to_json(node, -1), ",\n\"peers\": ", to_json(peers, -1),
                                    ",\n\"bans\": ", to_json(bans, -1), "}\n")
                    << std::flush;
        });
  }

  int run_recover(const std::string& driver, bool force, const std::string& reason) {
    v1::GetSyncStatusResponse response;
    if (const int code = coordinator_call([&](auto& s, auto* c) { return s.GetSyncStatus(c, {}, &response); }, [] {});
        code != kOk)
      return code;
    v1::SyncStatus status;
    for (const auto& t : response.status().tows())
      if (driver.empty() || t.driver() == driver) *status.add_tows() = t;
    if (!driver.empty() && status.tows().empty()) {
      std::cerr << "towline recover: no engine-driver \"" << driver << "\"; `towline status` lists them\n";
      return kFailed;
    }
    if (force && status.tows_size() != 1) {
      std::cerr << "towline recover: --force is for one engine-driver: say which by --driver\n";
      return kUsage;
    }
    Finalities found;
    int code = needs_person(status) ? kUnhealthy : kOk;
    for (const auto& t : status.tows()) {
      if (!force && t.state() != v1::TOW_STATE_DIVERGED) continue;
      auto f = finality_of(t, response.remote_fetcher());
      if (const auto* failed = std::get_if<Failed>(&f)) {
        const int why = report(failed->status, failed->who);
        if (force) return why;
        continue;
      }
      found.emplace(t.driver(), std::get<Finality>(std::move(f)));
    }
    if (force) code = lower(status.tows(0), found.begin()->second, reason);
    if (code != kUnreachable)
      std::cout << (json_ ? recover_json(status, found) : recover_text(status, found)) << std::flush;
    return code;
  }

  /// A call that failed, and whose.
  struct Failed {
    grpc::Status status;
    std::string who;
  };

  /// Asks the sources and the EL for what is final at a tow.
  std::variant<Finality, Failed> finality_of(const v1::Tow& t, const std::string& known_fetcher) const {
    const std::string fetcher = !fetcher_.empty() ? fetcher_ : !known_fetcher.empty() ? known_fetcher : kFetcher;
    const auto sources = v1::RemoteFetcher::NewStub(wire::make_channel(fetcher, token_));
    const auto engine = v1::EngineDriver::NewStub(wire::make_channel(t.driver(), token_));
    const std::string driver = "engine-driver at " + t.driver();
    v1::GetStateResponse state;
    Call call;
    if (auto s = engine->GetState(&call.context, {}, &state); !s.ok()) return Failed{s, driver};
    const auto here = here_of(state.state());
    if (!here.ok()) return Failed{wire::to_grpc(here.status()), driver};
    Finality f{Lowering{*here}, {}};
    while (f.lowering.verdict() == Lowering::Verdict::asking) {
      Call ask_sources, ask_engine;
      for (Call* c : {&ask_sources, &ask_engine}) c->context.set_deadline(std::chrono::system_clock::now() + kAskAll);
      v1::CompareEndpointsRequest there;
      v1::GetCanonicalBlocksRequest ours;
      for (const std::uint64_t n : f.lowering.numbers()) {
        there.add_numbers(n);
        ours.add_numbers(n);
      }
      v1::CompareEndpointsResponse said;
      v1::GetCanonicalBlocksResponse has;
      if (auto s = sources->CompareEndpoints(&ask_sources.context, there, &said); !s.ok())
        return Failed{s, "remote-fetcher at " + fetcher};
      if (auto s = engine->GetCanonicalBlocks(&ask_engine.context, ours, &has); !s.ok()) return Failed{s, driver};
      std::vector<eth::BlockRef> majority, blocks;
      for (const auto& b : said.majority())
        if (const auto id = wire::from_proto(b); id.ok()) majority.push_back({id->number, id->hash, {}, 0});
      for (const auto& b : has.blocks())
        if (const auto ref = wire::from_proto(b); ref.ok()) blocks.push_back(*ref);
      // The first answer is about what is final.
      if (f.said.endpoints().empty()) f.said = said;
      f.lowering.on_answers(majority, blocks);
    }
    return f;
  }

  int lower(const v1::Tow& t, Finality& f, const std::string& reason) const {
    if (f.lowering.verdict() != Lowering::Verdict::lower) return kFailed;
    const auto engine = v1::EngineDriver::NewStub(wire::make_channel(t.driver(), token_));
    v1::LowerFinalizedRequest request;
    *request.mutable_was() = wire::to_proto(*f.lowering.was());
    *request.mutable_to() = wire::to_proto(*f.lowering.to());
    request.set_reason(reason);
    Call call;
    // debug_setHead of a deep branch takes its time.
    call.context.set_deadline(std::chrono::system_clock::now() + kRewind);
    v1::LowerFinalizedResponse response;
    if (const auto s = engine->LowerFinalized(&call.context, request, &response); !s.ok()) {
      // It may be its EL or its disk.
      std::cerr << "towline: engine-driver at " << t.driver() << ": " << s.error_message() << '\n';
      return s.error_code() == grpc::StatusCode::UNAVAILABLE ? kUnreachable : kFailed;
    }
    f.lowered = response.result();
    if (f.lowered->outcome() == v1::OUTCOME_DONE) return kOk;
    return f.lowered->outcome() == v1::OUTCOME_REFUSED ? kFailed : kUnhealthy;
  }

  static absl::StatusOr<Lowering::Here> here_of(const v1::DriverState& s) {
    Lowering::Here here;
    if (!s.has_genesis()) return absl::FailedPreconditionError("this engine-driver is too old for this");
    const bool answers = s.status() == v1::ENGINE_STATUS_READY || s.status() == v1::ENGINE_STATUS_SYNCING ||
                         s.status() == v1::ENGINE_STATUS_INVALID || s.status() == v1::ENGINE_STATUS_BESIDE_FENCE;
    if (!answers || !s.labels().has_latest())
      return absl::FailedPreconditionError(absl::StrCat("the EL cannot be used: ", s.reason()));
    TOWLINE_ASSIGN_OR_RETURN(here.genesis, wire::from_proto(s.genesis()));
    TOWLINE_ASSIGN_OR_RETURN(const eth::BlockRef head, wire::from_proto(s.labels().latest()));
    here.head = head.id();
    if (s.has_fence()) {
      TOWLINE_ASSIGN_OR_RETURN(here.fence, wire::from_proto(s.fence()));
    }
    if (s.labels().has_finalized()) {
      TOWLINE_ASSIGN_OR_RETURN(const eth::BlockRef finalized, wire::from_proto(s.labels().finalized()));
      here.finalized = finalized.id();
    }
    return here;
  }

  int run_status(bool check) {
    v1::GetSyncStatusResponse response;
    const int code = coordinator_call([&](auto& s, auto* c) { return s.GetSyncStatus(c, {}, &response); },
                                      [&] { print(response.status(), status_text(response.status())); });
    if (code != kOk || !check) return code;
    for (const auto& t : response.status().tows()) {
      if (!t.ready()) return kUnhealthy;
    }
    return kOk;
  }

  int run_watch() {
    auto stub = v1::SyncCoordinator::NewStub(wire::make_channel(coordinator_, token_));
    grpc::ClientContext context;
    auto reader = stub->WatchSyncStatus(&context, {});
    v1::WatchSyncStatusResponse message;
    LiveArea area;
    std::string last;
    while (reader->Read(&message)) {
      if (json_) {
        std::cout << to_json(message.status(), -1) << std::flush;
        continue;
      }
      area.draw(live_lines(message.status()));
      const std::string line = live_line(message.status());
      if (!area.live() && line != last) std::cout << line << std::endl;
      last = line;
    }
    area.leave();
    return report(reader->Finish(), "sync-coordinator at " + coordinator_);
  }

  int fail(const std::string& why) const {
    std::cerr << "towline inspect: " << why << '\n';
    return kUsage;
  }

  int show(const inspect::Facts& f) const {
    std::cout << (json_ ? inspect::to_json(f) : inspect::to_text(f)) << std::flush;
    return f.valid ? kOk : kFailed;
  }

  int inspect_gossip(const std::string& file, std::uint64_t chain_id, const std::string& topic, const std::string& at,
                     const std::string& signer) {
    inspect::GossipQuestion q;
    q.chain_id = chain_id;
    if (!up_.network.empty() || !up_.rollup_config.empty()) {
      absl::StatusOr<rollup::Config> loaded = rollup::network(up_.network);
      if (!up_.rollup_config.empty()) {
        std::ifstream in{up_.rollup_config};
        if (!in) return fail("cannot read " + up_.rollup_config);
        loaded = rollup::parse_config(read_all(in));
      }
      if (!loaded.ok()) return fail(std::string{loaded.status().message()});
      if (chain_id == 0) q.chain_id = loaded->l2_chain_id;
      q.config = *loaded;
    }
    if (q.chain_id == 0) return fail("whose chain? give --chain-id, --network or --rollup-config");
    if (!topic.empty()) q.version = static_cast<gossip_block::PayloadVersion>(topic[1] - '0');
    if (!at.empty()) {
      std::int64_t seconds = 0;
      if (!absl::SimpleAtoi(at, &seconds)) return fail("--at: not Unix seconds: " + at);
      q.at = absl::FromUnixSeconds(seconds);
    }
    if (!signer.empty()) {
      const auto a = parse_fixed_hex<20>(signer);
      if (!a.ok()) return fail("--signer: not an address: " + signer);
      q.signer = *a;
    }
    if (file == "-") return show(inspect::inspect_gossip(read_all(std::cin), q));
    std::ifstream in{file, std::ios::binary};
    if (!in) return fail("cannot read " + file);
    return show(inspect::inspect_gossip(read_all(in), q));
  }

  int inspect_block(const std::string& file, const std::string& url, const std::string& number) {
    if (file.empty() == url.empty()) return fail("give a FILE (or -), or --url URL with --number N");
    std::string text;
    if (!url.empty()) {
      if (auto st = http::check_url(url); !st.ok()) return fail(absl::StrCat("--url: ", st.message()));
      std::string label = number.empty() ? "latest" : number;
      std::uint64_t height = 0;
      if (absl::SimpleAtoi(label, &height)) {
        label = to_quantity(height);
      } else if (label != "latest" && label != "safe" && label != "finalized" && !absl::SimpleHexAtoi(label, &height)) {
        return fail(absl::StrCat("--number: ", label, " is neither a number nor latest, safe or finalized"));
      }
      http::Client client;
      http::Request request;
      request.url = url;
      request.body = jsonrpc::request({"eth_getBlockByNumber", absl::StrCat("[\"", label, "\",true]")});
      const http::Response r = client.post_and_wait(std::move(request));
      if (!r.transport.ok() || r.status != 200) {
        std::cerr << "towline inspect: " << http::redact_url(url) << ": "
                  << (r.transport.ok() ? absl::StrCat("HTTP ", r.status) : std::string{r.transport.message()}) << '\n';
        return kUnreachable;
      }
      text = r.body;
    } else if (file == "-") {
      text = read_all(std::cin);
    } else {
      std::ifstream in{file, std::ios::binary};
      if (!in) return fail("cannot read " + file);
      text = read_all(in);
    }
    std::optional<rollup::Config> config;
    std::string config_file = up_.rollup_config;
    if (config_file.empty() && up_.network.empty() && !file.empty() && file != "-") {
      if (const auto beside = inspect::rollup_config_of(text)) {
        const auto path = std::filesystem::path{file}.parent_path() / std::filesystem::path{*beside}.filename();
        if (std::filesystem::exists(path)) config_file = path;
      }
    }
    if (!config_file.empty() || !up_.network.empty()) {
      absl::StatusOr<rollup::Config> loaded;
      if (config_file.empty()) {
        loaded = rollup::network(up_.network);
      } else {
        std::ifstream in{config_file};
        if (!in) return fail("cannot read " + config_file);
        loaded = rollup::parse_config(read_all(in));
      }
      if (!loaded.ok()) return fail(std::string{loaded.status().message()});
      config = *loaded;
    }
    const inspect::InspectReport r = inspect::inspect_block(text, config);
    std::cout << (json_ ? inspect::to_json(r) : inspect::to_text(r));
    return r.valid ? kOk : kFailed;
  }

  std::string coordinator_ = "127.0.0.1:7420";
  std::string fetcher_, gossip_;
  std::string token_file_, token_;
  bool json_ = false;
  UpOptions up_;
};

}  // namespace
}  // namespace towline::cli

int main(int argc, char** argv) { return towline::cli::Cli{}.run(argc, argv); }
