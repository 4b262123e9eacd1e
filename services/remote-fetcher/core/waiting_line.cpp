#include "services/remote-fetcher/core/waiting_line.hpp"

#include <algorithm>

#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/ranking.hpp"

namespace towline::fetcher {

absl::Status WaitingLine::add(std::uint64_t id, Wanted w) {
  if (line_.size() >= most_) return absl::ResourceExhaustedError("too many requests to the sources wait already");
  const auto behind = w.urgent
                          ? std::find_if(line_.begin(), line_.end(), [](const Waiting& x) { return !x.wanted.urgent; })
                          : line_.end();
  line_.insert(behind, Waiting{id, std::move(w)});
  return absl::OkStatus();
}

void WaitingLine::forget(std::uint64_t id) {
  std::erase_if(line_, [id](const Waiting& w) { return w.id == id; });
}

std::vector<WaitingLine::Outcome> WaitingLine::go_on(std::span<Endpoint* const> endpoints, absl::Time now) {
  const std::vector<const Endpoint*> all{endpoints.begin(), endpoints.end()};
  std::vector<Outcome> out;
  std::deque<Waiting> still;
  next_ = absl::InfiniteFuture();
  if (now - ranked_ >= kRankEach) {
    ranked_ = now;
    for (const Work w : {Work::headers, Work::bodies}) rank(endpoints, w, now);
  }
  for (Waiting& w : line_) {
    const Wanted& x = w.wanted;
    const Choice c = choose_el(all, x.except, x.number, x.prefer, now, x.work);
    if (c.endpoint) {
      Endpoint& e = *endpoints[*c.endpoint];
      const std::size_t calls = std::min(x.calls, e.max_batch(x.work, now));
      e.on_request(x.work, calls, now);
      out.push_back({w.id, Slot{*c.endpoint, x.work, calls}});
    } else if (!c.possible) {
      out.push_back(
          {w.id, absl::UnavailableError("no execution endpoint can be used for this; `towline endpoints` says why")});
    } else if (out_of_patience(x.since, now)) {
      out.push_back({w.id, absl::DeadlineExceededError("no source answered in time")});
    } else {
      // A millisecond more: patience ends after it, not at it.
      next_ = std::min({next_, c.not_before, std::max(x.since, progress_) + kPatience + absl::Milliseconds(1)});
      still.push_back(std::move(w));
    }
  }
  line_ = std::move(still);
  return out;
}

}  // namespace towline::fetcher
