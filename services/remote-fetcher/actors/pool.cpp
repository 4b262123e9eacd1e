#include "services/remote-fetcher/actors/pool.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "libs/telemetry/log.hpp"
#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/redact.hpp"

namespace towline::fetcher {
namespace {

constexpr std::uintmax_t kMaxEvidenceBytes = 16U << 20U;
/// A batch aims at 1 MiB; one block may be large.
constexpr std::size_t kMaxBatchBytes = 16U << 20U;
constexpr std::size_t kMaxSingleBytes = 64U << 20U;
/// How soon a cancelled caller is noticed.
constexpr absl::Duration kLook = absl::Milliseconds(100);
/// As with a Retry-After header.
constexpr absl::Duration kLongestRateLimit = absl::Minutes(5);

/// host:port and the place in the list: nothing of the URL that could be secret.
std::string name_of(const std::string& url, std::size_t i) {
  const std::string shown = http::redact_url(url);
  const auto slashes = shown.find("//");
  return absl::StrCat(slashes == std::string::npos ? shown : shown.substr(slashes + 2), "#", i + 1);
}

/// Called under the pool's lock only.
Jitter make_jitter() {
  auto random = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [random] { return std::uniform_real_distribution<>{0, 1}(*random); };
}

}  // namespace

Pool::Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file,
           Metrics& metrics)
    : configs_{std::move(endpoints)},
      timeout_{request_timeout},
      evidence_file_{std::move(evidence_file)},
      metrics_{metrics} {
  const Jitter jitter = make_jitter();
  for (std::size_t i = 0; i < configs_.size(); ++i) {
    names_.push_back(name_of(configs_[i].url, i));
    secrets_.push_back(secrets_of(configs_[i].url, configs_[i].headers));
    endpoints_.push_back(std::make_unique<Endpoint>(names_.back(), configs_[i].limits, jitter));
  }
}

Endpoint Pool::get(std::size_t i) const {
  std::lock_guard lock{mutex_};
  return *endpoints_[i];
}

std::optional<std::size_t> Pool::find(const std::string& wanted) const {
  const auto it = std::find(names_.begin(), names_.end(), wanted);
  if (it == names_.end()) return std::nullopt;
  return static_cast<std::size_t>(it - names_.begin());
}

std::vector<std::size_t> Pool::usable_els() const {
  std::lock_guard lock{mutex_};
  std::vector<std::size_t> out;
  const absl::Time now = absl::Now();
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const State s = endpoints_[i]->state(now);
    if (endpoints_[i]->kind() == Kind::el && (s == State::ready || s == State::backing_off)) out.push_back(i);
  }
  return out;
}

std::size_t Pool::ready_els() const {
  std::lock_guard lock{mutex_};
  const absl::Time now = absl::Now();
  return static_cast<std::size_t>(std::count_if(endpoints_.begin(), endpoints_.end(), [&](const auto& e) {
    return e->kind() == Kind::el && e->state(now) == State::ready;
  }));
}

absl::StatusOr<std::size_t> Pool::take_el(const std::set<std::size_t>& except, absl::Time deadline,
                                          const Cancelled& cancelled, std::optional<std::size_t> prefer) {
  std::vector<const Endpoint*> all;
  for (const auto& e : endpoints_) all.push_back(e.get());
  while (true) {
    // Not under the lock: it is the caller's code.
    if (cancelled()) return absl::CancelledError("cancelled");
    std::unique_lock lock{mutex_};
    if (stopped_) return absl::CancelledError("shutting down");
    const absl::Time now = absl::Now();
    const Choice c = choose_el(all, except, prefer, now);
    if (c.endpoint) {
      endpoints_[*c.endpoint]->on_request(now);
      return *c.endpoint;
    }
    if (!c.possible)
      return absl::UnavailableError("no execution endpoint can be used for this; `towline endpoints` says why");
    if (now >= deadline) return absl::DeadlineExceededError("no endpoint had a free slot in time");
    const absl::Duration wait = std::clamp(c.not_before - now, absl::Milliseconds(1), kLook);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(wait));
  }
}

absl::StatusOr<std::size_t> Pool::take(std::size_t i, absl::Time deadline, const Cancelled& cancelled) {
  std::set<std::size_t> others;
  for (std::size_t o = 0; o < endpoints_.size(); ++o) {
    if (o != i) others.insert(o);
  }
  return take_el(others, deadline, cancelled);
}

void Pool::count(std::size_t i, const char* result) {
  metrics_
      .counter("towline_fetcher_requests_total", "Requests to endpoints by result.",
               {{"endpoint", name(i)}, {"result", result}})
      .inc();
}

http::Response Pool::send(std::size_t i, std::string body, std::size_t count_of_calls, const Cancelled& cancelled) {
  struct Slot {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<http::Response> response;
  };
  auto slot = std::make_shared<Slot>();
  http::Request request;
  request.url = configs_[i].url;
  request.headers = configs_[i].headers;
  request.ca_file = configs_[i].ca_file;
  request.body = std::move(body);
  request.timeout = timeout_;
  request.max_response_bytes = count_of_calls > 1 ? kMaxBatchBytes : kMaxSingleBytes;
  const std::uint64_t id = http_.post(std::move(request), [slot](http::Response r) {
    std::lock_guard lock{slot->mutex};
    slot->response = std::move(r);
    slot->arrived.notify_one();
  });
  bool told = false;
  std::unique_lock lock{slot->mutex};
  while (!slot->arrived.wait_for(lock, absl::ToChronoMilliseconds(kLook), [&] { return slot->response.has_value(); })) {
    if (told || !cancelled()) continue;
    http_.cancel(id);
    told = true;
  }
  return *std::move(slot->response);
}

absl::StatusOr<Reply> Pool::call(std::size_t i, const std::vector<jsonrpc::Call>& calls, const Cancelled& cancelled) {
  const std::size_t n = calls.size();
  const bool batch = n > 1;
  const http::Response r = send(i, batch ? jsonrpc::batch(calls) : jsonrpc::request(calls[0]), n, cancelled);
  const absl::Time now = absl::Now();
  const auto settle = [&](const char* result, const std::function<void(Endpoint&)>& change) {
    count(i, result);
    update(i, change);
  };
  const auto fail = [&](const char* result, const std::string& why) {
    settle(result, [&](Endpoint& e) { e.on_error(now, why); });
    return absl::UnavailableError(why);
  };
  const auto too_much = [&](const char* result, const std::string& why) {
    settle(result, [&](Endpoint& e) { e.on_too_large(n); });
    return absl::ResourceExhaustedError(why);
  };
  const auto limited = [&](const jsonrpc::Error& error) {
    auto wait = r.retry_after;
    if (!wait && error.backoff_s > 0) wait = std::min(absl::Seconds(error.backoff_s), kLongestRateLimit);
    settle("rate_limited", [&](Endpoint& e) { e.on_rate_limit(now, wait); });
    return absl::UnavailableError("rate limited");
  };
  if (absl::IsCancelled(r.transport)) {
    settle("cancelled", [](Endpoint& e) { e.on_cancelled(); });
    return r.transport;
  }
  if (absl::IsDeadlineExceeded(r.transport)) {
    const std::string why{r.transport.message()};
    settle("timeout", [&](Endpoint& e) { e.on_timeout(now, why, n); });
    return absl::UnavailableError(why);
  }
  if (absl::IsResourceExhausted(r.transport)) {
    return batch ? too_much("too_large", std::string{r.transport.message()})
                 : fail("too_large", std::string{r.transport.message()});
  }
  if (!r.transport.ok()) return fail("transport", std::string{r.transport.message()});
  if (r.status == 429) {
    // Where the header does not say how long, the body may.
    const auto body = jsonrpc::Answers::parse(r.body, 1, false);
    return limited(body.ok() ? body->answers[0].error : jsonrpc::Error{});
  }
  if (r.status == 413 && batch) return too_much("too_large", "HTTP 413");
  auto answers = jsonrpc::Answers::parse(r.body, n, batch);
  if (!answers.ok())
    return fail("malformed",
                r.status == 200 ? std::string{answers.status().message()} : absl::StrCat("HTTP ", r.status));
  if (answers->whole_batch_error) {
    if (jsonrpc::is_rate_limit(answers->batch_error)) return limited(answers->batch_error);
    // Whatever it says, fewer at once is what can be done about it.
    return too_much("batch_refused", presentable(answers->batch_error.message, secrets_[i]));
  }
  bool gaps = false;
  bool too_large = false;
  for (auto& a : answers->answers) {
    gaps = gaps || a.kind == jsonrpc::Answer::Kind::missing;
    if (a.kind != jsonrpc::Answer::Kind::error) continue;
    if (jsonrpc::is_rate_limit(a.error)) return limited(a.error);
    too_large = too_large || jsonrpc::is_too_large(a.error);
    a.error.message = presentable(a.error.message, secrets_[i]);
    a.error.detail = presentable(a.error.detail, secrets_[i]);
  }
  if (too_large && batch) return too_much("too_large", "the batch's answer is too large for it");
  if (gaps && batch) return too_much("gaps", "the batch's answer has gaps");
  if (r.status != 200) return fail("http_error", absl::StrCat("HTTP ", r.status));
  settle("ok", [&](Endpoint& e) { e.on_success(now, r.elapsed); });
  metrics_.counter("towline_fetcher_received_bytes_total", "Bytes of answers, uncompressed.", {{"endpoint", name(i)}})
      .inc(static_cast<double>(r.body.size()));
  return Reply{*std::move(answers), r.body.size()};
}

absl::StatusOr<Reply> Pool::poll(std::size_t i, const std::vector<jsonrpc::Call>& calls) {
  update(i, [](Endpoint& e) { e.on_request(absl::Now()); });
  return call(i, calls, [] { return false; });
}

void Pool::update(std::size_t i, const std::function<void(Endpoint&)>& change) {
  {
    std::lock_guard lock{mutex_};
    change(*endpoints_[i]);
  }
  changed_.notify_all();
}

void Pool::complain(std::size_t i, const std::string& why) {
  count(i, "unusable");
  update(i, [&](Endpoint& e) { e.on_bad_answer(absl::Now(), why); });
}

void Pool::accuse(std::size_t i, const std::string& what, const std::string& evidence) {
  bool news = false;
  update(i, [&](Endpoint& e) { news = e.set_aside(absl::Now(), absl::StrCat(what, ": ", evidence)); });
  if (!news) return;
  metrics_
      .counter("towline_fetcher_lies_total", "Answers that do not verify or contradict what is final.",
               {{"endpoint", name(i)}})
      .inc();
  log::error("endpoint set aside: it served what does not verify",
             {log::kv("endpoint", name(i)), log::kv("what", what), log::kv("evidence", evidence)});
  keep_evidence(i, what, evidence);
}

void Pool::step_aside(std::size_t i, const std::string& evidence) {
  update(i, [&](Endpoint& e) { e.step_aside(absl::Now(), evidence); });
  metrics_
      .counter("towline_fetcher_other_branch_total", "Headers of another branch than the one that was asked for.",
               {{"endpoint", name(i)}})
      .inc();
  log::warn("endpoint is on another branch, asking others for a moment",
            {log::kv("endpoint", name(i)), log::kv("evidence", evidence)});
  keep_evidence(i, "other_branch", evidence);
}

void Pool::keep_evidence(std::size_t i, const std::string& what, const std::string& evidence) {
  if (evidence_file_.empty()) return;
  std::lock_guard lock{evidence_mutex_};
  std::error_code ec;
  if (const auto size = std::filesystem::file_size(evidence_file_, ec); !ec && size > kMaxEvidenceBytes) {
    std::filesystem::rename(evidence_file_, evidence_file_ + ".1", ec);
  }
  std::ofstream out{evidence_file_, std::ios::app};
  out << nlohmann::json{{"time_ms", absl::ToUnixMillis(absl::Now())},
                        {"endpoint", name(i)},
                        {"what", what},
                        {"evidence", evidence}}
             .dump()
      << '\n';
}

void Pool::stop() {
  {
    std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  http_.cancel_all();
  changed_.notify_all();
}

bool Pool::stopped() const {
  std::lock_guard lock{mutex_};
  return stopped_;
}

}  // namespace towline::fetcher
