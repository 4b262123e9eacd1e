// Bodies of blocks whose headers are known, from the pool, each verified against its header. It lives in the
// dispatcher; reading and hashing is the verifiers' work.
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

  /// The payloads of `wanted`, in order, whose answers are expected to take this many bytes (0: nothing is known); adds
  /// what they took to `bytes`, which outlives the task. NOT_FOUND: no source has one of them. UNAVAILABLE: sources
  /// failed for longer than is reasonable, or nobody serves what verifies. `urgent`: a caller waits for this alone.
  Task<absl::StatusOr<std::vector<Served>>> fetch(std::vector<HashedHeader> wanted, std::size_t expected, bool urgent,
                                                  CancelPtr cancelled, std::size_t* bytes);

 private:
  using Transactions = std::vector<Bytes>;
  /// A block that one call asks for, and what came of it.
  struct Question {
    HashedHeader wanted;
    bool by_number = false;
  };
  struct Result {
    /// NOT_FOUND, DATA_LOSS (does not verify), UNIMPLEMENTED (cannot be had that way: of JSON, `unreadable` is the
    /// number of its transactions), UNAVAILABLE.
    absl::StatusOr<eth::Payload> payload = absl::UnavailableError("no answer");
    jsonrpc::Absence absence = jsonrpc::Absence::none;
    std::size_t unreadable = 0;
    std::size_t transactions = 0, raw_bytes = 0;
  };
  using Results = std::vector<Result>;
  /// On a verifier: the answers to `questions`, up to the first that is of no use. A call without an answer leaves
  /// UNAVAILABLE, and is told from others by its answer.
  static Results read_all(const jsonrpc::Answers& answers, bool raw, const std::vector<Question>& questions);
  static absl::StatusOr<Transactions> read(const jsonrpc::Answer& answer, bool raw, const Question& q,
                                           std::size_t& unreadable);
  static Result result_of(absl::StatusOr<Transactions> transactions, const HashedHeader& wanted);
  /// Transactions that JSON cannot give, one by one in raw form.
  Task<absl::StatusOr<Transactions>> raw_transactions(std::size_t i, HashedHeader wanted, std::size_t count,
                                                      std::size_t usual, CancelPtr cancelled);

  Pool& pool_;
  const Heads& heads_;
  Metrics::Counter blocks_, refetched_;
};

}  // namespace towline::fetcher
