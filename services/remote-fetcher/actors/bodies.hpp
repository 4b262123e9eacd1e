// Bodies of blocks whose headers are known, fetched through the pool and verified against the headers. Lives in the
// dispatcher; verifiers do the parsing and hashing.
#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <vector>

#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/body_window.hpp"

namespace towline::fetcher {

class Bodies {
 public:
  Bodies(Pool& pool, const Heads& heads, Metrics& metrics);

  /// The payloads of `wanted`, in order. `expected`: the probable size of the answers, 0 if unknown. Adds their actual
  /// size to `bytes`, which must outlive the task. NOT_FOUND: no source has one of the blocks. UNAVAILABLE: sources
  /// failed for too long, or none serves a body that verifies. `urgent`: a caller waits for this answer.
  Task<absl::StatusOr<std::vector<Served>>> fetch(std::vector<HashedHeader> wanted, std::size_t expected, bool urgent,
                                                  CancelPtr cancelled, std::size_t* bytes);

 private:
  using Transactions = std::vector<Bytes>;
  /// A block that a call asks for.
  struct Question {
    HashedHeader wanted;
    bool by_number = false;
  };
  /// The answer to one call.
  struct Result {
    /// NOT_FOUND, DATA_LOSS (does not verify), UNIMPLEMENTED (not available in this form; for JSON, `unreadable` is the
    /// number of transactions), UNAVAILABLE.
    absl::StatusOr<eth::Payload> payload = absl::UnavailableError("no answer");
    jsonrpc::Absence absence = jsonrpc::Absence::none;
    std::size_t unreadable = 0;
    std::size_t transactions = 0, raw_bytes = 0;
  };
  using Results = std::vector<Result>;
  /// Runs on a verifier. Reads the answers to `questions` up to the first unusable one. Calls without an answer are
  /// UNAVAILABLE; their answers are `missing`.
  static Results read_all(const jsonrpc::Answers& answers, bool raw, const std::vector<Question>& questions);
  static absl::StatusOr<Transactions> read(const jsonrpc::Answer& answer, bool raw, const Question& q,
                                           std::size_t& unreadable);
  static Result result_of(absl::StatusOr<Transactions> transactions, const HashedHeader& wanted);
  /// Fetches, one by one in raw form, the transactions of a block whose JSON cannot be read.
  Task<absl::StatusOr<Transactions>> raw_transactions(std::size_t i, HashedHeader wanted, std::size_t count,
                                                      std::size_t usual, CancelPtr cancelled);

  Pool& pool_;
  const Heads& heads_;
  Metrics::Counter blocks_, refetched_;
};

}  // namespace towline::fetcher
