#include "services/p2p-gossip/edge/transport_metrics.hpp"

#include <absl/strings/str_cat.h>

namespace towline::gossip {

void TransportMetrics::show(const p2p::Node& node, std::uint64_t bytes_in, std::uint64_t bytes_out) {
  const auto set = [&](const char* name, const char* help, double v, const Labels& labels = {}) {
    metrics_.gauge(name, help, labels).set(v);
  };
  const auto add = [&](const char* name, const char* help, std::uint64_t v, std::uint64_t& shown,
                       const Labels& labels = {}) {
    metrics_.counter(name, help, labels).inc(static_cast<double>(v - shown));
    shown = v;
  };
  std::size_t outbound = 0;
  for (const auto& p : node.peers()) outbound += p.outbound ? 1 : 0;
  set("towline_gossip_peers", "Connected peers.", static_cast<double>(outbound), {{"direction", "outbound"}});
  set("towline_gossip_peers", "Connected peers.", static_cast<double>(node.peer_count() - outbound),
      {{"direction", "inbound"}});
  for (std::size_t t = 0; t < topics_; ++t)
    set("towline_gossip_mesh_peers", "Peers in the mesh of a block topic.",
        static_cast<double>(node.gossip().mesh_size(t)), {{"version", absl::StrCat(t + 1)}});
  const auto& s = node.gossip().stats();
  const char* const messages = "towline_gossip_messages_total";
  const char* const what = "Messages by what became of them.";
  add(messages, what, s.accepted, shown_.accepted, {{"result", "accepted"}});
  add(messages, what, s.ignored, shown_.ignored, {{"result", "ignored"}});
  add(messages, what, s.rejected, shown_.rejected, {{"result", "rejected"}});
  add(messages, what, s.duplicates, shown_.duplicates, {{"result", "duplicate"}});
  add(messages, what, s.throttled, shown_.throttled, {{"result", "throttled"}});
  add(messages, what, s.refused_signed, shown_.refused_signed, {{"result", "signed"}});
  add("towline_gossip_forwarded_total", "Messages sent on, counted for each peer.", s.forwarded, shown_.forwarded);
  add("towline_gossip_broken_promises_total", "Messages that a peer announced and did not send.", s.broken_promises,
      shown_.broken_promises);
  add("towline_gossip_idontwant_honoured_total", "Messages not sent because the peer has them.", s.idontwant_honoured,
      shown_.idontwant_honoured);
  add("towline_gossip_bytes_total", "Bytes on p2p connections.", bytes_in, shown_bytes_in_, {{"direction", "in"}});
  add("towline_gossip_bytes_total", "Bytes on p2p connections.", bytes_out, shown_bytes_out_, {{"direction", "out"}});
}

}  // namespace towline::gossip
