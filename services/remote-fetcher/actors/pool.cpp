#include "services/remote-fetcher/actors/pool.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/remote-fetcher/core/choice.hpp"
#include "services/remote-fetcher/core/http_answer.hpp"
#include "services/remote-fetcher/core/redact.hpp"
#include "services/remote-fetcher/core/trust_group.hpp"

namespace towline::fetcher {
namespace {

constexpr std::uintmax_t kMaxEvidenceBytes = 16U << 20U;
/// How soon a cancelled caller is noticed.
constexpr absl::Duration kLook = absl::Milliseconds(100);

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

/// host:port and the place in the list: nothing of the URL that could be secret.
std::string name_of(const std::string& url, std::size_t i) {
  const std::string shown = http::redact_url(url);
  const auto slashes = shown.find("//");
  return absl::StrCat(slashes == std::string::npos ? shown : shown.substr(slashes + 2), "#", i + 1);
}

/// In the order of the enum.
constexpr std::array kResults = {"ok",        "gaps",    "rate_limited", "http_error", "batch_failed", "malformed",
                                 "cancelled", "timeout", "too_large",    "transport",  "unusable"};

/// Called under the pool's lock only.
Jitter make_jitter() {
  auto random = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [random] { return std::uniform_real_distribution<>{0, 1}(*random); };
}

}  // namespace

absl::Status append_private(const std::string& path, absl::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  // It may be there already.
  const bool done = ::fchmod(fd, 0600) == 0 && ::write(fd, text.data(), text.size()) >= 0;
  const absl::Status st = done ? absl::OkStatus() : absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  ::close(fd);
  return st;
}

Pool::Pool(std::vector<EndpointConfig> endpoints, absl::Duration request_timeout, std::string evidence_file,
           Metrics& metrics)
    : configs_{std::move(endpoints)},
      timeout_{request_timeout},
      evidence_file_{std::move(evidence_file)},
      metrics_{metrics} {
  const Jitter jitter = make_jitter();
  for (std::size_t i = 0; i < configs_.size(); ++i) {
    names_.push_back(name_of(configs_[i].url, i));
    Voter& voter = voters_.emplace_back(configs_[i].voter);
    voter.endpoint = names_.back();
    if (const auto url = http::parse_url(configs_[i].url); url.ok() && voter.group.empty())
      voter.group = trust_group_of(url->host);
    secrets_.push_back(secrets_of(configs_[i].url, configs_[i].headers));
    endpoints_.push_back(std::make_unique<Endpoint>(names_.back(), configs_[i].limits, jitter));
    // All from the start: an alarm on an increase misses the step from nothing to one.
    const Labels labels{{"endpoint", names_.back()}};
    Counters& c = counters_.emplace_back();
    for (std::size_t r = 0; r < kResults.size(); ++r) {
      c.results[r] = metrics_.counter("towline_fetcher_requests_total", "Requests to endpoints by result.",
                                      {{"endpoint", names_.back()}, {"result", kResults[r]}});
    }
    c.received = metrics_.counter("towline_fetcher_received_bytes_total", "Bytes of answers, uncompressed.", labels);
    c.integrity_failures = metrics_.counter("towline_fetcher_integrity_failures_total",
                                            "Answers that do not verify or contradict what is final.", labels);
    c.other_branch = metrics_.counter("towline_fetcher_other_branch_total",
                                      "Headers of another branch than the one that was asked for.", labels);
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
  const absl::Time now = steady_now();
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const State s = endpoints_[i]->state(now);
    if (contract::serves_blocks(endpoints_[i]->kind()) && (s == State::ready || s == State::backing_off))
      out.push_back(i);
  }
  return out;
}

std::size_t Pool::ready_els() const {
  std::lock_guard lock{mutex_};
  const absl::Time now = steady_now();
  return static_cast<std::size_t>(std::count_if(endpoints_.begin(), endpoints_.end(), [&](const auto& e) {
    return contract::serves_blocks(e->kind()) && e->state(now) == State::ready;
  }));
}

absl::StatusOr<Turn> Pool::take_el(Work w, std::size_t wanted, const std::set<std::size_t>& except,
                                   std::optional<std::uint64_t> number, absl::Time since, const Cancelled& cancelled,
                                   std::optional<std::size_t> prefer) {
  std::vector<const Endpoint*> all;
  for (const auto& e : endpoints_) all.push_back(e.get());
  while (true) {
    // Not under the lock: it is the caller's code.
    if (cancelled()) return absl::CancelledError("cancelled");
    std::unique_lock lock{mutex_};
    if (stopped_) return absl::CancelledError("shutting down");
    const absl::Time now = steady_now();
    const Choice c = choose_el(all, except, number, prefer, now);
    if (c.endpoint) {
      Endpoint& e = *endpoints_[*c.endpoint];
      const std::size_t calls = std::min(wanted, e.max_batch(w, now));
      e.on_request(w, calls, now);
      return Turn{*c.endpoint, w, calls};
    }
    if (!c.possible)
      return absl::UnavailableError("no execution endpoint can be used for this; `towline endpoints` says why");
    if (now - std::max(since, progress_) > kPatience) return absl::DeadlineExceededError("no source answered in time");
    const absl::Duration wait = std::clamp(c.not_before - now, absl::Milliseconds(1), kLook);
    changed_.wait_for(lock, absl::ToChronoMilliseconds(wait));
  }
}

absl::StatusOr<Turn> Pool::take(std::size_t i, Work w, std::size_t wanted, absl::Time since,
                                const Cancelled& cancelled) {
  std::set<std::size_t> others;
  for (std::size_t o = 0; o < endpoints_.size(); ++o) {
    if (o != i) others.insert(o);
  }
  return take_el(w, wanted, others, {}, since, cancelled);
}

bool Pool::out_of_patience(absl::Time since) const {
  std::lock_guard lock{mutex_};
  return steady_now() - std::max(since, progress_) > kPatience;
}

std::size_t Pool::poll_batch(std::size_t i) const {
  std::lock_guard lock{mutex_};
  return endpoints_[i]->max_batch(Work::poll, steady_now());
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

bool Pool::watch_new_heads(std::size_t i, const std::function<void()>& look) {
  const auto url = http::parse_url(configs_[i].url);
  if (!url.ok() || !url->websocket()) return false;
  const auto live = metrics_.gauge("towline_fetcher_push_live", "1: the endpoint tells of new heads by itself.",
                                   {{"endpoint", name(i)}});
  http_.subscribe_heads(request_to(i), [look, live](const http::Push& p) {
    auto gauge = live;
    gauge.set(p.kind == http::Push::Kind::down ? 0 : 1);
    if (p.kind == http::Push::Kind::head) look();
  });
  return true;
}

absl::StatusOr<Reply> Pool::exchange(std::size_t i, Work w, const std::vector<jsonrpc::Call>& calls,
                                     const Allowance& allowance, const Cancelled& cancelled, Trouble& trouble) {
  const std::size_t n = calls.size();
  auto share = (w == Work::poll ? polls_ : bulk_).take(allowance.bytes, [&] { return stopped() || cancelled(); });
  if (!share) {
    update(i, [&](Endpoint& e) { e.on_cancelled(w, n); });
    return absl::CancelledError("cancelled while other answers took all the memory that is for them");
  }
  http::Request request = request_to(i);
  request.body = n > 1 ? jsonrpc::batch(calls) : jsonrpc::request(calls[0]);
  request.max_response_bytes = allowance.bytes;
  http::Response r = http_.post_and_wait(std::move(request), cancelled);
  const absl::Time now = steady_now();
  const auto failed = [&](Result result) {
    count(i, result);
    update(i, [&](Endpoint& e) { e.on_error(w, n, now, trouble); });
    return absl::UnavailableError(trouble.why);
  };
  const auto fewer = [&](Result result) {
    count(i, result);
    update(i, [&](Endpoint& e) { e.on_batch_failed(w, n, now, trouble); });
    return absl::ResourceExhaustedError(trouble.why);
  };
  if (r.failure == http::Failure::cancelled) {
    count(i, Result::cancelled);
    update(i, [&](Endpoint& e) { e.on_cancelled(w, n); });
    return r.transport;
  }
  if (r.failure != http::Failure::none) {
    trouble = {problem_of(r.failure), presentable(r.transport.message(), secrets_[i])};
    switch (r.failure) {
      case http::Failure::timeout:
        count(i, Result::timeout);
        update(i, [&](Endpoint& e) { e.on_timeout(w, n, now, trouble); });
        return absl::UnavailableError(trouble.why);
      case http::Failure::too_large:
        if (allowance.beyond == Beyond::ask_more) {
          update(i, [&](Endpoint& e) { e.on_cancelled(w, n); });
          return absl::OutOfRangeError(trouble.why);
        }
        if (n > 1) return fewer(Result::too_large);
        if (allowance.beyond == Beyond::bad_data) {
          trouble.problem = Problem::bad_data;
          report_bad_data(i, "size", absl::StrCat(calls[0].method, ": ", trouble.why));
        }
        return failed(Result::too_large);
      case http::Failure::lost: return n > 1 ? fewer(Result::transport) : failed(Result::transport);
      default: return failed(Result::transport);
    }
  }
  const std::size_t size = r.body.size();
  share->keep(size);
  Outcome o = read_http_answer({r.status, std::move(r.body), r.retry_after}, n);
  if (o.trouble.problem == Problem::redirects && !r.location.empty())
    absl::StrAppend(&o.trouble.why, " to ", http::redirect_target(configs_[i].url, r.location));
  trouble = {o.trouble.problem, presentable(o.trouble.why, secrets_[i])};
  for (auto& a : o.answers.answers) {
    a.error.message = presentable(a.error.message, secrets_[i]);
    a.error.detail = presentable(a.error.detail, secrets_[i]);
  }
  switch (o.kind) {
    case Outcome::Kind::failed: return failed(r.status == 200 ? Result::malformed : Result::http_error);
    case Outcome::Kind::batch_failed: return fewer(Result::batch_failed);
    case Outcome::Kind::rate_limited:
      count(i, o.busy ? Result::http_error : Result::rate_limited);
      update(i, [&](Endpoint& e) {
        if (o.busy) e.on_busy(w, n, now, o.wait);
        else e.on_rate_limit(w, n, o.answered, o.by_call, now, o.wait);
      });
      if (o.answered == 0) {
        trouble =
            o.busy ? Trouble{Problem::http_error, "HTTP 503: busy"} : Trouble{Problem::rate_limited, "rate limited"};
        return absl::UnavailableError(trouble.why);
      }
      break;
    case Outcome::Kind::gaps:
      count(i, Result::gaps);
      update(i, [&](Endpoint& e) { e.on_gaps(w, n, o.answered, now); });
      break;
    case Outcome::Kind::answered:
      count(i, Result::ok);
      update(i, [&](Endpoint& e) { e.on_answered(w, n, now, r.elapsed); });
      break;
  }
  counters_[i].received.inc(static_cast<double>(size));
  return Reply{std::move(o.answers), size, *std::move(share)};
}

absl::StatusOr<Reply> Pool::call(const Turn& turn, const std::vector<jsonrpc::Call>& calls, const Allowance& allowance,
                                 const Cancelled& cancelled) {
  Trouble trouble;
  auto reply = exchange(turn.endpoint, turn.work, calls, allowance, cancelled, trouble);
  if (reply.ok()) {
    std::lock_guard lock{mutex_};
    progress_ = steady_now();
  }
  return reply;
}

absl::StatusOr<Reply> Pool::poll(std::size_t i, const std::vector<jsonrpc::Call>& calls, Asked what, Trouble& trouble) {
  update(i, [&](Endpoint& e) { e.on_request(Work::poll, calls.size(), steady_now()); });
  // A poll may hold the answers before: it does not wait for ever.
  const absl::Time limit = steady_now() + timeout_ * 2;
  return exchange(
      i, Work::poll, calls, allowance_of(what, calls.size()), [limit] { return steady_now() > limit; }, trouble);
}

void Pool::update(std::size_t i, const std::function<void(Endpoint&)>& change) {
  {
    std::lock_guard lock{mutex_};
    change(*endpoints_[i]);
  }
  changed_.notify_all();
}

void Pool::useless(std::size_t i, Problem problem, const std::string& why) {
  count(i, Result::unusable);
  update(i, [&](Endpoint& e) { e.on_useless_answer(steady_now(), {problem, why}); });
}

bool Pool::note_absent(std::size_t i, std::uint64_t number, jsonrpc::Absence absence) {
  bool gone = absence == jsonrpc::Absence::pruned;
  update(i, [&](Endpoint& e) {
    if (gone) e.on_gone(steady_now(), number);
    else gone = e.on_missing(steady_now(), number);
  });
  return gone;
}

std::optional<contract::SourceTrouble> Pool::trouble(bool (*concerned)(contract::EndpointKind)) const {
  std::lock_guard lock{mutex_};
  const absl::Time now = steady_now();
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const Endpoint& e = *endpoints_[i];
    if (e.kind() != contract::EndpointKind::unknown && !concerned(e.kind())) continue;
    const Trouble t = e.trouble(now);
    if (!t) continue;
    return contract::SourceTrouble{std::string{reason_code(t.problem)},
                                   absl::StrCat(names_[i], ": ", t.why, ". ", advice(t.problem))};
  }
  return std::nullopt;
}

bool Pool::nothing_asked_yet() const {
  std::lock_guard lock{mutex_};
  const absl::Time now = steady_now();
  return std::all_of(endpoints_.begin(), endpoints_.end(),
                     [&](const auto& e) { return e->trouble(now).problem == Problem::not_asked; });
}

bool Pool::most_serve_bad_data() const {
  std::lock_guard lock{mutex_};
  const absl::Time now = steady_now();
  std::size_t all = 0;
  std::size_t bad = 0;
  for (const auto& e : endpoints_) {
    const Problem p = e->trouble(now).problem;
    if (!contract::serves_blocks(e->kind()) && p != Problem::not_asked) continue;
    ++all;
    if (p == Problem::bad_data) ++bad;
  }
  return bad * 2 > all;
}

std::optional<contract::SourceTrouble> Pool::blocks_trouble() const {
  if (blocks_served_) return std::nullopt;
  if (auto t = trouble(contract::serves_blocks)) return t;
  return contract::SourceTrouble{"no_blocks", "no source serves the blocks that are needed; see `towline endpoints`"};
}

void Pool::report_bad_data(std::size_t i, const std::string& what, const std::string& evidence) {
  bool news = false;
  update(i, [&](Endpoint& e) { news = e.quarantine(steady_now(), absl::StrCat(what, ": ", evidence)); });
  if (!news) return;
  counters_[i].integrity_failures.inc();
  log::error("endpoint quarantined: it served what does not verify",
             {log::kv("endpoint", name(i)), log::kv("what", what), log::kv("evidence", evidence)});
  keep_evidence(i, what, evidence);
}

void Pool::hold(std::size_t i, const std::string& evidence) {
  update(i, [&](Endpoint& e) { e.hold(steady_now(), evidence); });
  counters_[i].other_branch.inc();
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
    // What cannot be put away must not grow for ever.
    if (ec) return log::warn("the evidence is not kept", {log::kv("why", ec.message())});
  }
  const std::string line =
      nlohmann::json{
          {"time_ms", absl::ToUnixMillis(absl::Now())}, {"endpoint", name(i)}, {"what", what}, {"evidence", evidence}}
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  if (const auto st = append_private(evidence_file_, line); !st.ok())
    log::warn("the evidence is not kept", {log::kv("why", st)});
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
