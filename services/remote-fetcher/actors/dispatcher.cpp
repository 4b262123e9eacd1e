#include "services/remote-fetcher/actors/dispatcher.hpp"

#include <algorithm>
#include <array>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>
#include <map>

#include "libs/actor_kit/actor_time.hpp"
#include "libs/actor_kit/guard.hpp"
#include "libs/http/client.hpp"
#include "libs/http/url.hpp"
#include "services/remote-fetcher/core/body_cache.hpp"
#include "services/remote-fetcher/core/fetch_queue.hpp"

namespace towline::fetcher {
namespace {

/// Headers kept from failed proofs: at most one window.
constexpr std::size_t kMaxKept = 8192;
/// Tasks of each lane that run at once; waiting tasks only cost memory. The bodies lane has one for each possible
/// request in flight, up to kMostBodies.
constexpr std::size_t kCallers = 64, kHeaders = 64, kMostBodies = 48;

StepPtr step(std::function<void()> f) { return std::make_shared<const std::function<void()>>(std::move(f)); }

struct Setup {
  DispatcherConfig config;
  EndpointViewPtr view;
  const Heads* heads;
  fork_watch_actor forks;
  Metrics* metrics;
  Workers workers;
};

Workers make_workers(caf::actor_system& system, const DispatcherConfig& config) {
  Workers out{std::make_shared<http::Client>(), system.spawn<caf::detached>(evidence, config.evidence_file), {}};
  for (std::size_t v = 0; v < config.verifiers; ++v) out.verifiers.push_back(system.spawn<caf::detached>(verifier));
  return out;
}

class DispatcherState : public Host {
 public:
  static inline const char* name = "dispatcher";
  explicit DispatcherState(dispatcher_actor::pointer self) : self_{self} {}
  ~DispatcherState() override {
    // The tasks refer to objects owned by the pool, so they are destroyed first.
    loop_.drop_all();
  }
  DispatcherState(const DispatcherState&) = delete;
  DispatcherState& operator=(const DispatcherState&) = delete;

  dispatcher_actor::behavior_type make_behavior(const std::shared_ptr<const Setup>& setup) {
    setup_ = setup;
    const DispatcherConfig& c = setup->config;
    queue_.emplace(c.max_bytes);
    cache_.emplace(c.cache_bytes);
    for (std::uint64_t v = 0; v < setup->workers.verifiers.size(); ++v) idle_.push_back(v);
    lane(Lane::callers).most = kCallers;
    lane(Lane::headers).most = kHeaders;
    lane(Lane::bodies).most = std::min(kMostBodies, c.endpoints.size() * static_cast<std::size_t>(c.max_in_flight));
    pool_.emplace(c.endpoints, c.request_timeout, setup->view, setup->workers.evidence, *setup->metrics, *this);
    headers_.emplace(setup->forks, *pool_, *setup->heads);
    bodies_.emplace(*pool_, *setup->heads, *setup->metrics);
    for (std::size_t i = 0; i < c.endpoints.size(); ++i) start_poller(i);
    self_->send(self_, step_atom{}, step([] {}));
    return {
        [this](ask_atom, const QuestionPtr& q) {
          LaneState& l = lane(q->lane);
          if (pool_->stopped()) q->refuse(absl::CancelledError("shutting down"));
          else if (q->lane == Lane::callers && l.waiting.size() >= setup_->config.most_waiting)
            q->refuse(absl::ResourceExhaustedError("too many questions wait already"));
          else l.waiting.push_back(q);
          go_on();
        },
        [this](bodies_atom, std::uint64_t stream, std::uint64_t batch, const BodiesOrderPtr& order) {
          queue_->add({stream, batch}, order->expected_bytes);
          orders_[{stream, batch}] = order;
          go_on();
        },
        [this](free_atom, std::uint64_t stream, std::uint64_t batch) {
          queue_->free({stream, batch});
          go_on();
        },
        [this](close_atom, std::uint64_t owner) {
          queue_->drop(owner);
          cache_->drop(owner);
          orders_.erase(orders_.lower_bound({owner, 0}), orders_.lower_bound({owner + 1, 0}));
          for (LaneState& l : lanes_) std::erase_if(l.waiting, [&](const QuestionPtr& q) { return q->owner == owner; });
          if (const auto node = owners_.extract(owner)) node.mapped().cancel->call();
          go_on();
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
        [this](change_atom, std::uint64_t endpoint, const ChangePtr& change) {
          pool_->update(endpoint, change->make);
          change->done();
          go_on();
        },
        [this](step_atom, const StepPtr& s) {
          (*s)();
          go_on();
        },
        [this](idle_atom, std::uint64_t verifier) {
          idle_.push_back(verifier);
          assign();
        },
        [this](halt_atom) {
          pool_->stop();
          for (auto& [id, o] : owners_) o.cancel->call();
          for (LaneState& l : lanes_)
            for (const QuestionPtr& q : std::exchange(l.waiting, {})) q->refuse(absl::CancelledError("shutting down"));
          go_on();
        },
    };
  }

  Loop& loop() override { return loop_; }
  absl::Time now() const override { return actor_now(self_); }
  void after(absl::Duration wait, std::function<void()> then) override {
    const absl::Time at = now();
    self_->delayed_send(self_, timer_until(at + wait, at), step_atom{}, step(std::move(then)));
  }
  void compute(bool urgent, std::function<void()> job, std::function<void()> then) override {
    const dispatcher_actor me{self_};
    auto both = step([me, job = std::move(job), then = std::move(then)] {
      job();
      caf::anon_send(me, step_atom{}, step(then));
    });
    if (urgent) jobs_.insert(jobs_.begin() + static_cast<std::ptrdiff_t>(urgent_++), std::move(both));
    else jobs_.push_back(std::move(both));
    assign();
  }
  std::uint64_t post(http::Request request, std::function<void(http::Response)> then) override {
    const dispatcher_actor me{self_};
    return setup_->workers.transport->post(std::move(request), [me, then = std::move(then)](http::Response r) {
      const auto shared = std::make_shared<http::Response>(std::move(r));
      caf::anon_send(me, step_atom{}, step([then, shared] { then(std::move(*shared)); }));
    });
  }
  void cancel_post(std::uint64_t id) override { setup_->workers.transport->cancel(id); }

 private:
  struct LaneState {
    std::size_t most = 0, running = 0;
    std::deque<QuestionPtr> waiting;
  };
  LaneState& lane(Lane l) { return lanes_[static_cast<std::size_t>(l)]; }
  struct Owner {
    CancelPtr cancel = std::make_shared<Cancel>();
    std::size_t tasks = 0;
  };

  void start_poller(std::size_t i) {
    const DispatcherConfig& c = setup_->config;
    HeadPoller& poller = *pollers_.emplace_back(std::make_unique<HeadPoller>(PollerConfig{
        i, c.poll_interval, &c.rollup, setup_->forks, &*pool_, setup_->heads, setup_->metrics, c.check_times}));
    loop_.start(poller.run());
    const auto url = http::parse_url(pool_->url(i));
    if (!url.ok() || !url->websocket()) return;
    auto live = setup_->metrics->gauge("towline_fetcher_push_live", "1: the endpoint tells of new heads by itself.",
                                       {{"endpoint", pool_->name(i)}});
    const dispatcher_actor me{self_};
    const auto look = step([&poller] { poller.look_soon(); });
    setup_->workers.transport->subscribe_heads(pool_->request_to(i), [me, live, look](const http::Push& p) {
      auto gauge = live;
      gauge.set(p.kind == http::Push::Kind::down ? 0 : 1);
      if (p.kind == http::Push::Kind::head) caf::anon_send(me, step_atom{}, look);
    });
  }

  /// Does everything that is possible now.
  void go_on() {
    bool some = true;
    while (some) {
      pool_->go_on();
      some = hand_out();
      some = start_questions() || some;
      some = start_batches() || some;
    }
  }
  void assign() {
    while (!idle_.empty() && !jobs_.empty()) {
      const std::uint64_t v = idle_.back();
      idle_.pop_back();
      caf::anon_send(setup_->workers.verifiers[v], step_atom{}, dispatcher_actor{self_}, v, jobs_.front());
      jobs_.pop_front();
      if (urgent_ > 0) --urgent_;
    }
  }
  CancelPtr begin(std::uint64_t owner) {
    Owner& o = owners_[owner];
    ++o.tasks;
    return o.cancel;
  }
  void done(std::uint64_t owner, const CancelPtr& cancel) {
    const auto it = owners_.find(owner);
    if (it != owners_.end() && it->second.cancel == cancel && --it->second.tasks == 0) owners_.erase(it);
  }
  bool start_questions() {
    bool some = false;
    for (LaneState& l : lanes_) {
      while (l.running < l.most && !l.waiting.empty()) {
        const QuestionPtr q = l.waiting.front();
        l.waiting.pop_front();
        ++l.running;
        const CancelPtr cancel = begin(q->owner);
        // The question has to outlive its coroutine.
        loop_.start(q->ask(sources(), cancel), [this, q, &l, cancel] {
          --l.running;
          done(q->owner, cancel);
        });
        some = true;
      }
    }
    return some;
  }
  Sources sources() { return {*pool_, *headers_, *bodies_}; }

  bool start_batches() {
    LaneState& l = lane(Lane::bodies);
    bool some = false;
    while (l.running < l.most) {
      const auto key = queue_->next();
      if (!key) break;
      const BodiesOrder& order = *orders_.at(*key);
      std::vector<Hash32> blocks;
      for (std::size_t k = 0; k < order.count; ++k) blocks.push_back((*order.headers)[order.at + k].hash);
      const auto fetch = cache_->begin(*key, std::move(blocks));
      if (!fetch.empty()) fetch_bodies(*key, fetch);
      some = true;
    }
    return some;
  }
  /// Fetches some blocks of a batch.
  void fetch_bodies(const FetchQueue::Key& key, const std::vector<std::size_t>& blocks) {
    LaneState& l = lane(Lane::bodies);
    ++l.running;
    const CancelPtr cancel = begin(key.stream);
    loop_.start(batch(key, blocks, orders_.at(key), cancel), [this, key, &l, cancel] {
      --l.running;
      done(key.stream, cancel);
    });
  }
  Task<void> batch(FetchQueue::Key key, std::vector<std::size_t> blocks, BodiesOrderPtr order, CancelPtr cancel) {
    std::vector<HashedHeader> wanted;
    for (const std::size_t k : blocks) wanted.push_back((*order->headers)[order->at + k]);
    const std::size_t expected = order->expected_bytes * blocks.size() / order->count;
    std::size_t bytes = 0;
    absl::StatusOr<std::vector<Served>> got =
        co_await bodies_->fetch(std::move(wanted), expected, false, cancel, &bytes);
    if (!got.ok()) {
      cache_->on_fetched(key, got.status(), bytes);
      co_return;
    }
    std::vector<ServedPtr> served;
    for (Served& s : *got) served.push_back(std::make_shared<const Served>(std::move(s)));
    cache_->on_fetched(key, std::move(served), bytes);
  }
  /// Delivers complete batches, and restarts those that waited for a failed one.
  bool hand_out() {
    bool some = false;
    for (auto& d : cache_->take_done()) {
      some = true;
      const auto node = orders_.extract(d.key);
      if (!node) continue;
      if (d.got.ok()) queue_->on_size(d.key, std::max<std::size_t>(1, d.bytes));
      node.mapped()->done(std::move(d.got), d.bytes);
    }
    for (const auto& [key, blocks] : cache_->take_again()) {
      some = true;
      if (orders_.contains(key)) fetch_bodies(key, blocks);
      else cache_->on_fetched(key, absl::CancelledError("the stream is over"), 0);
    }
    return some;
  }

  dispatcher_actor::pointer self_;
  std::shared_ptr<const Setup> setup_;
  std::optional<Pool> pool_;
  std::optional<Headers> headers_;
  std::optional<Bodies> bodies_;
  std::vector<std::unique_ptr<HeadPoller>> pollers_;
  std::array<LaneState, 3> lanes_;
  std::map<std::uint64_t, Owner> owners_;
  std::vector<std::uint64_t> idle_;
  std::deque<StepPtr> jobs_;
  /// The number of urgent jobs, which are at the front of jobs_.
  std::size_t urgent_ = 0;
  std::optional<FetchQueue> queue_;
  std::optional<BodyCache> cache_;
  std::map<FetchQueue::Key, BodiesOrderPtr> orders_;
  std::map<std::uint64_t, HashedHeader> kept_;
  Loop loop_;
};

dispatcher_actor::behavior_type dispatcher(dispatcher_actor::stateful_pointer<DispatcherState> self,
                                           const std::shared_ptr<const Setup>& setup) {
  guard(self, "dispatcher");
  return self->state.make_behavior(setup);
}

}  // namespace

verifier_actor::behavior_type verifier(verifier_actor::pointer self) {
  guard(self, "verifier");
  return {[](step_atom, const dispatcher_actor& owner, std::uint64_t index, const StepPtr& job) {
    (*job)();
    caf::anon_send(owner, idle_atom{}, index);
  }};
}

Dispatcher::Dispatcher(caf::actor_system& system, DispatcherConfig config, EndpointViewPtr view, const Heads& heads,
                       const fork_watch_actor& forks, Metrics& metrics)
    : Dispatcher{system, config, std::move(view), heads, forks, metrics, make_workers(system, config)} {}

Dispatcher::Dispatcher(caf::actor_system& system, DispatcherConfig config, EndpointViewPtr view, const Heads& heads,
                       const fork_watch_actor& forks, Metrics& metrics, Workers workers)
    : view_{std::move(view)}, transport_{workers.transport} {
  actors_.add(workers.evidence);
  actor_ = actors_.add(system.spawn(
      dispatcher, std::make_shared<const Setup>(Setup{std::move(config), view_, &heads, forks, &metrics, workers})));
  // Verifiers end before the dispatcher: their jobs refer to objects owned by its tasks.
  for (const auto& v : workers.verifiers) actors_.add(v);
}

Dispatcher::~Dispatcher() = default;

void Dispatcher::ask(Question q) const {
  caf::anon_send(actor_, ask_atom{}, QuestionPtr{std::make_shared<const Question>(std::move(q))});
}
void Dispatcher::fetch(std::uint64_t stream, std::uint64_t batch, BodiesOrder order) const {
  caf::anon_send(actor_, bodies_atom{}, stream, batch,
                 BodiesOrderPtr{std::make_shared<const BodiesOrder>(std::move(order))});
}
void Dispatcher::free(std::uint64_t stream, std::uint64_t batch) const {
  caf::anon_send(actor_, free_atom{}, stream, batch);
}
void Dispatcher::close(std::uint64_t owner) const { caf::anon_send(actor_, close_atom{}, owner); }
void Dispatcher::keep(std::vector<HashedHeader> headers) const {
  caf::anon_send(actor_, keep_atom{}, KeptPtr{std::make_shared<const std::vector<HashedHeader>>(std::move(headers))});
}
void Dispatcher::change(std::size_t endpoint, std::function<void(Endpoint&)> change, std::function<void()> done) const {
  caf::anon_send(actor_, change_atom{}, static_cast<std::uint64_t>(endpoint),
                 ChangePtr{std::make_shared<const Change>(Change{std::move(change), std::move(done)})});
}
void Dispatcher::ask_turn(std::function<void()> turn) const {
  caf::anon_send(actor_, step_atom{}, step(std::move(turn)));
}

void Dispatcher::stop() const {
  transport_->cancel_all();
  caf::anon_send(actor_, halt_atom{});
}

void Dispatcher::end(caf::actor_system& system) { actors_.end(system); }

}  // namespace towline::fetcher
