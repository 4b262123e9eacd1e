// JSON-RPC 2.0 as values: requests and batches out, answers in. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace towline::jsonrpc {

/// A method and its parameters; `params` is a JSON array that is copied unchanged.
struct Call {
  std::string method;
  std::string params;
};

/// One request with id 0.
std::string request(const Call& call);
/// A batch with ids 0 .. n-1.
std::string batch(const std::vector<Call>& calls);

struct Error {
  std::int64_t code = 0;
  std::string message;
  /// `data.err` (geth's detail), or `data` if that is a string; else empty.
  std::string detail;
  /// Seconds to wait, from `data.rate.backoff_seconds` of the error; 0: none.
  double backoff_s = 0;
};

/// The answer to one call: a result, an error, or nothing at all (a batch answer may leave ids out).
struct Answer {
  enum class Kind { missing, result, error } kind = Kind::missing;
  simdjson::dom::element result;  // valid as long as the Answers object lives
  Error error;
};

/// The parsed body of an answer. Owns the parser that its elements point into.
class Answers {
 public:
  /// Parses the answer to a request (`batch` false, count 1) or to a batch of `count` calls. An id with two different
  /// answers counts as missing, an unknown id is ignored, and a number as a string is accepted as an id.
  /// INVALID_ARGUMENT: not JSON-RPC (an HTML page, a proxy's text, a result beside an error), or a single answer with
  /// another id. A single error object in answer to a batch sets `whole_batch_error`.
  static absl::StatusOr<Answers> parse(const std::string& body, std::size_t count, bool batch);

  std::vector<Answer> answers;
  bool whole_batch_error = false;
  Error batch_error;

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;
};

/// The content of a JSON string; empty for any other value.
absl::string_view text(simdjson::dom::element e);

/// The error says that the node does not have a label or a block.
bool is_not_found(const Error& e);
/// The block was there once and is gone (EIP-4444 and the like).
bool is_pruned(const Error& e);
/// Whether an answer says that a block is missing. `absent`: null or is_not_found(); `pruned`: is_pruned().
enum class Absence { none, absent, pruned };
Absence absence(const Answer& a);
/// The error is a rate limit.
bool is_rate_limit(const Error& e);
/// The code is one of rate limits that some servers also use for batches that are too large.
bool may_be_batch_limit(const Error& e);
/// The server does not have the method, or does not allow it.
bool is_unsupported(const Error& e);
/// The batch or its answer is too large, or the server takes no batches: ask for less at once.
bool is_too_large(const Error& e);

}  // namespace towline::jsonrpc
