// Headers from the pool: by number, by hash, and runs of them proven to link. Hashes are always recomputed. Blocking,
// thread safe.
#pragma once
#include <absl/status/statusor.h>

#include <span>
#include <vector>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/actors/head_board.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

/// How long one question may fail at every endpoint before a call gives up.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

class Headers {
 public:
  Headers(const rollup::Config& config, Pool& pool, HeadBoard& board) : config_{config}, pool_{pool}, board_{board} {}

  struct View {
    std::vector<eth::BlockRef> headers;
    std::string endpoint;
  };
  /// Headers of `numbers` (ascending, each once), all from one endpoint (`prefer` first); heights that it has not are
  /// left out.
  absl::StatusOr<View> by_numbers(const std::vector<std::uint64_t>& numbers, std::optional<std::size_t> prefer,
                                  const Cancelled& cancelled);
  /// NOT_FOUND: no source has it. UNAVAILABLE: no source could be asked.
  absl::StatusOr<eth::Header> by_hash(const Hash32& hash, const Cancelled& cancelled);
  /// The block at `number` that every endpoint agrees on that answers. UNAVAILABLE: they disagree, or nobody answers.
  absl::StatusOr<eth::BlockId> agreed(std::uint64_t number, const Cancelled& cancelled);
  /// The headers parent+1 .. tip, linked, with the shape of their forks. Errors as StreamPayloads has them.
  absl::StatusOr<std::vector<HashedHeader>> prove(const eth::BlockId& parent, const eth::BlockId& tip,
                                                  const Cancelled& cancelled);

 private:
  /// One batch from endpoint `i`, whose slot is taken; absent ones are nullopt. DATA_LOSS: one does not verify.
  absl::StatusOr<std::vector<std::optional<HashedHeader>>> batch(std::size_t i, std::span<const std::uint64_t> numbers,
                                                                 const Cancelled& cancelled);
  /// All of `numbers` from endpoint `i`, whose slot is taken, in as many batches as it needs.
  absl::StatusOr<View> view_of(std::size_t i, const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled);
  /// Whatever the endpoints have in the proof's range, as fast as they give it.
  absl::Status fill(ChainProof& proof, const Cancelled& cancelled);
  /// The header for a gap, and some below it, from another endpoint than the suspect; else by hash.
  absl::Status close(ChainProof& proof, const ChainProof::Gap& gap, const eth::BlockId& tip,
                     const Cancelled& cancelled);

  const rollup::Config& config_;
  Pool& pool_;
  HeadBoard& board_;
};

}  // namespace towline::fetcher
