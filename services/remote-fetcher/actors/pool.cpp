#include "services/remote-fetcher/actors/pool.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/send.hpp>

#include "libs/http/encoding.hpp"
#include "libs/http/url.hpp"
#include "libs/telemetry/log.hpp"
#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/redact.hpp"

namespace towline::fetcher {
namespace {

Problem problem_of(http::Failure f) {
  switch (f) {
    case http::Failure::timeout: return Problem::timeout;
    case http::Failure::name_unresolved: return Problem::name_unresolved;
    case http::Failure::tls: return Problem::tls_failed;
    case http::Failure::proxy: return Problem::proxy_failed;
    case http::Failure::encoding:
    case http::Failure::too_large: return Problem::not_json_rpc;
    default: return Problem::unreachable;
  }
}

/// In the order of Result.
constexpr std::array kResults = {"ok",        "gaps",    "rate_limited", "http_error", "batch_failed", "malformed",
                                 "cancelled", "timeout", "too_large",    "transport",  "unusable"};

}  // namespace

Pool::Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, EndpointViewPtr view,
           evidence_actor evidence, Metrics& metrics, Host& host)
    : configs_{std::move(endpoints)},
      timeout_{request_timeout},
      view_{std::move(view)},
      evidence_{std::move(evidence)},
      host_{host} {
  for (std::size_t i = 0; i < configs_.size(); ++i) {
    secrets_.push_back(secrets_of(configs_[i].url, configs_[i].headers));
    all_.push_back(endpoints_.emplace_back(std::make_unique<Endpoint>(*view_->get(i))).get());
    // All counters exist from the start: an alarm on an increase would miss the step from nothing to one.
    const Labels labels{{"endpoint", name(i)}};
    Counters& c = counters_.emplace_back();
    for (std::size_t r = 0; r < kResults.size(); ++r) {
      c.results[r] = metrics.counter("towline_fetcher_requests_total", "Requests to endpoints by result.",
                                     {{"endpoint", name(i)}, {"result", kResults[r]}});
    }
    c.received = metrics.counter("towline_fetcher_received_bytes_total", "Bytes of answers, uncompressed.", labels);
    c.integrity_failures = metrics.counter("towline_fetcher_integrity_failures_total",
                                           "Answers that do not verify or contradict what is final.", labels);
    c.other_branch = metrics.counter("towline_fetcher_other_branch_total",
                                     "Headers of another branch than the one that was asked for.", labels);
    c.hedged = metrics.counter("towline_fetcher_hedged_requests_total",
                               "Requests to it that took long, and were put to another as well.", labels);
  }
}

Turn::~Turn() {
  end([this](Endpoint& e) { e.on_cancelled(work, calls); });
}

void Turn::end(const std::function<void(Endpoint&)>& learn) {
  if (Pool* pool = std::exchange(pool_, nullptr)) pool->update(endpoint, learn);
}

Task<absl::StatusOr<Turn>> Pool::turn(Wanted wanted, CancelPtr cancelled) {
  if (cancelled->called() || stopped()) co_return absl::CancelledError("cancelled");
  const std::uint64_t id = ++last_id_;
  const auto once = std::make_shared<Once<absl::StatusOr<Turn>>>(host_.loop());
  if (auto st = line_.add(id, std::move(wanted)); !st.ok()) co_return st;
  turns_.emplace(id, once);
  changed_ = true;
  const Cancel::Hook hook{cancelled, [this, id, once] {
                            if (turns_.erase(id) == 0) return;
                            line_.forget(id);
                            once->set(absl::CancelledError("cancelled"));
                          }};
  co_return co_await *once;
}

Task<absl::StatusOr<Turn>> Pool::turn_with(std::size_t i, Wanted wanted, CancelPtr cancelled) {
  wanted.only = i;
  co_return co_await turn(std::move(wanted), std::move(cancelled));
}

void Pool::go_on() {
  while (true) {
    host_.loop().run();
    if (!std::exchange(changed_, false)) return;
    for (auto& o : line_.go_on(all_, now())) {
      absl::StatusOr<Turn> turn =
          o.slot.ok() ? absl::StatusOr<Turn>{Turn{*this, *o.slot}} : absl::StatusOr<Turn>{o.slot.status()};
      if (turn.ok()) view_->publish(turn->endpoint, get(turn->endpoint));
      if (const auto node = turns_.extract(o.id)) node.mapped()->set(std::move(turn));
    }
    wake_at(line_.next());
  }
}

void Pool::wake_at(absl::Time at) {
  if (at >= wake_at_) return;
  wake_at_ = at;
  host_.after(at - now(), [this, at] {
    if (wake_at_ == at) wake_at_ = absl::InfiniteFuture();
    changed_ = true;
  });
}

void Pool::grant(Line& line) {
  for (const std::uint64_t id : line.budget.granted()) {
    const auto node = line.waiting.extract(id);
    const auto give_back = [this, &line](std::size_t bytes) {
      line.budget.give_back(bytes);
      grant(line);
    };
    node.mapped().second->set(std::optional<Share>{Share{give_back, node.mapped().first}});
  }
}

Task<std::optional<Share>> Pool::share_of(Line* line, std::size_t bytes, CancelPtr cancelled) {
  if (cancelled->called() || stopped()) co_return std::nullopt;
  const std::uint64_t id = ++last_id_;
  const auto once = std::make_shared<Once<std::optional<Share>>>(host_.loop());
  line->waiting.emplace(id, std::pair{bytes, once});
  line->budget.ask(id, bytes);
  const Cancel::Hook hook{cancelled, [this, line, id, once] {
                            if (line->waiting.erase(id) == 0) return;
                            line->budget.forget(id);
                            once->set(std::nullopt);
                            grant(*line);
                          }};
  grant(*line);
  co_return co_await *once;
}

void Pool::count(std::size_t i, Result result) { counters_[i].results[static_cast<std::size_t>(result)].inc(); }

http::Request Pool::request_to(std::size_t i) const {
  http::Request request;
  request.url = configs_[i].url;
  request.headers = configs_[i].headers;
  request.ca_file = configs_[i].ca_file;
  request.proxy = configs_[i].proxy;
  request.timeout = timeout_;
  return request;
}

Task<Pool::Answered> Pool::ask(http::Request request, std::size_t calls, bool urgent, CancelPtr cancelled) {
  const std::size_t most = request.max_response_bytes;
  const auto once = std::make_shared<Once<http::Response>>(host_.loop());
  const std::uint64_t id = host_.post(std::move(request), [once](http::Response r) { once->set(std::move(r)); });
  const Cancel::Hook hook{cancelled, [this, id] { host_.cancel_post(id); }};
  http::Response packed = co_await *once;
  const bool arrived = packed.failure == http::Failure::none;
  auto read = [packed = std::move(packed), most, calls]() mutable {
    Answered a;
    a.response = http::decoded(std::move(packed), most);
    a.size = a.response.body.size();
    if (a.response.failure == http::Failure::none)
      a.outcome = read_http_answer({a.response.status, std::move(a.response.body), a.response.retry_after}, calls);
    return a;
  };
  // Nothing to decompress or parse.
  if (!arrived) co_return read();
  co_return co_await computed(host_, urgent, std::move(read));
}

Turn Pool::take(const Slot& slot) {
  update(slot.endpoint, [&](Endpoint& e) { e.on_request(slot.work, slot.calls, now()); });
  return {*this, slot};
}

Task<absl::StatusOr<Reply>> Pool::exchange(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                           CancelPtr cancelled, Trouble* out) {
  Trouble& trouble = *out;
  const std::size_t i = turn.endpoint;
  const Work w = turn.work;
  const std::size_t n = calls.size();
  std::optional<Share> share = co_await share_of(w == Work::poll ? &polls_ : &bulk_, allowance.bytes, cancelled);
  if (!share) co_return absl::CancelledError("cancelled while other answers took all the memory that is for them");
  http::Request request = request_to(i);
  request.body = n > 1 ? jsonrpc::batch(calls) : jsonrpc::request(calls[0]);
  request.max_response_bytes = allowance.bytes;
  Answered answered = co_await ask(std::move(request), n, w == Work::poll, cancelled);
  http::Response& r = answered.response;
  const absl::Time at = now();
  const auto failed = [&](Result result) {
    count(i, result);
    turn.end([&](Endpoint& e) { e.on_error(w, n, at, trouble); });
    return absl::UnavailableError(trouble.why);
  };
  const auto fewer = [&](Result result) {
    count(i, result);
    turn.end([&](Endpoint& e) { e.on_batch_failed(w, n, at, trouble); });
    return absl::ResourceExhaustedError(trouble.why);
  };
  if (r.failure == http::Failure::cancelled) {
    count(i, Result::cancelled);
    co_return r.transport;
  }
  if (r.failure != http::Failure::none) {
    trouble = {problem_of(r.failure), presentable(r.transport.message(), secrets_[i])};
    switch (r.failure) {
      case http::Failure::timeout:
        count(i, Result::timeout);
        turn.end([&](Endpoint& e) { e.on_timeout(w, n, at, trouble); });
        co_return absl::UnavailableError(trouble.why);
      case http::Failure::too_large:
        if (allowance.beyond == Beyond::ask_more) co_return absl::OutOfRangeError(trouble.why);
        if (n > 1) co_return fewer(Result::too_large);
        if (allowance.beyond == Beyond::bad_data) {
          trouble.problem = Problem::bad_data;
          report_bad_data(i, "size", absl::StrCat(calls[0].method, ": ", trouble.why));
        }
        co_return failed(Result::too_large);
      case http::Failure::lost: co_return n > 1 ? fewer(Result::transport) : failed(Result::transport);
      default: co_return failed(Result::transport);
    }
  }
  const std::size_t size = answered.size;
  share->keep(size);
  Outcome& o = answered.outcome;
  if (o.trouble.problem == Problem::redirects && !r.location.empty())
    absl::StrAppend(&o.trouble.why, " to ", http::redirect_target(configs_[i].url, r.location));
  trouble = {o.trouble.problem, presentable(o.trouble.why, secrets_[i])};
  for (auto& a : o.answers.answers) {
    a.error.message = presentable(a.error.message, secrets_[i]);
    a.error.detail = presentable(a.error.detail, secrets_[i]);
  }
  switch (o.kind) {
    case Outcome::Kind::failed: co_return failed(r.status == 200 ? Result::malformed : Result::http_error);
    case Outcome::Kind::batch_failed: co_return fewer(Result::batch_failed);
    case Outcome::Kind::rate_limited:
      count(i, o.busy ? Result::http_error : Result::rate_limited);
      turn.end([&](Endpoint& e) {
        if (o.busy) e.on_busy(w, n, at, o.wait);
        else e.on_rate_limit(w, n, o.answered, o.by_call, at, o.wait);
      });
      if (o.answered == 0) {
        trouble =
            o.busy ? Trouble{Problem::http_error, "HTTP 503: busy"} : Trouble{Problem::rate_limited, "rate limited"};
        co_return absl::UnavailableError(trouble.why);
      }
      break;
    case Outcome::Kind::gaps:
      count(i, Result::gaps);
      turn.end([&](Endpoint& e) { e.on_gaps(w, n, o.answered, at); });
      break;
    case Outcome::Kind::answered:
      count(i, Result::ok);
      turn.end([&](Endpoint& e) { e.on_answered(w, n, at, r.elapsed); });
      break;
  }
  counters_[i].received.inc(static_cast<double>(size));
  co_return Reply{std::make_shared<const jsonrpc::Answers>(std::move(o.answers)), size, *std::move(share), i};
}

Task<absl::StatusOr<Reply>> Pool::call(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                       CancelPtr cancelled, std::optional<Hedge> hedge) {
  hedges_.on_request();
  std::optional<absl::Duration> usual;
  if (hedge) usual = hedge_after(get(turn.endpoint).latency_of(turn.work), now());
  absl::StatusOr<Reply> reply = absl::UnknownError("");
  Trouble trouble;
  if (hedge)
    if (auto slow = second_of(turn, *hedge, true)) host_.loop().start(measure(*std::move(slow), calls, allowance));
  if (usual) reply = co_await hedged(std::move(turn), std::move(calls), allowance, cancelled, *hedge, *usual);
  else reply = co_await exchange(std::move(turn), std::move(calls), allowance, cancelled, &trouble);
  if (reply.ok()) line_.on_progress(now());
  co_return std::move(reply);
}

Task<void> Pool::run(std::shared_ptr<Race> race, std::size_t k, Turn turn, std::vector<jsonrpc::Call> calls,
                     Allowance allowance) {
  Trouble trouble;
  race->racers[k].reply =
      co_await exchange(std::move(turn), std::move(calls), allowance, race->racers[k].cancel, &trouble);
  race->news->set(true);
}

Task<void> Pool::measure(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance) {
  calls.resize(turn.calls);
  Trouble trouble;
  co_await exchange(std::move(turn), std::move(calls), allowance, stopping_, &trouble);
}

std::optional<Turn> Pool::second_of(const Slot& first, const Hedge& hedge, bool slow) {
  std::set<std::size_t> except = hedge.except;
  except.insert(first.endpoint);
  // The calls stay as they are, so the other endpoint must accept as many; a trial may be a part of them.
  for (std::size_t i = 0; i < size(); ++i) {
    const bool fits = (slow || get(i).max_batch(first.work, now()) >= first.calls) &&
                      (first.work != Work::bodies || get(i).raw_methods() == get(first.endpoint).raw_methods());
    const bool due = !slow || get(i).trial_due(first.work, now());
    if (!fits || get(i).slow(first.work) != slow || !due) except.insert(i);
  }
  const std::vector<const Endpoint*> all{all_.begin(), all_.end()};
  const Choice c = choose_el(all, except, hedge.number, {}, now(), first.work);
  if (!c.endpoint || !hedges_.take()) return std::nullopt;
  return take({*c.endpoint, first.work, std::min(first.calls, get(*c.endpoint).max_batch(first.work, now()))});
}

Task<absl::StatusOr<Reply>> Pool::hedged(Turn turn, std::vector<jsonrpc::Call> calls, Allowance allowance,
                                         CancelPtr cancelled, Hedge hedge, absl::Duration after) {
  const auto race = std::make_shared<Race>();
  race->news = std::make_shared<Once<bool>>(host_.loop());
  const Cancel::Hook hook{cancelled, [race] {
                            for (auto& r : race->racers) r.cancel->call();
                          }};
  const absl::Time start = now();
  host_.after(after, [race] {
    race->late = true;
    race->news->set(true);
  });
  const Slot slot = turn;
  host_.loop().start(run(race, 0, std::move(turn), calls, allowance));
  auto& [first, second] = race->racers;
  bool tried = false;
  bool both = false;
  while (!first.ok() && !second.ok() && (!first.reply || (both && !second.reply))) {
    if (race->late && !first.reply && !cancelled->called() && !std::exchange(tried, true)) {
      if (std::optional<Turn> other = second_of(slot, hedge, false)) {
        both = true;
        counters_[slot.endpoint].hedged.inc();
        host_.loop().start(run(race, 1, *std::move(other), calls, allowance));
      }
    }
    race->news = std::make_shared<Once<bool>>(host_.loop());
    co_await *race->news;
  }
  if (!first.reply)
    update(slot.endpoint, [&](Endpoint& e) { e.on_overtaken(slot.work, slot.calls, now(), now() - start); });
  first.cancel->call();
  second.cancel->call();
  co_return second.ok() && !first.ok() ? std::move(*second.reply) : std::move(*first.reply);
}

Task<absl::StatusOr<Reply>> Pool::poll(std::size_t i, std::vector<jsonrpc::Call> calls, Asked what, Trouble* trouble,
                                       CancelPtr cancelled) {
  Turn turn = take({i, Work::poll, calls.size()});
  // A poll may be what its caller waits for, so it gets a time limit.
  const auto limit = std::make_shared<Cancel>();
  host_.after(timeout_ * 2, [weak = std::weak_ptr<Cancel>{limit}] {
    if (const auto l = weak.lock()) l->call();
  });
  const Cancel::Hook hook{cancelled, [limit] { limit->call(); }};
  const Allowance allowance = allowance_of(what, calls.size());
  co_return co_await exchange(std::move(turn), std::move(calls), allowance, limit, trouble);
}

void Pool::update(std::size_t i, const std::function<void(Endpoint&)>& change) {
  change(*endpoints_[i]);
  view_->publish(i, *endpoints_[i]);
  changed_ = true;
}

void Pool::useless(std::size_t i, Problem problem, const std::string& why) {
  count(i, Result::unusable);
  update(i, [&](Endpoint& e) { e.on_useless_answer(now(), {problem, why}); });
}

bool Pool::note_absent(std::size_t i, std::uint64_t number, jsonrpc::Absence absence) {
  bool gone = absence == jsonrpc::Absence::pruned;
  update(i, [&](Endpoint& e) {
    if (gone) e.on_gone(now(), number);
    else gone = e.on_missing(now(), number);
  });
  return gone;
}

void Pool::report_bad_data(std::size_t i, const std::string& what, const std::string& shown) {
  bool news = false;
  update(i, [&](Endpoint& e) { news = e.quarantine(now(), absl::StrCat(what, ": ", shown)); });
  if (!news) return;
  counters_[i].integrity_failures.inc();
  log::error("endpoint quarantined: it served what does not verify",
             {log::kv("endpoint", name(i)), log::kv("what", what), log::kv("evidence", shown)});
  caf::anon_send(evidence_, found_atom{}, name(i), what, shown);
}

void Pool::hold(std::size_t i, const std::string& shown) {
  update(i, [&](Endpoint& e) { e.hold(now(), shown); });
  counters_[i].other_branch.inc();
  log::warn("endpoint is on another branch, asking others for a moment",
            {log::kv("endpoint", name(i)), log::kv("evidence", shown)});
  caf::anon_send(evidence_, found_atom{}, name(i), std::string{"other_branch"}, shown);
}

}  // namespace towline::fetcher
