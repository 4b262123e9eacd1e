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
#include "services/remote-fetcher/core/body_cache.hpp"
#include "services/remote-fetcher/core/fetch_queue.hpp"

namespace towline::fetcher {
namespace {

/// Headers kept of proofs that failed: a window.
constexpr std::size_t kMaxKept = 8192;

std::uint8_t index_of(Crew c) { return static_cast<std::uint8_t>(c); }

JobPtr make_job(std::function<void()> job) { return std::make_shared<const std::function<void()>>(std::move(job)); }

class FetchDeskState {
 public:
  static inline const char* name = "fetch_desk";
  explicit FetchDeskState(fetch_desk_actor::pointer self) : self_{self} {}

  fetch_desk_actor::behavior_type make_behavior(const std::array<std::vector<worker_actor>, 3>& crews,
                                                std::size_t max_bytes, std::size_t cache_bytes) {
    queue_.emplace(max_bytes);
    cache_.emplace(cache_bytes);
    for (std::size_t c = 0; c < crews.size(); ++c) {
      crews_[c].workers = crews[c];
      for (std::uint64_t w = 0; w < crews[c].size(); ++w) crews_[c].idle.push_back(w);
    }
    return {
        [this](run_atom, std::uint8_t crew, const JobPtr& job) {
          crews_.at(crew).jobs.push_back(job);
          assign(crews_.at(crew));
        },
        [this](bodies_atom, std::uint64_t stream, std::uint64_t batch, const BodiesOrderPtr& order) {
          queue_->add({stream, batch}, order->expected_bytes);
          orders_[{stream, batch}] = order;
          assign_bodies();
        },
        [this](free_atom, std::uint64_t stream, std::uint64_t batch) {
          queue_->free({stream, batch});
          assign_bodies();
        },
        [this](bodies_atom, std::uint64_t stream, std::uint64_t batch, const FetchedBodiesPtr& fetched) {
          cache_->on_fetched({stream, batch}, fetched->got, fetched->bytes);
          hand_out();
          assign_bodies();
        },
        [this](close_atom, std::uint64_t stream) {
          queue_->drop(stream);
          cache_->drop(stream);
          orders_.erase(orders_.lower_bound({stream, 0}), orders_.lower_bound({stream + 1, 0}));
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
    assign(crew);
    while (!crew.idle.empty()) {
      const auto key = queue_->next();
      if (!key) return;
      const BodiesOrder& order = *orders_.at(*key);
      std::vector<Hash32> blocks;
      for (std::size_t k = 0; k < order.count; ++k) blocks.push_back((*order.headers)[order.at + k].hash);
      const auto fetch = cache_->begin(*key, std::move(blocks));
      if (!fetch.empty()) fetch_bodies(*key, fetch);
      hand_out();
    }
  }
  /// Some blocks of a batch, by a worker of the crew when one is idle.
  void fetch_bodies(const FetchQueue::Key& key, const std::vector<std::size_t>& blocks) {
    const fetch_desk_actor me{self_};
    crews_[index_of(Crew::bodies)].jobs.push_back(make_job([me, key, blocks, order = orders_.at(key)] {
      std::vector<HashedHeader> wanted;
      for (const std::size_t k : blocks) wanted.push_back((*order->headers)[order->at + k]);
      FetchedBodies out;
      auto got = order->fetch(wanted, order->expected_bytes * blocks.size() / order->count, out.bytes);
      if (got.ok()) {
        std::vector<ServedPtr> served;
        for (Served& s : *got) served.push_back(std::make_shared<const Served>(std::move(s)));
        out.got = std::move(served);
      } else {
        out.got = got.status();
      }
      caf::anon_send(me, bodies_atom{}, key.stream, key.batch,
                     FetchedBodiesPtr{std::make_shared<const FetchedBodies>(std::move(out))});
    }));
    assign(crews_[index_of(Crew::bodies)]);
  }
  /// Batches that are whole, and work of those that waited for one that failed.
  void hand_out() {
    for (auto& done : cache_->take_done()) {
      const auto node = orders_.extract(done.key);
      if (!node) continue;
      if (done.got.ok()) queue_->on_size(done.key, std::max<std::size_t>(1, done.bytes));
      node.mapped()->done(std::move(done.got), done.bytes);
    }
    for (const auto& [key, blocks] : cache_->take_again())
      if (orders_.contains(key)) fetch_bodies(key, blocks);
      else cache_->on_fetched(key, absl::CancelledError("the stream is over"), 0);
  }

  fetch_desk_actor::pointer self_;
  std::array<CrewState, 3> crews_;
  std::optional<FetchQueue> queue_;
  std::optional<BodyCache> cache_;
  std::map<FetchQueue::Key, BodiesOrderPtr> orders_;
  std::map<std::uint64_t, HashedHeader> kept_;
};

fetch_desk_actor::behavior_type fetch_desk(fetch_desk_actor::stateful_pointer<FetchDeskState> self,
                                           const std::array<std::vector<worker_actor>, 3>& crews, std::size_t max_bytes,
                                           std::size_t cache_bytes) {
  guard(self, "fetch_desk");
  return self->state.make_behavior(crews, max_bytes, cache_bytes);
}

worker_actor::behavior_type worker(worker_actor::pointer self) {
  guard(self, "worker");
  return {[](run_atom, const fetch_desk_actor& desk, std::uint8_t crew, std::uint64_t index, const JobPtr& job) {
    (*job)();
    caf::anon_send(desk, idle_atom{}, crew, index);
  }};
}

}  // namespace

Crews crews_for(std::size_t endpoints, int max_in_flight) {
  Crews c;
  // A question is put to each endpoint by itself.
  c.questions = std::clamp<std::size_t>(endpoints * 2, c.questions, 64);
  c.bodies = std::min(c.bodies, endpoints * static_cast<std::size_t>(max_in_flight));
  return c;
}

FetchDesk::FetchDesk(caf::actor_system& system, Crews crews, std::size_t max_bytes, std::size_t cache_bytes) {
  std::array<std::vector<worker_actor>, 3> all;
  const std::array<std::size_t, 3> counts{crews.questions, crews.headers, crews.bodies};
  for (std::uint8_t c = 0; c < counts.size(); ++c)
    for (std::uint64_t w = 0; w < counts[c]; ++w)
      workers_.push_back(all[c].emplace_back(system.spawn<caf::detached>(worker)));
  desk_ = system.spawn(fetch_desk, all, max_bytes, cache_bytes);
}

void FetchDesk::run(Crew crew, std::function<void()> job) const {
  caf::anon_send(desk_, run_atom{}, index_of(crew), make_job(std::move(job)));
}
void FetchDesk::fetch(std::uint64_t stream, std::uint64_t batch, BodiesOrder order) const {
  caf::anon_send(desk_, bodies_atom{}, stream, batch,
                 BodiesOrderPtr{std::make_shared<const BodiesOrder>(std::move(order))});
}
void FetchDesk::free(std::uint64_t stream, std::uint64_t batch) const {
  caf::anon_send(desk_, free_atom{}, stream, batch);
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
