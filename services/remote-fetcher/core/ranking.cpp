#include "services/remote-fetcher/core/ranking.hpp"

#include <algorithm>

namespace towline::fetcher {

void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now) {
  std::optional<absl::Duration> fastest;
  std::optional<absl::Duration> fastest_call;
  std::optional<absl::Duration> fastest_tail;
  for (const Endpoint* e : endpoints) {
    // An endpoint that cannot be asked makes no other one slow.
    if (!e->healthy() || e->state(now) != State::ready) continue;
    const Latency& l = e->latency_of(w);
    if (const auto took = l.quantile(0.5, now)) fastest = std::min(fastest.value_or(*took), *took);
    if (const auto each = l.per_call(0.5, now)) fastest_call = std::min(fastest_call.value_or(*each), *each);
    if (const auto tail = l.quantile(kTail, now, Latency::kLeast))
      fastest_tail = std::min(fastest_tail.value_or(*tail), *tail);
  }
  if (!fastest || !fastest_call || !fastest_tail) return;
  for (Endpoint* e : endpoints) {
    // Nobody could try it: what it was says nothing any more.
    if (now - e->latency_of(w).newest() > kForgetRank) {
      e->set_slow(w, false);
      e->set_unsteady(w, false);
    }
    if (const auto tail = e->latency_of(w).quantile(kTail, now, Latency::kLeastOfTail)) {
      const double times = e->unsteady(w) ? kFastAgain : kSlow;
      const bool late = *tail > *fastest_tail * times && *tail > *fastest_tail + kNoDifference;
      const double overtaken = e->latency_of(w).overtaken(now).value_or(0);
      e->set_unsteady(w, late || overtaken > (e->unsteady(w) ? kSteadyAgain : kOvertaken));
    }
    const auto took = e->latency_of(w).quantile(0.5, now);
    const auto each = e->latency_of(w).per_call(0.5, now);
    // An unmeasured endpoint keeps its rank until a trial: Endpoint::trial_due().
    if (!took || !each) continue;
    const double times = e->slow(w) ? kFastAgain : kSlow;
    // Large batches take long per request, small ones per call, so both measures have to be slow.
    const bool slow = *took > *fastest * times && *took > *fastest + kNoDifference && *each > *fastest_call * times;
    e->set_slow(w, slow, *took);
  }
}

}  // namespace towline::fetcher
