#include "services/sync-coordinator/core/views.hpp"

#include <algorithm>

namespace towline::coordinator {

std::optional<eth::BlockRef> Views::goal() const {
  const auto head = remote.goal();
  if (head && gossip.gaps_rest()) return head;
  const auto gap = gossip.gap(local, remote);
  return gap ? gap : head;
}

StartFacts Views::start_facts(const eth::BlockRef& goal) const {
  const contract::EngineState& s = *local.state();
  const contract::HeadSnapshot& h = *remote.heads();
  StartFacts f{.head = local.head(),
               .empty = local.head().number <= s.genesis.number,
               .goal = goal,
               .el_sync = s.el_sync,
               .peers = s.el_peers,
               .client = s.client_version,
               .session = s.engine_session};
  f.target = h.finalized;
  if (h.safe && h.safe_hold != contract::Hold::quorum_lost && h.safe->number >= number_of(f.target)) f.target = h.safe;
  // A chain without any safe block yet.
  if (!f.target && !remote.no_majority()) f.target = h.unsafe;
  return f;
}

std::optional<eth::BlockRef> Views::target() const {
  const auto g = goal();
  const auto highest = gossip.highest();
  return highest && highest->number > number_of(g) ? highest : g;
}

std::optional<std::uint64_t> Views::distance() const {
  const auto t = target();
  if (!t || !local.has_head()) return std::nullopt;
  const auto& import = local.state()->import;
  const auto& sync = local.state()->el_sync;
  const std::uint64_t head =
      std::max({import ? import->imported.number : 0, sync ? sync->current : 0, local.head().number});
  return t->number > head ? t->number - head : 0;
}

}  // namespace towline::coordinator
