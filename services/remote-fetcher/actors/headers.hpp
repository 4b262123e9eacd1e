// Headers from the pool: by number, by hash, and what a proof of a window asks for. Hashes are always recomputed.
// Blocking, thread safe: for workers.
#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <span>
#include <vector>

#include "services/remote-fetcher/actors/fork_watch.hpp"
#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/window_proof.hpp"

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
  /// What an endpoint has at `number`; nullopt: it does not have it, or says nothing.
  std::optional<Hash32> block_at(std::size_t endpoint, std::uint64_t number, const Cancelled& cancelled);
  /// The block at `number` by elect() of what the endpoints have; who has another is charged. ABORTED: there is none.
  /// UNAVAILABLE: nobody answers.
  absl::StatusOr<eth::BlockId> border(std::uint64_t number, const std::map<std::size_t, Hash32>& answers,
                                      bool cancelled);
  /// What an endpoint has at some heights, or why it said nothing.
  struct Heard {
    Testimony testimony;
    std::string silence;
  };
  /// One endpoint, asked for itself. `numbers` as above.
  Heard ask(std::size_t endpoint, const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled);
  /// Some headers of a window, from whoever has them.
  WindowProof::Headers batch_of(std::vector<std::uint64_t> numbers, const Cancelled& cancelled);
  /// The header for a gap, and some below it, from another endpoint than the suspect; else by hash.
  absl::StatusOr<WindowProof::Closed> close(const WindowProof::AskGap& ask, const Cancelled& cancelled);
  /// Headers that link: of the chain that a quorum has, and good by the rules? Who has another branch is charged.
  absl::Status judge(const std::vector<HashedHeader>& linked, const std::vector<Suspect>& suspects);

 private:
  /// What an endpoint says of one height.
  struct Found {
    enum class Kind { unanswered, absent, header } kind = Kind::unanswered;
    HashedHeader header;
  };
  /// The request of a turn, one answer a number. DATA_LOSS: one does not verify.
  absl::StatusOr<std::vector<Found>> batch(const Turn& turn, std::span<const std::uint64_t> numbers,
                                           const Cancelled& cancelled);
  /// All of `numbers` from the endpoint of `turn`, in as many requests as it needs.
  absl::StatusOr<View> view_of(Turn turn, const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled);
  /// What endpoint `i` has at `numbers`; of a CL by its outputs.
  absl::StatusOr<Testimony> ask_el(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                   const Cancelled& cancelled);
  absl::StatusOr<Testimony> ask_cl(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                   const Cancelled& cancelled);
  const fork_watch_actor forks_;
  Pool& pool_;
  const Heads& heads_;
};

}  // namespace towline::fetcher
