// The counters of the p2p node, as metrics.
#pragma once
#include "libs/p2p/node.hpp"
#include "libs/telemetry/metrics.hpp"

namespace towline::gossip {

class TransportMetrics {
 public:
  TransportMetrics(Metrics& metrics, std::size_t topics) : metrics_{metrics}, topics_{topics} {}
  /// To be called periodically, on the loop that owns the node.
  void show(const p2p::Node& node, std::uint64_t bytes_in, std::uint64_t bytes_out);

 private:
  Metrics& metrics_;
  const std::size_t topics_;
  p2p::Gossipsub::Stats shown_;
  std::uint64_t shown_bytes_in_ = 0, shown_bytes_out_ = 0;
};

}  // namespace towline::gossip
