#include "services/p2p-gossip/core/swarm.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

namespace towline::gossip {

ScoreFault fault_of(double score, const p2p::Gossipsub::PeerView& view) {
  const double behaviour = score - view.app - view.colocation;
  const std::string head = absl::StrCat("score ", score, ": ");
  if (view.app <= std::min(behaviour, view.colocation))
    return {"messages", absl::StrCat(head, view.rejected, " of its messages break the rules")};
  if (behaviour <= view.colocation)
    return {"behaviour", absl::StrCat(head, "it grafts against our will, or does not send what it announces")};
  return {"address", absl::StrCat(head, "too many peers are connected from its address")};
}

std::vector<std::string> ban_targets(const p2p::PeerId& peer, const std::vector<SwarmPeer>& connected) {
  std::vector<std::string> out{peer.to_string()};
  std::optional<p2p::Ip> ip;
  for (const auto& p : connected)
    if (p.id == peer) ip = p.ip;
  if (!ip || p2p::is_local(*ip)) return out;
  if (std::none_of(connected.begin(), connected.end(), [&](const auto& p) { return p.is_static && p.ip == *ip; }))
    out.push_back(p2p::to_string(*ip));
  return out;
}

std::vector<p2p::PeerId> let_go(const std::string& canonical, const std::vector<SwarmPeer>& connected) {
  std::vector<p2p::PeerId> out;
  for (const auto& p : connected)
    if (!p.is_static && (p.id.to_string() == canonical || p2p::to_string(p.ip) == canonical)) out.push_back(p.id);
  return out;
}

const char* label_of(const absl::Status& why) {
  switch (why.code()) {
    case absl::StatusCode::kUnavailable: return "closed";
    case absl::StatusCode::kDeadlineExceeded: return "timeout";
    case absl::StatusCode::kResourceExhausted: return "limit";
    case absl::StatusCode::kPermissionDenied: return "banned";
    case absl::StatusCode::kAlreadyExists: return "replaced";
    default: return "protocol";
  }
}

}  // namespace towline::gossip
