#include "services/remote-fetcher/actors/head_poller.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

/// Failed requests in one poll: a batch of 100 can be halved seven times.
constexpr int kMostTries = 9;
constexpr int kMostChances = 4;
/// Requests per poll in the search for the lowest block.
constexpr int kSearchSteps = 5;
/// A correct clock is at most a few seconds behind the heads.
constexpr absl::Duration kLate = absl::Seconds(30);

/// The server answered, but not with JSON-RPC: another method may work.
bool said_something(Problem p) {
  switch (p) {
    case Problem::forbidden:
    case Problem::http_error:
    case Problem::not_json_rpc: return true;
    default: return false;
  }
}

std::string block_params(const std::string& label) { return absl::StrCat("[\"", label, "\",false]"); }

jsonrpc::Call block_call(const std::string& label) { return {"eth_getBlockByNumber", block_params(label)}; }

bool says_unsupported(const absl::StatusOr<jsonrpc::Answer>& a) {
  return a.ok() && a->kind == jsonrpc::Answer::Kind::error && jsonrpc::is_unsupported(a->error);
}

}  // namespace

HeadPoller::HeadPoller(PollerConfig config) : config_{std::move(config)} {
  const std::string& endpoint = config_.pool->name(config_.index);
  rejected_ = config_.metrics->counter("towline_fetcher_rejected_endpoints_total", "Endpoints of another chain.",
                                       {{"endpoint", endpoint}});
  const auto dropped = [&](const char* reason) {
    return config_.metrics->counter("towline_fetcher_snapshots_dropped_total", "Answers for heads that were not used.",
                                    {{"endpoint", endpoint}, {"reason", reason}});
  };
  dropped_as_wrong_ = dropped("out_of_order_or_lie");
  dropped_as_error_ = dropped("error");
}

Task<void> HeadPoller::run() {
  Pool& pool = *config_.pool;
  Host& host = pool.host();
  while (!pool.stopped()) {
    co_await poll();
    replies_.clear();
    show_state();
    show_clock();
    if (!std::exchange(told_, false)) {
      const auto waiting = waiting_ = std::make_shared<Once<bool>>(host.loop());
      host.after(config_.interval, [waiting] { waiting->set(true); });
      const Cancel::Hook hook{pool.stopping(), [waiting] { waiting->set(true); }};
      co_await *waiting;
      waiting_ = nullptr;
      told_ = false;
    }
  }
}

void HeadPoller::look_soon() {
  told_ = true;
  if (waiting_) waiting_->set(true);
}

absl::Status HeadPoller::fail(Problem p, std::string why) {
  trouble_ = {p, why};
  return absl::UnavailableError(why);
}

template <class Atom>
void HeadPoller::tell_forks(Atom what, const jsonrpc::Answer& a) {
  caf::anon_send(config_.forks, what,
                 ForkAnswerPtr{std::make_shared<const ForkAnswer>(ForkAnswer{
                     config_.pool->name(config_.index), a, replies_.empty() ? nullptr : replies_.back().answers})});
}

bool HeadPoller::may_poll() const {
  const absl::Time now = config_.pool->now();
  return config_.pool->get(config_.index).next_poll(now) <= now;
}

Task<absl::StatusOr<std::vector<jsonrpc::Answer>>> HeadPoller::ask_all(std::vector<jsonrpc::Call> calls, Asked what) {
  replies_.clear();
  std::vector<jsonrpc::Answer> out;
  // Each failure halves the batch or ends the poll.
  int tries = 0;
  int chances = 0;
  while (out.size() < calls.size()) {
    const std::size_t n = std::min(calls.size() - out.size(), config_.pool->poll_batch(config_.index));
    const auto from = calls.begin() + static_cast<std::ptrdiff_t>(out.size());
    std::vector<jsonrpc::Call> some{from, from + static_cast<std::ptrdiff_t>(n)};
    absl::StatusOr<Reply> reply =
        co_await config_.pool->poll(config_.index, std::move(some), what, &trouble_, config_.pool->stopping());
    if (absl::IsResourceExhausted(reply.status()) && ++tries < kMostTries) continue;
    // A server that failed by chance is asked again at once.
    if (!reply.ok() && trouble_.problem == Problem::http_error && may_poll() && ++chances < kMostChances) continue;
    if (!reply.ok()) co_return reply.status();
    replies_.push_back(*std::move(reply));
    for (const auto& a : replies_.back().answers->answers) {
      if (a.kind == jsonrpc::Answer::Kind::missing) break;
      out.push_back(a);
    }
    if (out.size() < calls.size() && ++tries == kMostTries)
      co_return fail(Problem::not_json_rpc, "calls of a batch stay without an answer");
  }
  co_return out;
}

Task<absl::StatusOr<jsonrpc::Answer>> HeadPoller::ask(const char* method, std::string params, Asked what) {
  std::vector<jsonrpc::Call> calls(1);
  calls[0] = {method, std::move(params)};
  TOWLINE_CO_ASSIGN_OR_RETURN(const auto answers, co_await ask_all(std::move(calls), what));
  co_return answers.front();
}

Task<absl::Status> HeadPoller::check_el(absl::StatusOr<std::uint64_t> chain_id) {
  const rollup::Config& c = *config_.rollup;
  if (!chain_id.ok()) co_return fail(Problem::not_json_rpc, "eth_chainId: malformed");
  if (*chain_id != c.l2_chain_id) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("another chain: it has chain id ", *chain_id, ", the rollup config says ", c.l2_chain_id));
  }
  TOWLINE_CO_ASSIGN_OR_RETURN(
      const auto genesis,
      co_await ask("eth_getBlockByNumber", block_params(to_quantity(c.l2_genesis.number)), Asked::header));
  // A pruned node lacks the genesis header; its chain id has to suffice.
  if (genesis.kind != jsonrpc::Answer::Kind::result || genesis.result.is_null()) co_return absl::OkStatus();
  simdjson::dom::element hash;
  if (genesis.result["hash"].get(hash) != simdjson::SUCCESS ||
      jsonrpc::text(hash) != to_hex(c.l2_genesis.hash.view())) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("another chain: its block ", c.l2_genesis.number, " is not the L2 genesis of the rollup config"));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> HeadPoller::check_cl() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_CO_ASSIGN_OR_RETURN(const auto answer, co_await ask("optimism_rollupConfig", "[]", Asked::small));
  if (answer.kind != jsonrpc::Answer::Kind::result) co_return absl::OkStatus();
  tell_forks(rollup_atom{}, answer);
  simdjson::dom::element e;
  std::uint64_t id = 0;
  if (answer.result["l2_chain_id"].get(e) == simdjson::SUCCESS && e.get(id) == simdjson::SUCCESS &&
      id != c.l2_chain_id) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("another chain: it has chain id ", id, ", the rollup config says ", c.l2_chain_id));
  }
  if (answer.result["genesis"]["l2"]["hash"].get(e) == simdjson::SUCCESS &&
      jsonrpc::text(e) != to_hex(c.l2_genesis.hash.view())) {
    co_return absl::FailedPreconditionError("another chain: its L2 genesis is not that of the rollup config");
  }
  co_return absl::OkStatus();
}

Task<std::optional<jsonrpc::Answer>> HeadPoller::look_for(const char* method, const char* params, Asked what) {
  if (!may_poll()) co_return std::nullopt;
  const absl::StatusOr<jsonrpc::Answer> answer = co_await ask(method, params, what);
  if (answer.ok()) co_return *answer;
  if (trouble_.problem != Problem::rate_limited) co_return jsonrpc::Answer{};
  co_return std::nullopt;
}

Task<absl::Status> HeadPoller::probe() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const contract::EndpointKind before = pool.get(i).kind();
  // One URL may serve both kinds. A gateway that refuses one method with any status may still serve the other.
  const absl::StatusOr<jsonrpc::Answer> chain = co_await ask("eth_chainId", "[]", Asked::small);
  const bool has_chain = chain.ok() && chain->kind == jsonrpc::Answer::Kind::result;
  const auto chain_id = has_chain ? parse_quantity(jsonrpc::text(chain->result)) : absl::StatusOr<std::uint64_t>{0};
  const Trouble without_chain = trouble_;
  if (!chain.ok() && !said_something(without_chain.problem)) co_return chain.status();
  const absl::StatusOr<jsonrpc::Answer> sync = co_await ask("optimism_syncStatus", "[]", Asked::small);
  if (!sync.ok() && !said_something(trouble_.problem)) co_return sync.status();
  // A side that was there counts as temporarily unavailable until the server says that the method does not exist.
  const bool el = has_chain || (contract::serves_blocks(before) && !says_unsupported(chain));
  const bool cl = (sync.ok() && sync->kind == jsonrpc::Answer::Kind::result) ||
                  (contract::serves_sync_status(before) && !says_unsupported(sync));
  if (!el && !cl) {
    if (!chain.ok()) {
      trouble_ = without_chain;
      co_return chain.status();
    }
    co_return fail(Problem::not_a_node, absl::StrCat("neither an EL (eth_chainId: ", chain->error.message,
                                                     ") nor a CL (optimism_syncStatus: ",
                                                     sync.ok() ? sync->error.message : trouble_.why, ")"));
  }
  trouble_ = {};
  bool raw_methods = pool.get(i).raw_methods();
  Trouble syncing = pool.get(i).syncing() ? pool.get(i).trouble(config_.pool->now()) : Trouble{};
  if (has_chain) {
    TOWLINE_CO_RETURN_IF_ERROR(co_await check_el(chain_id));
    // These are optional: a rate limit ends them, and earlier results are kept. Any other failure means no.
    if (const auto a = co_await look_for("debug_getRawBlock", "[\"latest\"]", Asked::block))
      raw_methods = a->kind == jsonrpc::Answer::Kind::result && a->result.is_string();
    if (const auto a = co_await look_for("eth_syncing", "[]", Asked::small))
      syncing = a->kind == jsonrpc::Answer::Kind::result ? syncing_from(a->result) : Trouble{};
    if (const auto a = co_await look_for("eth_config", "[]", Asked::small)) tell_forks(eth_atom{}, *a);
    trouble_ = {};
  }
  if (cl) TOWLINE_CO_RETURN_IF_ERROR(co_await check_cl());
  const contract::EndpointKind kind = el && cl ? contract::EndpointKind::both
                                      : el     ? contract::EndpointKind::el
                                               : contract::EndpointKind::cl;
  pool.update(i, [&](Endpoint& e) {
    e.on_probed(config_.pool->now(), kind, raw_methods);
    e.set_syncing(syncing);
  });
  if (before != kind) {
    log::info("endpoint probed",
              {log::kv("endpoint", pool.name(i)), log::kv("kind", name(kind)), log::kv("raw_methods", raw_methods)});
  }
  co_return absl::OkStatus();
}

Task<absl::Status> HeadPoller::identify() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  if (!pool.get(i).probe_due(config_.pool->now())) co_return absl::OkStatus();
  const absl::Status st = co_await probe();
  if (st.ok() || absl::IsCancelled(st)) co_return st;
  const std::string why{st.message()};
  if (absl::IsFailedPrecondition(st)) {
    const bool known = pool.get(i).state(config_.pool->now()) == State::rejected;
    pool.update(i, [&](Endpoint& e) { e.refuse(config_.pool->now(), why); });
    if (known) co_return st;
    caf::anon_send(config_.forks, forget_atom{}, pool.name(i));
    rejected_.inc();
    log::error("endpoint rejected: it is of another chain; remove it or correct the rollup config",
               {log::kv("endpoint", pool.name(i)), log::kv("why", why)});
    co_return st;
  }
  log::warn("endpoint cannot be probed, trying on",
            {log::kv("endpoint", pool.name(i)), log::kv("code", reason_code(trouble_.problem)), log::kv("why", why),
             log::kv("do", advice(trouble_.problem))});
  co_return st;
}

void HeadPoller::read(const std::vector<jsonrpc::Answer>& answers, Look& look) {
  const std::size_t first = answers.size() - look.asked.size();
  for (std::size_t k = 0; k < look.asked.size(); ++k) {
    if (const auto hash = hash_of(answers[first + k])) look.has[look.asked[k]] = *hash;
  }
}

Task<absl::StatusOr<Look>> HeadPoller::look_at_el() {
  Look look;
  // The lowest label first: if several requests are needed, the chain may grow in between, and the labels must still be
  // in order.
  std::vector<jsonrpc::Call> calls;
  for (const char* label : {"finalized", "safe", "latest"}) calls.push_back(block_call(label));
  look.asked = config_.heads->now()->heights(config_.pool->name(config_.index), config_.pool->now());
  for (const std::uint64_t n : look.asked) calls.push_back(block_call(to_quantity(n)));
  TOWLINE_CO_ASSIGN_OR_RETURN(const auto a, co_await ask_all(std::move(calls), Asked::header));
  read(a, look);
  TOWLINE_CO_ASSIGN_OR_RETURN(look.heads, snapshot_from_el(a[2], a[1], a[0]));
  co_return look;
}

Task<absl::StatusOr<Look>> HeadPoller::look_at_cl(contract::EndpointKind kind) {
  Look look;
  std::vector<jsonrpc::Call> calls(1);
  calls[0] = {"optimism_syncStatus", "[]"};
  const std::string& endpoint = config_.pool->name(config_.index);
  look.asked = config_.heads->now()->heights(endpoint, config_.pool->now());
  if (!contract::serves_blocks(kind)) {
    // A CL shows its chain by its labels, and below its safe block by outputs.
    const auto own = config_.heads->now()->of(endpoint);
    const std::uint64_t safe = own && own->safe ? own->safe->number : 0;
    std::erase_if(look.asked,
                  [&](std::uint64_t n) { return n >= safe || (own->finalized && own->finalized->number == n); });
  }
  for (const std::uint64_t n : look.asked)
    calls.push_back(contract::serves_blocks(kind) ? block_call(to_quantity(n)) : output_call(n));
  TOWLINE_CO_ASSIGN_OR_RETURN(const auto a, co_await ask_all(std::move(calls), Asked::header));
  // The CL behind this URL may be unavailable while its EL is not.
  if (a[0].kind != jsonrpc::Answer::Kind::result && contract::serves_blocks(kind)) co_return co_await look_at_el();
  if (a[0].kind != jsonrpc::Answer::Kind::result)
    co_return fail(Problem::http_error, absl::StrCat("optimism_syncStatus: ", a[0].error.message));
  read(a, look);
  TOWLINE_CO_ASSIGN_OR_RETURN(look.heads, snapshot_from_cl(a[0].result));
  co_return look;
}

Task<absl::StatusOr<Look>> HeadPoller::take_look() {
  const contract::EndpointKind kind = config_.pool->get(config_.index).kind();
  if (contract::serves_sync_status(kind)) co_return co_await look_at_cl(kind);
  co_return co_await look_at_el();
}

Task<void> HeadPoller::search_lowest() {
  Pool& pool = *config_.pool;
  for (int step = 0; step < kSearchSteps; ++step) {
    const auto number = pool.get(config_.index).search_lowest(config_.pool->now());
    if (!number) co_return;
    std::string params = absl::StrCat("[\"", to_quantity(*number), "\",true]");
    const absl::StatusOr<jsonrpc::Answer> a = co_await ask("eth_getBlockByNumber", std::move(params), Asked::block);
    if (!a.ok()) co_return;
    const bool absent = jsonrpc::absence(*a) != jsonrpc::Absence::none;
    if (!absent && a->kind == jsonrpc::Answer::Kind::error) co_return;
    pool.update(config_.index, [&](Endpoint& e) {
      if (absent) e.on_gone(config_.pool->now(), *number);
      else e.on_has(*number);
    });
  }
}

void HeadPoller::show(const contract::HeadSnapshot& s) {
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

void HeadPoller::show_clock() {
  if (config_.index != 0) return;
  const absl::Duration late = std::max(
      absl::ZeroDuration(), config_.heads->now()->chain_now(config_.pool->now(), absl::Now()) - config_.pool->now());
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

void HeadPoller::show_state() {
  const State now = config_.pool->get(config_.index).state(config_.pool->now());
  for (const State s :
       {State::probing, State::ready, State::backing_off, State::quarantined, State::cordoned, State::rejected}) {
    config_.metrics
        ->gauge("towline_fetcher_endpoint_state", "1 for the state that the endpoint is in.",
                {{"endpoint", config_.pool->name(config_.index)}, {"state", name(s)}})
        .set(s == now ? 1 : 0);
  }
  const Endpoint& e = config_.pool->get(config_.index);
  for (const auto& [w, work] : {std::pair{Work::poll, "poll"}, {Work::headers, "headers"}, {Work::bodies, "bodies"}}) {
    for (const auto& [q, quantile] : {std::pair{0.5, "0.5"}, {0.95, "0.95"}}) {
      const auto took = e.latency_of(w).quantile(q, config_.pool->now());
      config_.metrics
          ->gauge("towline_fetcher_latency_seconds",
                  "How long the endpoint took for its last answers, by quantile; 0: too few recent answers.",
                  {{"endpoint", e.name()}, {"work", work}, {"quantile", quantile}})
          .set(absl::ToDoubleSeconds(took.value_or(absl::ZeroDuration())));
    }
    if (w == Work::poll) continue;
    config_.metrics
        ->gauge("towline_fetcher_slow",
                "1: others are asked before the endpoint, which takes several times as long, always or now and then.",
                {{"endpoint", e.name()}, {"work", work}})
        .set(e.slow(w) || e.unsteady(w) ? 1 : 0);
  }
}

Task<void> HeadPoller::poll() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const std::string& endpoint = pool.name(i);
  const absl::Time now = config_.pool->now();
  const State state = pool.get(i).state(now);
  if (state == State::rejected || state == State::cordoned || state == State::quarantined)
    config_.heads->drop(endpoint);
  if (!may_poll()) co_return;  // backing off, or not in use
  trouble_ = {};
  const auto ended = [&](const Trouble& t) { pool.update(i, [&](Endpoint& x) { x.on_poll(config_.pool->now(), t); }); };
  if (const absl::Status st = co_await identify(); !st.ok()) {
    if (absl::IsFailedPrecondition(st)) config_.heads->drop(endpoint);
    if (absl::IsUnavailable(st) || absl::IsResourceExhausted(st)) ended(trouble_);
    co_return;
  }
  // The probe may have used up a rate limit.
  if (!may_poll()) co_return;
  if (pool.get(i).syncing()) {
    config_.heads->drop(endpoint);
    ended({});
    co_return;
  }
  absl::StatusOr<Look> s = co_await take_look();
  const bool bad_header = absl::IsDataLoss(s.status());
  if (s.ok()) {
    s->heads.endpoint = endpoint;
    s->heads.observed = config_.pool->now();
    if (auto st = check_order(s->heads); !st.ok()) s = st;
  }
  if (s.ok() && config_.check_times) {
    if (s->heads.unsafe && check_times(s->heads, *config_.rollup, absl::InfiniteFuture()).ok())
      config_.heads->heard(endpoint, s->heads.unsafe->timestamp);
    if (auto st =
            check_times(s->heads, *config_.rollup, config_.heads->now()->chain_now(config_.pool->now(), absl::Now()));
        !st.ok()) {
      // The fault may be our clock or configuration: the endpoint is not reported.
      trouble_ = {absl::IsOutOfRange(st) ? Problem::clock_skew : Problem::wrong_time, std::string{st.message()}};
      s = st;
    }
  }
  if (!s.ok()) {
    if (absl::IsCancelled(s.status())) co_return;
    const std::string what{s.status().message()};
    if (bad_header) trouble_ = {Problem::bad_data, what};
    if (!trouble_) trouble_ = {Problem::not_json_rpc, what};
    ended(trouble_);
    if (bad_header) {
      config_.heads->drop(endpoint);
      // Otherwise this program may lack a rule, which is noted if most sources fail in this way.
      if (config_.heads->now()->others_verify(endpoint, config_.pool->now())) pool.report_bad_data(i, "hash", what);
      else if (pool.view().most_serve_bad_data()) config_.heads->set_unknown_rules(what);
    }
    (absl::IsDataLoss(s.status()) ? dropped_as_wrong_ : dropped_as_error_).inc();
    log::debug("no heads from endpoint", {log::kv("endpoint", endpoint), log::kv("why", s.status())});
    co_return;
  }
  show(s->heads);
  ended({});
  if (contract::serves_blocks(pool.get(i).kind()) && s->heads.unsafe)
    pool.update(i, [&](Endpoint& x) { x.on_head(s->heads.unsafe->number); });
  co_await search_lowest();
  config_.heads->put(*std::move(s));
}

}  // namespace towline::fetcher
