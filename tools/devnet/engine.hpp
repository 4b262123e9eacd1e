// The execution client of the devnet: Engine API, reads, and debug_setHead on its ordinary RPC.
#pragma once
#include <absl/time/time.h>

#include <atomic>
#include <fstream>

#include "libs/rollup/config.hpp"
#include "tools/devnet/rpc_server.hpp"

namespace towline::devnet {

class Engine {
 public:
  struct Options {
    rollup::Config config;
    Hash32 jwt_secret;
    int exec_us = 0;         // execution time of a new block, microseconds
    std::string trace_path;  // JSON lines, one for each write; empty: none
  };
  Engine(World& world, Options options);

  /// With engine_* methods; for the authenticated port.
  RpcServer::Handler engine_api();
  /// Reads and debug_setHead.
  RpcServer::Handler ordinary_rpc();
  RpcServer::Gate gate() const;
  /// SIGKILL and restart of the execution client; the trace records it.
  void kill();
  /// Gives it peers with the common chain, of which it executes this many blocks a second; 0: no peers.
  void set_peers(std::uint64_t blocks_per_s);

  std::uint64_t payloads() const { return payloads_; }
  std::uint64_t forkchoice_updates() const { return forkchoice_updates_; }

 private:
  /// Moves a sync of its own on by the time that has passed. The world's mutex must be held.
  void go_on();
  Reply read(std::string_view method, simdjson::dom::element params);
  Reply new_payload(int version, simdjson::dom::element params);
  Reply forkchoice_updated(simdjson::dom::element params);
  void trace(const std::string& kind, const std::string& fields);
  std::string block_json(const eth::BlockRef& ref, bool full);

  World& world_;
  Options options_;
  // With the world's mutex held.
  std::uint64_t peers_blocks_per_s_ = 0;
  absl::Time synced_at_ = absl::InfinitePast();
  std::atomic<std::uint64_t> payloads_{0};
  std::atomic<std::uint64_t> forkchoice_updates_{0};
  std::mutex trace_mutex_;
  std::ofstream trace_;
};

}  // namespace towline::devnet
