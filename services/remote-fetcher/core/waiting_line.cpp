#include "services/remote-fetcher/core/waiting_line.hpp"

#include <algorithm>

#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/ranking.hpp"

namespace towline::fetcher {
namespace {

/// The highest block that each endpoint lacks, sorted and without duplicates.
std::vector<std::uint64_t> gone_of(std::span<Endpoint* const> endpoints, absl::Time now) {
  std::vector<std::uint64_t> out;
  for (const Endpoint* e : endpoints)
    if (const auto gone = e->gone(now)) out.push_back(*gone);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

absl::Status WaitingLine::add(std::uint64_t id, Wanted w) {
  if (size() >= most_) return absl::ResourceExhaustedError("too many requests to the sources wait already");
  since_.insert(w.since);
  groups_[{!w.urgent, w.work, w.prefer, w.only, std::move(w.except)}].push_back(
      {id, ++last_place_, w.calls, w.number, w.since});
  return absl::OkStatus();
}

void WaitingLine::leave(Queue& queue, Queue::iterator who) {
  since_.erase(since_.find(who->since));
  queue.erase(who);
}

void WaitingLine::forget(std::uint64_t id) {
  for (auto& [group, queue] : groups_) {
    const auto it = std::find_if(queue.begin(), queue.end(), [id](const Waiting& w) { return w.id == id; });
    if (it != queue.end()) return leave(queue, it);
  }
}

std::vector<WaitingLine::Outcome> WaitingLine::go_on(std::span<Endpoint* const> endpoints, absl::Time now) {
  std::vector<Outcome> out;
  next_ = absl::InfiniteFuture();
  if (now - ranked_ >= kRankEach) {
    ranked_ = now;
    for (const Work w : {Work::headers, Work::bodies}) rank(endpoints, w, now);
  }
  std::erase_if(groups_, [](const auto& g) { return g.second.empty(); });
  if (groups_.empty()) return out;
  const std::vector<std::uint64_t> gone = gone_of(endpoints, now);
  const std::vector<const Endpoint*> all{endpoints.begin(), endpoints.end()};
  Chooser chooser{all, now};
  /// How far a group was looked at, and for which blocks it finds no endpoint. Blocks between the same two values of
  /// `gone` have the same endpoints.
  struct Look {
    const Group* group;
    Queue* queue;
    std::size_t at = 0;
    std::vector<bool> stuck;
  };
  const auto blocks_of = [&gone](const Waiting& w) {
    return w.number ? std::lower_bound(gone.begin(), gone.end(), *w.number) - gone.begin() : std::ssize(gone);
  };
  std::vector<Look> looks;
  for (auto& [group, queue] : groups_) looks.push_back({&group, &queue, 0, std::vector<bool>(gone.size() + 1)});
  const auto behind = [](const Look& a, const Look& b) {
    return std::pair{a.group->later, (*a.queue)[a.at].place} > std::pair{b.group->later, (*b.queue)[b.at].place};
  };
  std::make_heap(looks.begin(), looks.end(), behind);
  while (!looks.empty()) {
    std::pop_heap(looks.begin(), looks.end(), behind);
    Look& look = looks.back();
    const Group& g = *look.group;
    const Waiting& w = (*look.queue)[look.at];
    const Choice c = chooser.choose(g.except, w.number, g.prefer, g.work, g.only);
    if (c.endpoint) {
      Endpoint& e = *endpoints[*c.endpoint];
      const std::size_t calls = std::min(w.calls, e.max_batch(g.work, now));
      e.on_request(g.work, calls, now);
      chooser.look_again(*c.endpoint);
      out.push_back({w.id, Slot{*c.endpoint, g.work, calls}});
    } else if (!c.possible) {
      out.push_back(
          {w.id, absl::UnavailableError("no execution endpoint can be used for this; `towline endpoints` says why")});
    } else {
      next_ = std::min(next_, c.not_before);
      look.stuck[static_cast<std::size_t>(blocks_of(w))] = true;
    }
    if (c.endpoint || !c.possible) leave(*look.queue, look.queue->begin() + static_cast<std::ptrdiff_t>(look.at));
    const bool all_stuck = std::find(look.stuck.begin(), look.stuck.end(), false) == look.stuck.end();
    while (look.at < look.queue->size() && !all_stuck &&
           look.stuck[static_cast<std::size_t>(blocks_of((*look.queue)[look.at]))])
      ++look.at;
    if (all_stuck || look.at == look.queue->size()) looks.pop_back();
    else std::push_heap(looks.begin(), looks.end(), behind);
  }
  if (!since_.empty() && out_of_patience(*since_.begin(), now)) {
    for (auto& [group, queue] : groups_) {
      for (std::size_t k = 0; k < queue.size();) {
        if (!out_of_patience(queue[k].since, now)) {
          ++k;
          continue;
        }
        out.push_back({queue[k].id, absl::DeadlineExceededError("no source answered in time")});
        leave(queue, queue.begin() + static_cast<std::ptrdiff_t>(k));
      }
    }
  }
  // One millisecond more, since patience ends only after kPatience.
  if (!since_.empty())
    next_ = std::min(next_, std::max(*since_.begin(), progress_) + kPatience + absl::Milliseconds(1));
  return out;
}

}  // namespace towline::fetcher
