// Bodies of blocks whose headers are known, from the pool, each verified against its header. Blocking, thread
// safe: for workers.
#pragma once
#include <absl/status/statusor.h>

#include <span>
#include <vector>

#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/body_window.hpp"

namespace towline::fetcher {

class Bodies {
 public:
  Bodies(Pool& pool, const Heads& heads, Metrics& metrics);

  /// The payloads of `wanted`, in order, whose answers are expected to take this many bytes (0: nothing is known); adds
  /// what they took to `bytes`. NOT_FOUND: no source has one of
  /// them. UNAVAILABLE: sources failed for longer than is reasonable, or nobody serves what verifies.
  absl::StatusOr<std::vector<Served>> fetch(std::span<const HashedHeader> wanted, std::size_t expected,
                                            const Cancelled& cancelled, std::size_t& bytes);

 private:
  /// The transactions of one block from an answer to a question by hash or by number. NOT_FOUND, DATA_LOSS (does not
  /// verify), UNIMPLEMENTED (cannot be had that way: of JSON, `unreadable` is the number of its transactions),
  /// UNAVAILABLE.
  static absl::StatusOr<std::vector<Bytes>> read(const jsonrpc::Answer& answer, bool raw, bool by_number,
                                                 const HashedHeader& wanted, std::size_t& unreadable);
  /// Transactions that JSON cannot give, one by one in raw form.
  absl::StatusOr<std::vector<Bytes>> raw_transactions(std::size_t i, const HashedHeader& wanted, std::size_t count,
                                                      std::size_t usual, const Cancelled& cancelled);

  Pool& pool_;
  const Heads& heads_;
  Metrics::Counter blocks_, refetched_;
};

}  // namespace towline::fetcher
