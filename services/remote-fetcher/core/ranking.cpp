#include "services/remote-fetcher/core/ranking.hpp"

#include <algorithm>

namespace towline::fetcher {

namespace {

bool is_unsteady(const Endpoint& e, Work w, absl::Duration fastest_tail, absl::Time now) {
  const Latency& l = e.latency_of(w);
  const auto tail = l.quantile(kTail, now, Latency::kLeastOfTail);
  if (!tail) return e.unsteady(w);
  const double times = e.unsteady(w) ? kFastAgain : kSlow;
  if (*tail > fastest_tail * times && *tail > fastest_tail + kNoDifference) return true;
  return l.overtaken(now).value_or(0) > (e.unsteady(w) ? kSteadyAgain : kOvertaken);
}

}  // namespace

void rank(std::span<Endpoint* const> endpoints, Work w, absl::Time now) {
  std::optional<absl::Duration> fastest;
  std::optional<absl::Duration> fastest_call;
  std::optional<absl::Duration> fastest_tail;
  // An endpoint that cannot be asked makes no other one slow.
  const auto askable = [now](const Endpoint& e) { return e.healthy() && e.state(now) == State::ready; };
  for (const Endpoint* e : endpoints) {
    if (!askable(*e)) continue;
    const Latency& l = e->latency_of(w);
    if (const auto took = l.quantile(0.5, now)) fastest = std::min(fastest.value_or(*took), *took);
    if (const auto each = l.per_call(0.5, now)) fastest_call = std::min(fastest_call.value_or(*each), *each);
    if (const auto tail = l.quantile(kTail, now, Latency::kLeast))
      fastest_tail = std::min(fastest_tail.value_or(*tail), *tail);
  }
  if (!fastest || !fastest_call || !fastest_tail) return;
  bool some_steady = false;
  for (Endpoint* e : endpoints) {
    // Nobody could try it: what it was says nothing any more.
    if (now - e->latency_of(w).newest() > kForgetRank) {
      e->set_slow(w, false);
      e->set_unsteady(w, false);
    }
    e->set_unsteady(w, is_unsteady(*e, w, *fastest_tail, now));
    some_steady = some_steady || (askable(*e) && !e->unsteady(w));
    const auto took = e->latency_of(w).quantile(0.5, now);
    const auto each = e->latency_of(w).per_call(0.5, now);
    // An unmeasured endpoint keeps its rank until a trial: Endpoint::trial_due().
    if (!took || !each) continue;
    const double times = e->slow(w) ? kFastAgain : kSlow;
    // Large batches take long per request, small ones per call, so both measures have to be slow.
    const bool slow = *took > *fastest * times && *took > *fastest + kNoDifference && *each > *fastest_call * times;
    e->set_slow(w, slow, *took);
  }
  // Where each of them is overtaken now and then, as on a busy machine, none is to be asked before another.
  if (!some_steady)
    for (Endpoint* e : endpoints) e->set_unsteady(w, false);
}

}  // namespace towline::fetcher
