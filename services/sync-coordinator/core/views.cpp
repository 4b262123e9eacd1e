#include "services/sync-coordinator/core/views.hpp"

#include <algorithm>

namespace towline::coordinator {

std::optional<eth::BlockRef> Views::goal() const {
  const auto head = remote.goal();
  if (head && gossip.gaps_rest()) return head;
  const auto gap = gossip.gap(local, remote);
  return gap ? gap : head;
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
  const std::uint64_t head = std::max(import ? import->imported.number : 0, local.head().number);
  return t->number > head ? t->number - head : 0;
}

}  // namespace towline::coordinator
