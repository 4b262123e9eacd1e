// What all servers of the devnet share: one chain, one execution client, behind one mutex.
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/sim/chain.hpp"
#include "libs/sim/el_model.hpp"

namespace towline::devnet {

/// The faults of a server; all off by default. Each `fault` command replaces all of them.
struct Fault {
  int delay_ms = 0;
  double error_rate = 0;    // share of requests that are answered HTTP 500
  bool rate_limit = false;  // HTTP 429
  int retry_after_s = 1;
  bool hang = false;         // no answer until the fault is cleared or the server stops
  bool disconnect = false;   // the answer is cut
  bool html = false;         // a proxy's error page with status 200
  bool oversized = false;    // 256 MiB of blanks
  double blocks_per_s = 0;   // bodies served in a second, evenly; 0: no limit
  bool gaps = false;         // every third block is not found
  bool wrong_chain = false;  // another chain id
  std::string lie;           // "header" or "body": one byte of it is wrong; "head": its newest block is invented
};

/// A node's own chain, which it serves instead of the common one.
struct OwnChain {
  sim::Chain chain;
  std::uint64_t safe_lag, finalized_lag;
  bool grows;
};

struct NodeState {
  std::string name;
  Fault fault;
  std::uint64_t requests = 0;
  std::uint64_t calls = 0;
  /// The number of bodies that it served, and when the next may leave.
  std::uint64_t bodies = 0;
  std::chrono::steady_clock::time_point next_body = {};
  std::optional<OwnChain> own = std::nullopt;
};

struct World {
  World(const sim::ChainOptions& options, sim::ElProfile profile) : chain{options}, el{profile, chain.head()->ref()} {}

  std::mutex mutex;
  std::condition_variable changed;  // faults, and stopping
  bool stopping = false;
  sim::Chain chain;
  sim::ElModel el;
  std::uint64_t safe_lag = 10;
  std::uint64_t finalized_lag = 20;
  bool labels_follow = true;
  bool producing = true;

  /// The chain that `node` serves. The mutex must be held.
  const sim::Chain& chain_of(const NodeState& node) const { return node.own ? node.own->chain : chain; }
  /// Lets the labels follow the head; by this they never go back. The mutex must be held.
  void follow_labels() {
    if (!labels_follow) return;
    follow_labels(chain, safe_lag, finalized_lag);
  }
  static void follow_labels(sim::Chain& c, std::uint64_t safe_lag, std::uint64_t finalized_lag) {
    const std::uint64_t head = c.head()->header.number;
    const auto lag = [&](std::uint64_t by) { return head > by ? head - by : 0; };
    c.set_labels(std::max(c.safe()->header.number, lag(safe_lag)),
                 std::max(c.finalized()->header.number, lag(finalized_lag)));
  }
};

}  // namespace towline::devnet
