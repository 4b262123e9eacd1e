// towline-devnet: a simulated OP Stack chain behind real sockets. See --help and tools/devnet/README.md.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <httplib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "tools/devnet/devnet.hpp"
#include "tools/devnet/sources.hpp"

namespace towline::devnet {
namespace {

using nlohmann::json;

struct Flags {
  std::uint64_t blocks = 100;
  double block_time = 2;
  std::size_t transactions = 5;
  std::size_t input_bytes = 200;
  std::size_t sources = 1;
  std::uint64_t seed = 1;
  std::uint64_t genesis_time = 0;
  std::uint64_t unknown_each = 0;
  std::uint64_t chain_id = 901'901;
  std::string network;
  std::uint64_t safe_lag = 10;
  std::uint64_t finalized_lag = 20;
  std::string el_profile = "op-geth";
  int el_exec_us = 0;
  bool el_snap = false;
  std::string engine_trace;
  std::string dir;
  std::string jwt_secret;
  std::string host = "127.0.0.1";
  int base_port = 0;
  std::uint16_t p2p_port = 0;
};

absl::Status write_file(const std::filesystem::path& path, const std::string& text) {
  // Whole or not at all: programs wait for these files.
  const std::filesystem::path part = path.string() + ".part";
  std::ofstream out{part};
  out << text;
  out.close();
  std::error_code ec;
  if (out) std::filesystem::rename(part, path, ec);
  if (!out || ec) return absl::UnavailableError(absl::StrCat("cannot write ", path.string()));
  return absl::OkStatus();
}

absl::StatusOr<sim::ChainOptions> options_of(const Flags& flags) {
  sim::ChainOptions options;
  options.seed = flags.seed;
  options.chain_id = flags.chain_id;
  options.genesis_time = flags.genesis_time;
  options.transactions = flags.transactions;
  options.input_bytes = flags.input_bytes;
  options.block_time = flags.block_time == 0
                           ? 2
                           : std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(flags.block_time)));
  options.unknown_each = flags.unknown_each;
  if (!flags.network.empty()) {
    TOWLINE_ASSIGN_OR_RETURN(const rollup::Config network, rollup::network(flags.network));
    if (network.l2_genesis.number != 0)
      return absl::InvalidArgumentError(absl::StrCat("--network: ", flags.network, " starts at block ",
                                                     network.l2_genesis.number, ", and this chain at block 0"));
    options.chain_id = network.l2_chain_id;
    options.genesis_hash = network.l2_genesis.hash;
  }
  return options;
}

/// The chain that the directory has, or a new one.
absl::StatusOr<KeptChain> kept_or_new(const std::string& file, const Flags& flags) {
  TOWLINE_ASSIGN_OR_RETURN(sim::ChainOptions options, options_of(flags));
  const auto now = static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now()));
  TOWLINE_ASSIGN_OR_RETURN(auto kept, read_kept_chain(file));
  if (!kept) {
    if (options.genesis_time == 0) options.genesis_time = now - flags.blocks * options.block_time;
    KeptChain fresh = keep_new(options);
    fresh.head = flags.blocks;
    return fresh;
  }
  if (const std::string other = other_flags(kept->options, options); !other.empty())
    return absl::InvalidArgumentError(absl::StrCat(flags.dir, " holds a chain that was made with ", other,
                                                   ": give that, or another --dir, or remove ", file));
  kept->options.genesis_hash = options.genesis_hash;  // goes with the chain id
  // Adds the blocks that the sequencer missed while it was away.
  const bool by_the_clock = flags.block_time >= 1 && now > kept->options.genesis_time;
  if (by_the_clock) kept->head = std::max(kept->head, (now - kept->options.genesis_time) / kept->options.block_time);
  return *std::move(kept);
}

absl::Status run(const Flags& flags, const sigset_t& signals) {
  const std::filesystem::path dir = flags.dir;
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  if (ec) return absl::InvalidArgumentError(absl::StrCat("--dir: cannot make ", flags.dir));
  // Programs wait for this file; the one of an earlier start is outdated.
  std::filesystem::remove(dir / "endpoints.json", ec);

  TOWLINE_ASSIGN_OR_RETURN(KeptChain kept, kept_or_new(dir / "devnet.json", flags));
  if (!flags.jwt_secret.empty()) {
    std::ifstream in{flags.jwt_secret};
    std::string text;
    in >> text;
    const auto secret = parse_fixed_hex<32>(absl::StartsWith(text, "0x") ? text : "0x" + text);
    if (!secret.ok())
      return absl::InvalidArgumentError(absl::StrCat("--jwt-secret: no 64 hex digits in ", flags.jwt_secret));
    kept.jwt_secret = *secret;
  }
  Devnet net{kept.options, flags.el_profile == "op-geth" ? sim::ElProfile::op_geth : sim::ElProfile::op_reth};
  net.kept = kept;
  net.kept_file = dir / "devnet.json";
  World& world = net.world;
  world.safe_lag = flags.safe_lag;
  world.finalized_lag = flags.finalized_lag;
  rebuild(kept, world.chain);
  world.follow_labels();
  TOWLINE_RETURN_IF_ERROR(net.save());

  Engine::Options engine_options;
  TOWLINE_ASSIGN_OR_RETURN(engine_options.config, rollup::parse_config(world.chain.rollup_json()));
  engine_options.jwt_secret = kept.jwt_secret;
  engine_options.exec_us = flags.el_exec_us;
  net.world.el.set_snap(flags.el_snap);
  engine_options.trace_path = flags.engine_trace;
  TOWLINE_RETURN_IF_ERROR(write_file(dir / "jwt.hex", to_hex(engine_options.jwt_secret.view()) + "\n"));
  TOWLINE_RETURN_IF_ERROR(write_file(dir / "rollup.json", world.chain.rollup_json()));
  net.engine = std::make_unique<Engine>(world, engine_options);
  TOWLINE_ASSIGN_OR_RETURN(net.sequencer, Sequencer::start(flags.host, flags.p2p_port, engine_options.config,
                                                           {kept.p2p_key, kept.signer_key}));
  net.sequencer->publish(world.chain);

  const auto port = [&](std::size_t i) { return flags.base_port == 0 ? 0 : flags.base_port + static_cast<int>(i); };
  json endpoints = {
      {"sources", json::array()}, {"rollup", (dir / "rollup.json").string()}, {"jwt", (dir / "jwt.hex").string()}};
  for (std::size_t i = 0; i < flags.sources; ++i) {
    net.source_states.push_back(std::make_unique<NodeState>(NodeState{.name = absl::StrCat("source", i), .fault = {}}));
    NodeState& state = *net.source_states.back();
    TOWLINE_ASSIGN_OR_RETURN(auto server,
                             RpcServer::start(flags.host, port(4 + i), world, state, el_source(world, state)));
    endpoints["sources"].push_back(server->url());
    net.source_servers.push_back(std::move(server));
  }
  TOWLINE_ASSIGN_OR_RETURN(net.cl_server,
                           RpcServer::start(flags.host, port(3), world, net.cl_state, cl_source(world, net.cl_state)));
  TOWLINE_ASSIGN_OR_RETURN(net.engine_server, RpcServer::start(flags.host, port(1), world, net.engine_state,
                                                               net.engine->engine_api(), net.engine->gate()));
  TOWLINE_ASSIGN_OR_RETURN(net.admin_server,
                           RpcServer::start(flags.host, port(2), world, net.admin_state, net.engine->ordinary_rpc()));

  httplib::Server control;
  control.new_task_queue = [] { return new httplib::ThreadPool{4}; };
  control.set_keep_alive_timeout(1);
  control.Get("/stats", [&](const httplib::Request&, httplib::Response& res) {
    res.set_content(net.stats().dump() + "\n", "application/json");
  });
  control.Get("/livez", [](const httplib::Request&, httplib::Response& res) { res.set_content("ok\n", "text/plain"); });
  control.Post("/ctl", [&](const httplib::Request& req, httplib::Response& res) {
    std::string wrong;
    try {
      wrong = net.command(json::parse(req.body));
      if (const auto saved = net.save(); wrong.empty() && !saved.ok()) wrong = std::string{saved.message()};
    } catch (const json::exception& e) {
      wrong = e.what();
    }
    res.status = wrong.empty() ? 200 : 400;
    res.set_content((wrong.empty() ? net.stats() : json{{"error", wrong}}).dump() + "\n", "application/json");
  });
  const int control_port = flags.base_port == 0                                ? control.bind_to_any_port(flags.host)
                           : control.bind_to_port(flags.host, flags.base_port) ? flags.base_port
                                                                               : -1;
  if (control_port <= 0)
    return absl::UnavailableError(absl::StrCat("cannot listen on ", flags.host, ":", flags.base_port));
  endpoints["p2p"] = net.sequencer->address();
  endpoints["signer"] = net.sequencer->signer();
  endpoints["cl"] = net.cl_server->url();
  endpoints["engine"] = net.engine_server->url();
  endpoints["admin"] = net.admin_server->url();
  endpoints["control"] = absl::StrCat("http://", flags.host, ":", control_port);
  absl::Status result = write_file(dir / "endpoints.json", endpoints.dump(2) + "\n");
  std::thread control_thread{[&] { control.listen_after_bind(); }};
  while (!control.is_running()) std::this_thread::yield();  // an earlier stop() would be lost
  if (result.ok()) std::cout << "ready" << std::endl;

  // Produces until a signal comes.
  const auto period = absl::Seconds(flags.block_time);
  absl::Time next = flags.block_time > 0 ? steady_now() + period : absl::InfiniteFuture();
  while (result.ok()) {
    const absl::Duration left = std::min(std::max(next - steady_now(), absl::ZeroDuration()), absl::Seconds(60));
    const timespec wait = absl::ToTimespec(left);
    if (sigtimedwait(&signals, nullptr, &wait) > 0) break;
    if (steady_now() < next) continue;
    next += period;
    {
      const std::lock_guard lock{world.mutex};
      if (!world.producing) continue;
      world.chain.append();
      world.follow_labels();
      net.grow_forks();
      net.sequencer->publish(world.chain);
    }
    result = net.save();
  }
  {
    const std::lock_guard lock{world.mutex};
    world.stopping = true;
    world.changed.notify_all();
  }
  control.stop();
  control_thread.join();
  return result;
}

}  // namespace
}  // namespace towline::devnet

int main(int argc, char** argv) {
  towline::devnet::Flags f;
  CLI::App app{
      "A simulated OP Stack chain with JSON-RPC sources, a consensus client and an execution client's Engine API, all "
      "on loopback."};
  app.set_version_flag("--version", "towline-devnet " TOWLINE_VERSION);
  app.add_option("--dir", f.dir,
                 "writes endpoints.json, rollup.json and jwt.hex here, then prints \"ready\"; goes on with the chain "
                 "that an earlier start left here")
      ->required();
  app.add_option("--blocks", f.blocks, "blocks on the chain at its first start")->capture_default_str();
  app.add_option("--block-time", f.block_time, "seconds between new blocks, 0: none are made")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tx-per-block", f.transactions, "transactions beside the L1-info deposit")->capture_default_str();
  app.add_option("--tx-bytes", f.input_bytes, "input bytes of a transaction")->capture_default_str();
  app.add_option("--sources", f.sources, "number of execution clients to read from")
      ->capture_default_str()
      ->check(CLI::Range(1, 8));
  app.add_option("--seed", f.seed, "makes another chain")->capture_default_str();
  app.add_option(
         "--genesis-time", f.genesis_time,
         "Unix seconds of block 0; the same seed, time and block time make the same chain; 0: such that the last "
         "block is of now")
      ->capture_default_str();
  app.add_option("--unknown-tx-each", f.unknown_each,
                 "every N blocks hold a transaction of a type that nobody knows; 0: none")
      ->capture_default_str();
  CLI::Option* chain_id = app.add_option("--chain-id", f.chain_id, "L2 chain id")->capture_default_str();
  app.add_option("--network", f.network,
                 "pose as this chain (`towline networks`): its chain id, and the hash of its genesis for block 0; who "
                 "follows needs --check.block-times=off")
      ->excludes(chain_id);
  app.add_option("--jwt-secret", f.jwt_secret, "file with the JWT secret of the Engine API; else one is made");
  app.add_option("--safe-lag", f.safe_lag, "blocks from the head to safe")->capture_default_str();
  app.add_option("--finalized-lag", f.finalized_lag, "blocks from the head to finalized")->capture_default_str();
  app.add_option("--el-profile", f.el_profile, "which execution client the Engine API behaves like")
      ->capture_default_str()
      ->check(CLI::IsMember({"op-geth", "op-reth"}));
  app.add_option("--el-snap", f.el_snap,
                 "as op-geth with --syncmode=snap: nothing is executed on the genesis before a sync of its own");
  app.add_option("--el-exec-us", f.el_exec_us, "execution time of a block, microseconds")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--engine-trace", f.engine_trace, "JSON lines: every write to the execution client and its answer");
  app.add_option("--p2p-port", f.p2p_port, "TCP port on which the sequencer gossips its blocks, 0: any")
      ->capture_default_str();
  app.add_option("--host", f.host, "listen on this address")->capture_default_str();
  app.add_option(
         "--base-port", f.base_port,
         "control (POST /ctl, GET /stats, GET /livez) on this port, then engine, admin, CL and the sources; 0: any")
      ->capture_default_str()
      ->check(CLI::Range(0, 65000));
  CLI11_PARSE(app, argc, argv);

  // Before the first thread: all of them leave the signals to sigtimedwait().
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status st = towline::devnet::run(f, signals);
  if (!st.ok()) std::cerr << "towline-devnet: " << st.message() << "\n";
  return st.ok() ? 0 : 1;
}
