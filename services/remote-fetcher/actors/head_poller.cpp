#include "services/remote-fetcher/actors/head_poller.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <atomic>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

const char* name_of(State s) { return name(s); }  // HeadPollerState::name hides it

const char* name_of(contract::EndpointKind k) { return name(k); }

/// Requests in one poll that bring nothing: a batch of 100 is halved seven times.
constexpr int kMostTries = 9;
constexpr int kMostChances = 4;
/// Requests of one poll in the search for the lowest block.
constexpr int kSearchSteps = 5;
/// Heads are a few seconds ahead of a clock that is in order, at most.
constexpr absl::Duration kLate = absl::Seconds(30);

/// The server answered, though not with JSON-RPC: another method may fare better.
bool said_something(Problem p) {
  switch (p) {
    case Problem::forbidden:
    case Problem::http_error:
    case Problem::not_json_rpc: return true;
    default: return false;
  }
}

jsonrpc::Call block_call(const std::string& label) {
  return {"eth_getBlockByNumber", absl::StrCat("[\"", label, "\",false]")};
}

absl::string_view text(simdjson::dom::element e) {
  std::string_view s;
  if (e.get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

bool says_unsupported(const absl::StatusOr<jsonrpc::Answer>& a) {
  return a.ok() && a->kind == jsonrpc::Answer::Kind::error && jsonrpc::is_unsupported(a->error);
}

}  // namespace

head_poller_actor::behavior_type HeadPollerState::make_behavior(PollerConfig config) {
  config_ = std::move(config);
  const std::string& endpoint = config_.pool->name(config_.index);
  rejected_ = config_.metrics->counter("towline_fetcher_rejected_endpoints_total", "Endpoints of another chain.",
                                       {{"endpoint", endpoint}});
  const auto dropped = [&](const char* reason) {
    return config_.metrics->counter("towline_fetcher_snapshots_dropped_total", "Answers for heads that were not used.",
                                    {{"endpoint", endpoint}, {"reason", reason}});
  };
  dropped_as_wrong_ = dropped("out_of_order_or_lie");
  dropped_as_error_ = dropped("error");
  const head_poller_actor me{self_};
  // At most one look waits, however many heads are told of during a slow poll.
  const auto waiting = std::make_shared<std::atomic<bool>>(false);
  config_.pool->watch_new_heads(config_.index, [me, waiting] {
    if (!waiting->exchange(true)) caf::anon_send(me, look_atom{});
  });
  self_->send(self_, poll_atom{}, ++tick_);
  return {[this](poll_atom, std::uint64_t tick) {
            if (tick == tick_) look();
          },
          [this, waiting](look_atom) {
            waiting->store(false);
            look();
          }};
}

void HeadPollerState::look() {
  if (config_.pool->stopped()) return;
  poll();
  replies_.clear();
  show_state();
  show_clock();
  self_->delayed_send(self_, absl::ToChronoMilliseconds(config_.interval), poll_atom{}, ++tick_);
}

absl::Status HeadPollerState::fail(Problem p, std::string why) {
  trouble_ = {p, why};
  return absl::UnavailableError(why);
}

template <class Atom>
void HeadPollerState::tell_forks(Atom what, const jsonrpc::Answer& a) {
  caf::anon_send(config_.forks, what,
                 ForkAnswerPtr{std::make_shared<const ForkAnswer>(
                     ForkAnswer{config_.pool->name(config_.index), a, replies_.empty() ? nullptr : replies_.back()})});
}

bool HeadPollerState::may_poll() const {
  const absl::Time now = steady_now();
  return config_.pool->get(config_.index).next_poll(now) <= now;
}

absl::StatusOr<std::vector<jsonrpc::Answer>> HeadPollerState::ask_all(const std::vector<jsonrpc::Call>& calls,
                                                                      Asked what) {
  replies_.clear();
  std::vector<jsonrpc::Answer> out;
  // Each failure halves the batch, or ends it.
  int tries = 0;
  int chances = 0;
  while (out.size() < calls.size()) {
    const std::size_t n = std::min(calls.size() - out.size(), config_.pool->poll_batch(config_.index));
    const auto from = calls.begin() + static_cast<std::ptrdiff_t>(out.size());
    auto reply = config_.pool->poll(config_.index, {from, from + static_cast<std::ptrdiff_t>(n)}, what, trouble_);
    if (absl::IsResourceExhausted(reply.status()) && ++tries < kMostTries) continue;
    // A server that fails by chance is asked again at once.
    if (!reply.ok() && trouble_.problem == Problem::http_error && may_poll() && ++chances < kMostChances) continue;
    if (!reply.ok()) return reply.status();
    replies_.push_back(std::make_shared<const Reply>(*std::move(reply)));
    for (const auto& a : replies_.back()->answers.answers) {
      if (a.kind == jsonrpc::Answer::Kind::missing) break;
      out.push_back(a);
    }
    if (out.size() < calls.size() && ++tries == kMostTries)
      return fail(Problem::not_json_rpc, "calls of a batch stay without an answer");
  }
  return out;
}

absl::StatusOr<jsonrpc::Answer> HeadPollerState::ask(const jsonrpc::Call& call, Asked what) {
  TOWLINE_ASSIGN_OR_RETURN(auto answers, ask_all({call}, what));
  return answers.front();
}

absl::Status HeadPollerState::check_el(const absl::StatusOr<std::uint64_t>& chain_id) {
  const rollup::Config& c = *config_.rollup;
  if (!chain_id.ok()) return fail(Problem::not_json_rpc, "eth_chainId: malformed");
  if (*chain_id != c.l2_chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("another chain: it has chain id ", *chain_id, ", the rollup config says ", c.l2_chain_id));
  }
  TOWLINE_ASSIGN_OR_RETURN(const auto genesis, ask(block_call(to_quantity(c.l2_genesis.number)), Asked::header));
  // A pruned node has no header that old; its chain id has to do.
  if (genesis.kind != jsonrpc::Answer::Kind::result || genesis.result.is_null()) return absl::OkStatus();
  simdjson::dom::element hash;
  if (genesis.result["hash"].get(hash) != simdjson::SUCCESS || text(hash) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another chain: its block ", c.l2_genesis.number, " is not the L2 genesis of the rollup config"));
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::check_cl() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_ASSIGN_OR_RETURN(const auto answer, ask({"optimism_rollupConfig", "[]"}, Asked::small));
  if (answer.kind != jsonrpc::Answer::Kind::result) return absl::OkStatus();
  tell_forks(rollup_atom{}, answer);
  simdjson::dom::element e;
  std::uint64_t id = 0;
  if (answer.result["l2_chain_id"].get(e) == simdjson::SUCCESS && e.get(id) == simdjson::SUCCESS &&
      id != c.l2_chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("another chain: it has chain id ", id, ", the rollup config says ", c.l2_chain_id));
  }
  if (answer.result["genesis"]["l2"]["hash"].get(e) == simdjson::SUCCESS &&
      text(e) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError("another chain: its L2 genesis is not that of the rollup config");
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::probe() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const Endpoint known = pool.get(i);
  const contract::EndpointKind before = known.kind();
  // One URL may serve both kinds. A gateway that refuses one method with any status may well serve the other.
  const auto chain = ask({"eth_chainId", "[]"}, Asked::small);
  const bool has_chain = chain.ok() && chain->kind == jsonrpc::Answer::Kind::result;
  const auto chain_id = has_chain ? parse_quantity(text(chain->result)) : absl::StatusOr<std::uint64_t>{0};
  const Trouble without_chain = trouble_;
  if (!chain.ok() && !said_something(without_chain.problem)) return chain.status();
  const auto sync = ask({"optimism_syncStatus", "[]"}, Asked::small);
  if (!sync.ok() && !said_something(trouble_.problem)) return sync.status();
  // A side that was there is away, and not gone, until it is said that there is no such method.
  const bool el = has_chain || (contract::serves_blocks(before) && !says_unsupported(chain));
  const bool cl = (sync.ok() && sync->kind == jsonrpc::Answer::Kind::result) ||
                  (contract::serves_sync_status(before) && !says_unsupported(sync));
  if (!el && !cl) {
    if (!chain.ok()) {
      trouble_ = without_chain;
      return chain.status();
    }
    return fail(Problem::not_a_node,
                absl::StrCat("neither an EL (eth_chainId: ", chain->error.message,
                             ") nor a CL (optimism_syncStatus: ", sync.ok() ? sync->error.message : trouble_.why, ")"));
  }
  trouble_ = {};
  bool raw_methods = known.raw_methods();
  Trouble syncing = known.syncing() ? known.trouble(steady_now()) : Trouble{};
  if (has_chain) {
    TOWLINE_RETURN_IF_ERROR(check_el(chain_id));
    // Nothing depends on these: a rate limit ends them, and what was known is kept. A look that fails otherwise says
    // no.
    const auto look = [&](const char* method, const char* params, Asked what,
                          const std::function<void(const jsonrpc::Answer&)>& then) {
      if (!may_poll()) return;
      const auto answer = ask({method, params}, what);
      if (answer.ok()) then(*answer);
      else if (trouble_.problem != Problem::rate_limited) then({});
    };
    look("debug_getRawBlock", "[\"latest\"]", Asked::block, [&](const jsonrpc::Answer& a) {
      raw_methods = a.kind == jsonrpc::Answer::Kind::result && a.result.is_string();
    });
    look("eth_syncing", "[]", Asked::small, [&](const jsonrpc::Answer& a) {
      syncing = a.kind == jsonrpc::Answer::Kind::result ? syncing_from(a.result) : Trouble{};
    });
    look("eth_config", "[]", Asked::small, [&](const jsonrpc::Answer& a) { tell_forks(eth_atom{}, a); });
    trouble_ = {};
  }
  if (cl) TOWLINE_RETURN_IF_ERROR(check_cl());
  const contract::EndpointKind kind = el && cl ? contract::EndpointKind::both
                                      : el     ? contract::EndpointKind::el
                                               : contract::EndpointKind::cl;
  pool.update(i, [&](Endpoint& e) {
    e.on_probed(steady_now(), kind, raw_methods);
    e.set_syncing(syncing);
  });
  if (before != kind) {
    log::info("endpoint probed",
              {log::kv("endpoint", pool.name(i)), log::kv("kind", name_of(kind)), log::kv("raw_methods", raw_methods)});
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::identify() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  if (!pool.get(i).probe_due(steady_now())) return absl::OkStatus();
  const absl::Status st = probe();
  if (st.ok() || absl::IsCancelled(st)) return st;
  const std::string why{st.message()};
  if (absl::IsFailedPrecondition(st)) {
    const bool known = pool.get(i).state(steady_now()) == State::rejected;
    pool.update(i, [&](Endpoint& e) { e.refuse(steady_now(), why); });
    if (known) return st;
    caf::anon_send(config_.forks, forget_atom{}, pool.name(i));
    rejected_.inc();
    log::error("endpoint rejected: it is of another chain; remove it or correct the rollup config",
               {log::kv("endpoint", pool.name(i)), log::kv("why", why)});
    return st;
  }
  log::warn("endpoint cannot be probed, trying on",
            {log::kv("endpoint", pool.name(i)), log::kv("code", reason_code(trouble_.problem)), log::kv("why", why),
             log::kv("do", advice(trouble_.problem))});
  return st;
}

void HeadPollerState::read(const std::vector<jsonrpc::Answer>& answers, Look& look) {
  const std::size_t first = answers.size() - look.asked.size();
  for (std::size_t k = 0; k < look.asked.size(); ++k) {
    if (const auto hash = hash_of(answers[first + k])) look.has[look.asked[k]] = *hash;
  }
}

absl::StatusOr<Look> HeadPollerState::look_at_el() {
  Look look;
  // The lowest first: in several requests the chain may grow between the answers, and must not look out of order for
  // it.
  std::vector<jsonrpc::Call> calls = {block_call("finalized"), block_call("safe"), block_call("latest")};
  look.asked = config_.heads->now()->heights(config_.pool->name(config_.index), steady_now());
  for (const std::uint64_t n : look.asked) calls.push_back(block_call(to_quantity(n)));
  TOWLINE_ASSIGN_OR_RETURN(const auto a, ask_all(calls, Asked::header));
  read(a, look);
  TOWLINE_ASSIGN_OR_RETURN(look.heads, snapshot_from_el(a[2], a[1], a[0]));
  return look;
}

absl::StatusOr<Look> HeadPollerState::look_at_cl(contract::EndpointKind kind) {
  Look look;
  std::vector<jsonrpc::Call> calls = {{"optimism_syncStatus", "[]"}};
  const std::string& endpoint = config_.pool->name(config_.index);
  look.asked = config_.heads->now()->heights(endpoint, steady_now());
  if (!contract::serves_blocks(kind)) {
    // It tells of its chain by its labels, and below its safe block by outputs.
    const auto own = config_.heads->now()->of(endpoint);
    const std::uint64_t safe = own && own->safe ? own->safe->number : 0;
    std::erase_if(look.asked,
                  [&](std::uint64_t n) { return n >= safe || (own->finalized && own->finalized->number == n); });
  }
  for (const std::uint64_t n : look.asked)
    calls.push_back(contract::serves_blocks(kind) ? block_call(to_quantity(n)) : output_call(n));
  TOWLINE_ASSIGN_OR_RETURN(const auto a, ask_all(calls, Asked::header));
  // Its consensus client may be away behind the same URL.
  if (a[0].kind != jsonrpc::Answer::Kind::result && contract::serves_blocks(kind)) return look_at_el();
  if (a[0].kind != jsonrpc::Answer::Kind::result)
    return fail(Problem::http_error, absl::StrCat("optimism_syncStatus: ", a[0].error.message));
  read(a, look);
  TOWLINE_ASSIGN_OR_RETURN(look.heads, snapshot_from_cl(a[0].result));
  return look;
}

absl::StatusOr<Look> HeadPollerState::take_look() {
  const contract::EndpointKind kind = config_.pool->get(config_.index).kind();
  return contract::serves_sync_status(kind) ? look_at_cl(kind) : look_at_el();
}

void HeadPollerState::search_lowest() {
  Pool& pool = *config_.pool;
  for (int step = 0; step < kSearchSteps; ++step) {
    const auto number = pool.get(config_.index).search_lowest(steady_now());
    if (!number) return;
    const auto a =
        ask(jsonrpc::Call{"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(*number), "\",true]")}, Asked::block);
    if (!a.ok()) return;
    const bool absent = jsonrpc::absence(*a) != jsonrpc::Absence::none;
    if (!absent && a->kind == jsonrpc::Answer::Kind::error) return;
    pool.update(config_.index, [&](Endpoint& e) {
      if (absent) e.on_gone(steady_now(), *number);
      else e.on_has(*number);
    });
  }
}

void HeadPollerState::show(const contract::HeadSnapshot& s) {
  const auto number = [&](const char* label, const std::optional<eth::BlockRef>& b) {
    config_.metrics
        ->gauge("towline_fetcher_head_block_number", "Heads as the endpoint tells them.",
                {{"endpoint", s.endpoint}, {"label", label}})
        .set(b ? static_cast<double>(b->number) : 0);
  };
  number("unsafe", s.unsafe);
  number("safe", s.safe);
  number("finalized", s.finalized);
}

void HeadPollerState::show_clock() {
  if (config_.index != 0) return;
  const absl::Duration late =
      std::max(absl::ZeroDuration(), config_.heads->now()->chain_now(steady_now(), absl::Now()) - steady_now());
  config_.metrics
      ->gauge("towline_fetcher_clock_late_seconds",
              "How late the clock here is, as the blocks of most trust groups have it; 0: it is not known to be.")
      .set(absl::ToDoubleSeconds(late));
  const bool is_late = late > kLate;
  if (is_late && !clock_was_late_)
    log::warn("the clock here is late; set it, and start this process again: it goes on by the chain's meanwhile",
              {log::kv("late_s", absl::ToInt64Seconds(late))});
  clock_was_late_ = is_late;
}

void HeadPollerState::show_state() {
  const State now = config_.pool->get(config_.index).state(steady_now());
  for (const State s :
       {State::probing, State::ready, State::backing_off, State::quarantined, State::cordoned, State::rejected}) {
    config_.metrics
        ->gauge("towline_fetcher_endpoint_state", "1 for the state that the endpoint is in.",
                {{"endpoint", config_.pool->name(config_.index)}, {"state", name_of(s)}})
        .set(s == now ? 1 : 0);
  }
}

void HeadPollerState::poll() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const std::string& endpoint = pool.name(i);
  const absl::Time now = steady_now();
  const Endpoint e = pool.get(i);
  const State state = e.state(now);
  if (state == State::rejected || state == State::cordoned || state == State::quarantined)
    config_.heads->drop(endpoint);
  if (!may_poll()) return;  // backing off, or not to be used
  trouble_ = {};
  const auto ended = [&](const Trouble& t) { pool.update(i, [&](Endpoint& x) { x.on_poll(steady_now(), t); }); };
  if (auto st = identify(); !st.ok()) {
    if (absl::IsFailedPrecondition(st)) config_.heads->drop(endpoint);
    if (absl::IsUnavailable(st) || absl::IsResourceExhausted(st)) ended(trouble_);
    return;
  }
  // The probe may have used up what a rate limit allows.
  if (!may_poll()) return;
  if (pool.get(i).syncing()) {
    config_.heads->drop(endpoint);
    return ended({});
  }
  absl::StatusOr<Look> s = take_look();
  const bool bad_header = absl::IsDataLoss(s.status());
  if (s.ok()) {
    s->heads.endpoint = endpoint;
    s->heads.observed = steady_now();
    if (auto st = check_order(s->heads); !st.ok()) s = st;
  }
  if (s.ok() && config_.check_times) {
    if (s->heads.unsafe && check_times(s->heads, *config_.rollup, absl::InfiniteFuture()).ok())
      config_.heads->heard(endpoint, s->heads.unsafe->timestamp);
    if (auto st = check_times(s->heads, *config_.rollup, config_.heads->now()->chain_now(steady_now(), absl::Now()));
        !st.ok()) {
      // Our clock or our configuration may be wrong as well: nobody is charged.
      trouble_ = {absl::IsOutOfRange(st) ? Problem::clock_skew : Problem::wrong_time, std::string{st.message()}};
      s = st;
    }
  }
  if (!s.ok()) {
    if (absl::IsCancelled(s.status())) return;
    const std::string what{s.status().message()};
    if (bad_header) trouble_ = {Problem::bad_data, what};
    if (!trouble_) trouble_ = {Problem::not_json_rpc, what};
    ended(trouble_);
    if (bad_header) {
      config_.heads->drop(endpoint);
      // Else it may be we who miss a rule, and that is noted if it is so at most sources.
      if (config_.heads->now()->others_verify(endpoint, steady_now())) pool.report_bad_data(i, "hash", what);
      else if (pool.most_serve_bad_data()) config_.heads->set_unknown_rules(what);
    }
    (absl::IsDataLoss(s.status()) ? dropped_as_wrong_ : dropped_as_error_).inc();
    log::debug("no heads from endpoint", {log::kv("endpoint", endpoint), log::kv("why", s.status())});
    return;
  }
  show(s->heads);
  ended({});
  if (contract::serves_blocks(pool.get(i).kind()) && s->heads.unsafe)
    pool.update(i, [&](Endpoint& x) { x.on_head(s->heads.unsafe->number); });
  search_lowest();
  config_.heads->put(*std::move(s));
}

head_poller_actor::behavior_type head_poller(head_poller_actor::stateful_pointer<HeadPollerState> self,
                                             PollerConfig config) {
  guard(self, "head_poller");
  return self->state.make_behavior(std::move(config));
}

}  // namespace towline::fetcher
