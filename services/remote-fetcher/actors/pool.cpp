#include "services/remote-fetcher/actors/pool.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

constexpr std::uintmax_t kMaxEvidenceBytes = 16U << 20U;

/// host:port and the place in the list: nothing of the URL that could be secret.
std::string name_of(const std::string& url, std::size_t i) {
  const std::string shown = http::redact_url(url);
  const auto slashes = shown.find("//");
  return absl::StrCat(slashes == std::string::npos ? shown : shown.substr(slashes + 2), "#", i + 1);
}

}  // namespace

Pool::Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file, Metrics& metrics)
    : configs_{std::move(endpoints)}, timeout_{request_timeout}, evidence_file_{std::move(evidence_file)}, metrics_{metrics} {
  for (std::size_t i = 0; i < configs_.size(); ++i) {
    endpoints_.push_back(std::make_unique<Endpoint>(name_of(configs_[i].url, i), configs_[i].limits));
  }
}

Endpoint Pool::get(std::size_t i) const {
  std::lock_guard lock{mutex_};
  return *endpoints_[i];
}

std::optional<std::size_t> Pool::find(const std::string& wanted) const {
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i]->name() == wanted) return i;
  }
  return std::nullopt;
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

absl::StatusOr<std::size_t> Pool::take_el(const std::set<std::size_t>& except, absl::Time deadline, const Cancelled& cancelled,
                                          std::optional<std::size_t> prefer) {
  while (true) {
    // Asked without the lock: it may look at stopped() and take locks of its caller.
    if (cancelled()) return absl::CancelledError("cancelled");
    std::unique_lock lock{mutex_};
    if (stopped_) return absl::CancelledError("cancelled");
    const absl::Time now = absl::Now();
    std::optional<std::size_t> best;
    bool any = false;
    absl::Time soonest = now + absl::Milliseconds(100);
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      const Endpoint& e = *endpoints_[i];
      const State s = e.state(now);
      if (e.kind() != Kind::el || except.contains(i) || (s != State::ready && s != State::backing_off)) continue;
      any = true;
      const absl::Time at = e.next_slot(now);
      if (at > now) {
        soonest = std::min(soonest, at);
        continue;
      }
      const bool better = !best || (prefer == i) || (prefer != *best && e.in_flight() < endpoints_[*best]->in_flight());
      if (better) best = i;
    }
    if (best) {
      endpoints_[*best]->on_request(now);
      return *best;
    }
    if (!any) return absl::UnavailableError("no execution endpoint can be used for this");
    if (now >= deadline) return absl::DeadlineExceededError("no endpoint had a free slot in time");
    changed_.wait_for(lock, absl::ToChronoMilliseconds(std::max(soonest - now, absl::Milliseconds(1))));
  }
}

void Pool::count(std::size_t i, const char* result) {
  metrics_.counter("towline_fetcher_requests_total", "Requests to endpoints by result.", {{"endpoint", name(i)}, {"result", result}}).inc();
}

absl::StatusOr<jsonrpc::Answers> Pool::send(std::size_t i, std::string body, std::size_t count_of_calls, bool batch, std::size_t* bytes) {
  const EndpointConfig& c = configs_[i];
  http::Request request;
  request.url = c.url;
  request.headers = c.headers;
  request.ca_file = c.ca_file;
  request.body = std::move(body);
  request.timeout = timeout_;
  http::Response r = http_.post_and_wait(std::move(request));
  const absl::Time now = absl::Now();
  const auto settle = [&](const char* result, const std::function<void(Endpoint&)>& change) {
    count(i, result);
    {
      std::lock_guard lock{mutex_};
      change(*endpoints_[i]);
    }
    changed_.notify_all();
  };
  const auto fail = [&](const char* result, absl::Status why) {
    settle(result, [&](Endpoint& e) { e.on_error(now, std::string{why.message()}); });
    return why;
  };
  if (absl::IsCancelled(r.transport)) {
    settle("cancelled", [](Endpoint& e) { e.on_cancelled(); });
    return r.transport;
  }
  if (absl::IsResourceExhausted(r.transport) && count_of_calls > 1) {
    settle("too_large", [&](Endpoint& e) { e.on_too_large(count_of_calls); });
    return absl::ResourceExhaustedError("answer too large");
  }
  if (!r.transport.ok()) {
    return fail(absl::IsDeadlineExceeded(r.transport) ? "timeout" : absl::IsResourceExhausted(r.transport) ? "too_large" : "transport",
                absl::UnavailableError(r.transport.message()));
  }
  if (r.status == 429) {
    settle("rate_limited", [&](Endpoint& e) { e.on_rate_limit(now, r.retry_after); });
    return absl::UnavailableError("rate limited (HTTP 429)");
  }
  if (r.status == 413 && count_of_calls > 1) {
    settle("too_large", [&](Endpoint& e) { e.on_too_large(count_of_calls); });
    return absl::ResourceExhaustedError("HTTP 413");
  }
  auto answers = jsonrpc::Answers::parse(r.body, count_of_calls, batch);
  if (!answers.ok()) {
    return fail("malformed", absl::UnavailableError(r.status == 200 ? std::string{answers.status().message()} : absl::StrCat("HTTP ", r.status)));
  }
  const auto rate_limited = [&](const jsonrpc::Error& e) { return jsonrpc::is_rate_limit(e); };
  bool limited = answers->whole_batch_error && rate_limited(answers->batch_error);
  for (const auto& a : answers->answers) limited = limited || (a.kind == jsonrpc::Answer::Kind::error && rate_limited(a.error));
  if (limited) {
    settle("rate_limited", [&](Endpoint& e) { e.on_rate_limit(now, r.retry_after); });
    return absl::UnavailableError("rate limited");
  }
  if (answers->whole_batch_error && count_of_calls > 1) {
    // Whatever it says, fewer at once is what can be done about it.
    settle("batch_refused", [&](Endpoint& e) { e.on_too_large(count_of_calls); });
    return absl::ResourceExhaustedError(absl::StrCat("batch refused: ", answers->batch_error.message));
  }
  if (r.status != 200) return fail("http_error", absl::UnavailableError(absl::StrCat("HTTP ", r.status)));
  if (bytes != nullptr) *bytes = r.body.size();
  settle("ok", [&](Endpoint& e) { e.on_success(now, r.elapsed); });
  metrics_.counter("towline_fetcher_received_bytes_total", "Bytes of answers, uncompressed.", {{"endpoint", name(i)}}).inc(static_cast<double>(r.body.size()));
  return answers;
}

absl::StatusOr<jsonrpc::Answers> Pool::call(std::size_t i, const std::vector<jsonrpc::Call>& calls, std::size_t* bytes) {
  if (calls.size() == 1) return send(i, jsonrpc::request(calls[0]), 1, false, bytes);
  return send(i, jsonrpc::batch(calls), calls.size(), true, bytes);
}

absl::StatusOr<jsonrpc::Answers> Pool::poll(std::size_t i, const std::vector<jsonrpc::Call>& calls) {
  update(i, [](Endpoint& e) { e.on_request(absl::Now()); });
  return call(i, calls);
}

absl::StatusOr<jsonrpc::Answers> Pool::poll_single(std::size_t i, const jsonrpc::Call& c) { return poll(i, {c}); }

void Pool::update(std::size_t i, const std::function<void(Endpoint&)>& change) {
  {
    std::lock_guard lock{mutex_};
    change(*endpoints_[i]);
  }
  changed_.notify_all();
}

void Pool::accuse(std::size_t i, const std::string& what, const std::string& evidence) {
  update(i, [&](Endpoint& e) { e.set_aside(absl::Now(), what); });
  metrics_.counter("towline_fetcher_lies_total", "Answers that do not verify or contradict what is proven.", {{"endpoint", name(i)}}).inc();
  log::error("endpoint set aside: it served what does not verify", {log::kv("endpoint", name(i)), log::kv("what", what), log::kv("evidence", evidence)});
  if (evidence_file_.empty()) return;
  std::lock_guard lock{mutex_};
  std::error_code ec;
  if (const auto size = std::filesystem::file_size(evidence_file_, ec); !ec && size > kMaxEvidenceBytes) {
    std::filesystem::rename(evidence_file_, evidence_file_ + ".1", ec);
  }
  std::ofstream out{evidence_file_, std::ios::app};
  out << nlohmann::json{{"time_ms", absl::ToUnixMillis(absl::Now())}, {"endpoint", endpoints_[i]->name()}, {"what", what}, {"evidence", evidence}}.dump() << '\n';
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
