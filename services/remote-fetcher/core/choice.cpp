#include "services/remote-fetcher/core/choice.hpp"

#include <algorithm>
#include <utility>

namespace towline::fetcher {

Chooser::Chooser(std::span<const Endpoint* const> endpoints, absl::Time now)
    : endpoints_{endpoints}, now_{now}, seen_(endpoints.size()) {
  for (std::size_t i = 0; i < endpoints.size(); ++i) look_again(i);
}

void Chooser::look_again(std::size_t i) {
  const Endpoint& e = *endpoints_[i];
  const State s = e.state(now_);
  seen_[i] = {contract::serves_blocks(e.kind()) && (s == State::ready || s == State::backing_off),
              e.healthy() && s == State::ready, e.next_bulk(now_), e.gone(now_)};
}

Choice Chooser::choose(const std::set<std::size_t>& except, std::optional<std::uint64_t> number,
                       std::optional<std::size_t> prefer, Work w, std::optional<std::size_t> only) const {
  const std::size_t begin = only.value_or(0);
  const std::size_t end = only ? *only + 1 : endpoints_.size();
  const auto candidate = [&](std::size_t i) {
    const Seen& s = seen_[i];
    return s.usable && !except.contains(i) && !(number && s.gone && *number <= *s.gone);
  };
  bool good = false;
  // When a fast endpoint can be asked. One whose slots are all taken counts as free now, since a slot frees soon.
  std::optional<absl::Time> fast;
  for (std::size_t i = begin; i < end; ++i) {
    if (!seen_[i].good || !candidate(i)) continue;
    good = true;
    if (endpoints_[i]->slow(w)) continue;
    const absl::Time at = seen_[i].next == absl::InfiniteFuture() ? now_ : seen_[i].next;
    fast = std::min(fast.value_or(at), at);
  }
  Choice out;
  for (std::size_t i = begin; i < end; ++i) {
    if (!candidate(i)) continue;
    const Endpoint& e = *endpoints_[i];
    out.possible = true;
    if (good && !e.healthy()) continue;
    const bool waits = e.slow(w) && prefer != i && fast && *fast <= now_ + e.takes(w);
    if (waits) continue;
    const absl::Time at = seen_[i].next;
    if (at > now_) {
      out.not_before = std::min(out.not_before, at);
      continue;
    }
    const auto order = [&](const Endpoint& x) {
      return std::pair{x.in_flight() + (x.unsteady(w) ? kUnsteady : 0), !x.unknown(w, now_)};
    };
    const bool better =
        !out.endpoint || prefer == i || (prefer != *out.endpoint && order(e) < order(*endpoints_[*out.endpoint]));
    if (better) out.endpoint = i;
  }
  return out;
}

}  // namespace towline::fetcher
