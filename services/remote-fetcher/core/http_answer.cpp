#include "services/remote-fetcher/core/http_answer.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::fetcher {
namespace {

using Kind = Outcome::Kind;
using jsonrpc::Answer;

/// The same limit as for a Retry-After header.
constexpr double kLongestWaitSeconds = 300;

std::string http(long status) { return absl::StrCat("HTTP ", status); }

std::optional<absl::Duration> wait_of(const HttpAnswer& a, const jsonrpc::Error& e) {
  if (a.retry_after) return a.retry_after;
  if (e.backoff_s > 0) return absl::Seconds(std::min(e.backoff_s, kLongestWaitSeconds));
  return std::nullopt;
}

bool busy(const HttpAnswer& a) { return a.status == 503 && a.retry_after; }

/// The server asks, explicitly or not, to come again later.
bool later(const HttpAnswer& a) { return a.status == 429 || busy(a); }

/// The server failed; the same call may succeed the next time.
bool transient(const HttpAnswer& a, const jsonrpc::Error& e) {
  return (a.status == 408 || a.status >= 500) && !jsonrpc::is_unsupported(e) && !jsonrpc::is_not_found(e) &&
         !jsonrpc::is_pruned(e);
}

/// The status refuses the caller and not the call, whatever the body says.
bool refuses_caller(long status) { return status == 401 || status == 402; }

Outcome without_json_rpc(const HttpAnswer& a, std::size_t calls, absl::string_view why) {
  Outcome out;
  if (later(a)) {
    out.kind = Kind::rate_limited;
    out.busy = busy(a);
    out.wait = a.retry_after;
    return out;
  }
  const Problem p = problem_of_status(a.status);
  out.trouble = {p, a.status == 200 ? std::string{why} : http(a.status)};
  out.kind = calls > 1 && p != Problem::redirects ? Kind::batch_failed : Kind::failed;
  // Gateways use these statuses to refuse a method that they do not forward.
  if (calls == 1 && (a.status == 404 || a.status == 405 || a.status == 415)) {
    out.trouble = {};
    out.kind = Kind::answered;
    out.answers.answers.resize(1);
    out.answers.answers[0].kind = Answer::Kind::error;
    out.answers.answers[0].error = {-32601, http(a.status), {}, 0};
    out.answered = 1;
  }
  return out;
}

Outcome single(const HttpAnswer& a, jsonrpc::Answers answers) {
  Outcome out;
  out.answers = std::move(answers);
  const Answer& answer = out.answers.answers[0];
  if (answer.kind == Answer::Kind::error) {
    if (later(a) || jsonrpc::is_rate_limit(answer.error)) {
      out.kind = Kind::rate_limited;
      out.busy = busy(a);
      out.wait = wait_of(a, answer.error);
      return out;
    }
    if (refuses_caller(a.status) || transient(a, answer.error)) {
      out.trouble = {problem_of_status(a.status), absl::StrCat(http(a.status), ": ", answer.error.message)};
      return out;
    }
  }
  out.kind = Kind::answered;
  out.answered = 1;
  return out;
}

/// One object for the whole batch, or one error per call that is not about the call.
Outcome whole_batch(const HttpAnswer& a, const jsonrpc::Error& e) {
  Outcome out;
  if (later(a) || (jsonrpc::is_rate_limit(e) && !jsonrpc::may_be_batch_limit(e))) {
    out.kind = Kind::rate_limited;
    out.busy = busy(a);
    out.wait = wait_of(a, e);
    return out;
  }
  out.kind = Kind::batch_failed;
  out.trouble = {a.status == 200 ? Problem::not_json_rpc : problem_of_status(a.status),
                 absl::StrCat("the batch was refused: ", e.message)};
  return out;
}

Outcome batch(const HttpAnswer& a, jsonrpc::Answers answers) {
  if (answers.whole_batch_error) return whole_batch(a, answers.batch_error);
  Outcome out;
  std::size_t limited = 0;
  std::size_t missing = 0;
  std::size_t refused = 0;
  jsonrpc::Error limit;
  jsonrpc::Error refusal;
  for (Answer& x : answers.answers) {
    if (x.kind == Answer::Kind::missing) ++missing;
    if (x.kind != Answer::Kind::error) continue;
    if (jsonrpc::is_rate_limit(x.error)) {
      ++limited;
      limit = x.error;
      x = Answer{};
    } else if (jsonrpc::is_too_large(x.error) || (a.status != 200 && !jsonrpc::is_unsupported(x.error))) {
      ++refused;
      refusal = x.error;
      x = Answer{};
    }
  }
  const std::size_t total = answers.answers.size();
  // go-ethereum returns the single error for an oversized batch in place of the first call's answer.
  const auto none = std::none_of(answers.answers.begin(), answers.answers.end(),
                                 [](const Answer& x) { return x.kind == Answer::Kind::result; });
  if (none && missing > 0 && missing < total && limited == 0) {
    for (const Answer& x : answers.answers) {
      if (x.kind == Answer::Kind::error) return whole_batch(a, x.error);
    }
  }
  out.answered = total - missing - limited - refused;
  if (out.answered == 0 && refused > 0) return whole_batch(a, refusal);
  if (out.answered == 0 && limited > 0 && jsonrpc::may_be_batch_limit(limit) && a.status != 429)
    return whole_batch(a, limit);
  if (limited > 0 || (later(a) && out.answered < total)) {
    out.kind = Kind::rate_limited;
    out.by_call = limited > 0;
    out.wait = wait_of(a, limit);
  } else if (out.answered == total) {
    out.kind = Kind::answered;
  } else if (out.answered > 0) {
    out.kind = Kind::gaps;
  } else {
    out.kind = Kind::batch_failed;
    out.trouble = {Problem::not_json_rpc, "no call of the batch has an answer"};
  }
  out.answers = std::move(answers);
  return out;
}

}  // namespace

Outcome read_http_answer(const HttpAnswer& a, std::size_t calls) {
  // The body of a redirect is a page for humans.
  auto answers = a.status >= 300 && a.status < 400 ? absl::StatusOr<jsonrpc::Answers>{absl::InvalidArgumentError("")}
                                                   : jsonrpc::Answers::parse(a.body, calls, calls > 1);
  if (!answers.ok()) return without_json_rpc(a, calls, answers.status().message());
  return calls > 1 ? batch(a, *std::move(answers)) : single(a, *std::move(answers));
}

}  // namespace towline::fetcher
