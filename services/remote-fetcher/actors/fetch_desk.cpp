#include "services/remote-fetcher/actors/fetch_desk.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <map>

#include "libs/actor_kit/guard.hpp"
#include "services/remote-fetcher/core/fetch_queue.hpp"

namespace towline::fetcher {
namespace {

/// Headers kept of proofs that failed: a window.
constexpr std::size_t kMaxKept = 8192;

std::uint8_t index_of(Crew c) { return static_cast<std::uint8_t>(c); }

class FetchDeskState {
 public:
  static inline const char* name = "fetch_desk";
  explicit FetchDeskState(fetch_desk_actor::pointer self) : self_{self} {}

  fetch_desk_actor::behavior_type make_behavior(const std::array<std::vector<worker_actor>, 3>& crews,
                                                std::size_t max_bytes) {
    queue_.emplace(max_bytes);
    for (std::size_t c = 0; c < crews.size(); ++c) {
      crews_[c].workers = crews[c];
      for (std::uint64_t w = 0; w < crews[c].size(); ++w) crews_[c].idle.push_back(w);
    }
    return {
        [this](run_atom, std::uint8_t crew, const JobPtr& job) {
          crews_.at(crew).jobs.push_back(job);
          assign(crews_.at(crew));
        },
        [this](bodies_atom, std::uint64_t stream, std::uint64_t batch, std::uint64_t bytes, const JobPtr& job) {
          queue_->add({stream, batch}, static_cast<std::size_t>(bytes));
          batches_[{stream, batch}] = job;
          assign_bodies();
        },
        [this](size_atom, std::uint64_t stream, std::uint64_t batch, std::uint64_t bytes) {
          queue_->on_size({stream, batch}, static_cast<std::size_t>(bytes));
          assign_bodies();
        },
        [this](close_atom, std::uint64_t stream) {
          queue_->drop(stream);
          batches_.erase(batches_.lower_bound({stream, 0}), batches_.lower_bound({stream + 1, 0}));
          assign_bodies();
        },
        [this](keep_atom, const KeptPtr& headers) {
          if (kept_.size() + headers->size() > kMaxKept) kept_.clear();
          for (const HashedHeader& h : *headers) kept_.insert_or_assign(h.header.number, h);
        },
        [this](kept_atom, std::uint64_t first, std::uint64_t last) {
          std::vector<HashedHeader> out;
          const auto begin = kept_.lower_bound(first);
          const auto end = kept_.upper_bound(last);
          for (auto it = begin; it != end; ++it) out.push_back(std::move(it->second));
          kept_.erase(begin, end);
          return KeptPtr{std::make_shared<const std::vector<HashedHeader>>(std::move(out))};
        },
        [this](idle_atom, std::uint8_t crew, std::uint64_t worker) {
          crews_.at(crew).idle.push_back(worker);
          assign(crews_.at(crew));
          assign_bodies();
        },
    };
  }

 private:
  struct CrewState {
    std::vector<worker_actor> workers;
    std::vector<std::uint64_t> idle;
    std::deque<JobPtr> jobs;
  };

  void start(CrewState& crew, const JobPtr& job) {
    const std::uint64_t w = crew.idle.back();
    crew.idle.pop_back();
    caf::anon_send(crew.workers[w], run_atom{}, fetch_desk_actor{self_},
                   static_cast<std::uint8_t>(&crew - crews_.data()), w, job);
  }
  void assign(CrewState& crew) {
    while (!crew.idle.empty() && !crew.jobs.empty()) {
      start(crew, crew.jobs.front());
      crew.jobs.pop_front();
    }
  }
  void assign_bodies() {
    CrewState& crew = crews_[index_of(Crew::bodies)];
    while (!crew.idle.empty()) {
      const auto key = queue_->next();
      if (!key) return;
      const auto node = batches_.extract(*key);
      start(crew, node.mapped());
    }
  }

  fetch_desk_actor::pointer self_;
  std::array<CrewState, 3> crews_;
  std::optional<FetchQueue> queue_;
  std::map<FetchQueue::Key, JobPtr> batches_;
  std::map<std::uint64_t, HashedHeader> kept_;
};

fetch_desk_actor::behavior_type fetch_desk(fetch_desk_actor::stateful_pointer<FetchDeskState> self,
                                           const std::array<std::vector<worker_actor>, 3>& crews,
                                           std::size_t max_bytes) {
  guard(self, "fetch_desk");
  return self->state.make_behavior(crews, max_bytes);
}

worker_actor::behavior_type worker(worker_actor::pointer self) {
  guard(self, "worker");
  return {[](run_atom, const fetch_desk_actor& desk, std::uint8_t crew, std::uint64_t index, const JobPtr& job) {
    (*job)();
    caf::anon_send(desk, idle_atom{}, crew, index);
  }};
}

JobPtr make_job(std::function<void()> job) { return std::make_shared<const std::function<void()>>(std::move(job)); }

}  // namespace

Crews crews_for(std::size_t endpoints, int max_in_flight) {
  Crews c;
  // A question is put to each endpoint by itself.
  c.questions = std::clamp<std::size_t>(endpoints * 2, c.questions, 64);
  c.bodies = std::min(c.bodies, endpoints * static_cast<std::size_t>(max_in_flight));
  return c;
}

FetchDesk::FetchDesk(caf::actor_system& system, Crews crews, std::size_t max_bytes) {
  std::array<std::vector<worker_actor>, 3> all;
  const std::array<std::size_t, 3> counts{crews.questions, crews.headers, crews.bodies};
  for (std::uint8_t c = 0; c < counts.size(); ++c)
    for (std::uint64_t w = 0; w < counts[c]; ++w)
      workers_.push_back(all[c].emplace_back(system.spawn<caf::detached>(worker)));
  desk_ = system.spawn(fetch_desk, all, max_bytes);
}

void FetchDesk::run(Crew crew, std::function<void()> job) const {
  caf::anon_send(desk_, run_atom{}, index_of(crew), make_job(std::move(job)));
}
void FetchDesk::fetch(std::uint64_t stream, std::uint64_t batch, std::size_t bytes, std::function<void()> job) const {
  caf::anon_send(desk_, bodies_atom{}, stream, batch, std::uint64_t{bytes}, make_job(std::move(job)));
}
void FetchDesk::set_size(std::uint64_t stream, std::uint64_t batch, std::size_t bytes) const {
  caf::anon_send(desk_, size_atom{}, stream, batch, std::uint64_t{bytes});
}
void FetchDesk::close(std::uint64_t stream) const { caf::anon_send(desk_, close_atom{}, stream); }
void FetchDesk::keep(std::vector<HashedHeader> headers) const {
  caf::anon_send(desk_, keep_atom{}, KeptPtr{std::make_shared<const std::vector<HashedHeader>>(std::move(headers))});
}

void FetchDesk::end(caf::actor_system& system) {
  caf::scoped_actor self{system};
  self->send_exit(desk_, caf::exit_reason::user_shutdown);
  self->wait_for(desk_);
  for (const auto& w : workers_) self->send_exit(w, caf::exit_reason::user_shutdown);
  for (const auto& w : workers_) self->wait_for(w);
  workers_.clear();
}

}  // namespace towline::fetcher
