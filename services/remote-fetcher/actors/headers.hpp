// Headers from the pool: by number, by hash, and runs of them proven to link. Hashes are always recomputed. Blocking,
// thread safe.
#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "services/remote-fetcher/actors/fork_watch.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

class Headers {
 public:
  Headers(fork_watch_actor forks, Pool& pool, const Heads& heads)
      : forks_{std::move(forks)}, pool_{pool}, heads_{heads} {}

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
  /// The block at `number` by elect(); who has another is charged. ABORTED: there is none. UNAVAILABLE: nobody answers.
  absl::StatusOr<eth::BlockId> agreed(std::uint64_t number, const Cancelled& cancelled);
  /// What an endpoint has at some heights, or why it said nothing.
  struct Heard {
    Testimony testimony;
    std::string silence;
  };
  /// Every endpoint, each asked for itself and waited for a few seconds, in the order of the pool. `numbers` as above.
  std::vector<Heard> ask_each(const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled);
  /// The headers parent+1 .. tip, linked. Errors as StreamPayloads has them.
  absl::StatusOr<std::vector<HashedHeader>> prove(const eth::BlockId& parent, const eth::BlockId& tip,
                                                  const Cancelled& cancelled);
  /// The hashes at `lowest`, lowest + width, ... below the tip, found by the headers alone, from the tip down.
  absl::StatusOr<std::map<std::uint64_t, Hash32>> walk(std::uint64_t lowest, std::uint64_t width,
                                                       const eth::BlockId& tip, const Cancelled& cancelled);

 private:
  /// What an endpoint says of one height.
  struct Found {
    enum class Kind { unanswered, absent, header } kind = Kind::unanswered;
    HashedHeader header;
  };
  /// An endpoint that has another block in a range than the one that was proven there.
  struct Suspect {
    std::size_t endpoint;
    std::uint64_t number;
    std::string evidence;
  };
  /// The request of a turn, one answer a number. DATA_LOSS: one does not verify.
  absl::StatusOr<std::vector<Found>> batch(const Turn& turn, std::span<const std::uint64_t> numbers,
                                           const Cancelled& cancelled);
  /// All of `numbers` from the endpoint of `turn`, in as many requests as it needs.
  absl::StatusOr<View> view_of(Turn turn, const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled);
  /// The headers first .. tip, linked.
  absl::StatusOr<std::vector<HashedHeader>> link(std::uint64_t first, const eth::BlockId& tip,
                                                 const Cancelled& cancelled);
  /// What endpoint `i` has at `numbers`; of a CL by its outputs.
  absl::StatusOr<Testimony> ask_el(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                   const Cancelled& cancelled);
  absl::StatusOr<Testimony> ask_cl(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                   const Cancelled& cancelled);
  /// Whatever the endpoints have in the proof's range, as fast as they give it.
  absl::Status fill(ChainProof& proof, const Cancelled& cancelled);
  /// Puts what was kept of the proof's range, and keeps it no longer.
  void use_kept(ChainProof& proof);
  void keep(std::vector<HashedHeader> headers);
  /// The header for a gap, and some below it, from another endpoint than the suspect; else by hash.
  absl::Status close(ChainProof& proof, const ChainProof::Gap& gap, const eth::BlockId& tip,
                     std::vector<Suspect>& suspects, const Cancelled& cancelled);

  const fork_watch_actor forks_;
  Pool& pool_;
  const Heads& heads_;
  /// Headers of ranges whose proof failed, by number: the next try goes on from there. Bounded by a window.
  std::mutex kept_mutex_;
  std::map<std::uint64_t, HashedHeader> kept_;
};

}  // namespace towline::fetcher
