// JSON-RPC 2.0 as values: requests and batches out, answers in. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace towline::jsonrpc {

/// `params` is a JSON array, written as it is.
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
  /// `data.err` (geth's detail), or `data` where that is a string; else empty.
  std::string detail;
  /// Seconds to wait that the error names in `data.rate.backoff_seconds`; 0: none.
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
  /// For a request (`batch` false, count 1) or a batch of `count` calls. An id with two different answers counts as
  /// missing, a strange one is ignored; in a batch a number as string is accepted. INVALID_ARGUMENT: not JSON-RPC (an
  /// HTML page, a proxy's text, a result beside an error), or a single answer for another id. A single error object as
  /// answer to a batch is in `whole_batch_error`.
  static absl::StatusOr<Answers> parse(const std::string& body, std::size_t count, bool batch);

  std::vector<Answer> answers;
  bool whole_batch_error = false;
  Error batch_error;

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;
};

/// The error says that a label or block is not set or not known there.
bool is_not_found(const Error& e);
/// The block was there once and is gone (EIP-4444 and the like).
bool is_pruned(const Error& e);
/// What the answer to a question for a block says of its absence: null or is_not_found(), or is_pruned().
enum class Absence { none, absent, pruned };
Absence absence(const Answer& a);
/// The error is a rate limit.
bool is_rate_limit(const Error& e);
/// The code of a rate limit that some servers use for batches that are too large, too.
bool may_be_batch_limit(const Error& e);
/// The method does not exist there, or is not allowed.
bool is_unsupported(const Error& e);
/// The batch or its answer is too large, or batches are not taken at all: ask for less at once.
bool is_too_large(const Error& e);

}  // namespace towline::jsonrpc
