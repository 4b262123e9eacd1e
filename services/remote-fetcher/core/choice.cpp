#include "services/remote-fetcher/core/choice.hpp"

#include <algorithm>
#include <utility>

namespace towline::fetcher {

Choice choose_el(std::span<const Endpoint* const> endpoints, const std::set<std::size_t>& except,
                 std::optional<std::uint64_t> number, std::optional<std::size_t> prefer, absl::Time now, Work w) {
  const auto candidate = [&](std::size_t i) {
    const Endpoint& e = *endpoints[i];
    const State s = e.state(now);
    return contract::serves_blocks(e.kind()) && !except.contains(i) && (s == State::ready || s == State::backing_off) &&
           !(number && e.has_gone(now, *number));
  };
  // A rate-limited endpoint is healthy; but if its wait is long, the failed ones are worth a try.
  bool healthy = false;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    healthy = healthy || (candidate(i) && endpoints[i]->healthy() && endpoints[i]->state(now) == State::ready);
  }
  // When a fast endpoint can be asked. One whose slots are all taken counts as free now, since a slot frees soon.
  std::optional<absl::Time> fast;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const Endpoint& e = *endpoints[i];
    if (!candidate(i) || e.slow(w) || !e.healthy() || e.state(now) != State::ready) continue;
    const absl::Time at = e.next_bulk(now);
    fast = std::min(fast.value_or(absl::InfiniteFuture()), at == absl::InfiniteFuture() ? now : at);
  }
  Choice out;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!candidate(i)) continue;
    const Endpoint& e = *endpoints[i];
    out.possible = true;
    if (healthy && !e.healthy()) continue;
    const bool waits = e.slow(w) && prefer != i && fast && *fast <= now + e.takes(w);
    if (waits) continue;
    const absl::Time at = e.next_bulk(now);
    if (at > now) {
      out.not_before = std::min(out.not_before, at);
      continue;
    }
    const auto order = [&](const Endpoint& x) {
      return std::pair{x.in_flight() + (x.unsteady(w) ? kUnsteady : 0), !x.unknown(w, now)};
    };
    const bool better =
        !out.endpoint || prefer == i || (prefer != *out.endpoint && order(e) < order(*endpoints[*out.endpoint]));
    if (better) out.endpoint = i;
  }
  return out;
}

}  // namespace towline::fetcher
