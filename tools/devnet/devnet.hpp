// The nodes of a simulated chain, the commands that change them, and what they count.
#pragma once
#include <absl/status/status.h>

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/devnet/engine.hpp"
#include "tools/devnet/kept_chain.hpp"
#include "tools/devnet/rpc_server.hpp"
#include "tools/devnet/sequencer.hpp"
#include "tools/devnet/world.hpp"

namespace towline::devnet {

struct Devnet {
  Devnet(const sim::ChainOptions& options, sim::ElProfile profile) : world{options, profile} {}

  World world;
  /// Guarded by the world's mutex.
  KeptChain kept;
  std::string kept_file;
  std::vector<std::unique_ptr<NodeState>> source_states;
  NodeState cl_state{.name = "cl", .fault = {}};
  NodeState engine_state{.name = "engine", .fault = {}};
  NodeState admin_state{.name = "admin", .fault = {}};
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Sequencer> sequencer;
  // Last member, so that the servers end first.
  std::vector<std::unique_ptr<RpcServer>> source_servers;
  std::unique_ptr<RpcServer> cl_server;
  std::unique_ptr<RpcServer> engine_server;
  std::unique_ptr<RpcServer> admin_server;

  /// Writes the kept chain. Thread-safe.
  absl::Status save();
  /// Lets the nodes' own chains grow as the common chain does. The mutex must be held.
  void grow_forks();
  /// The answer to GET /stats. Thread-safe.
  nlohmann::json stats();
  /// Runs a command of POST /ctl; returns its error, empty: done. Thread-safe.
  std::string command(const nlohmann::json& c);

 private:
  NodeState* state(const nlohmann::json& which);
  /// As command(), with the mutex held.
  std::string fork(const nlohmann::json& c);
  std::string set_fault(const nlohmann::json& c);

  std::mutex saving_;  // keeps the order of files and of their contents the same
};

}  // namespace towline::devnet
