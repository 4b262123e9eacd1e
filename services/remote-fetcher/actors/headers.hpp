// Headers from the pool: by number, by hash, and for the proof of a window. Hashes are always recomputed. Lives in the
// dispatcher; verifiers do the hashing.
#pragma once
#include <absl/status/statusor.h>

#include <map>
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
  /// Headers of `numbers` (ascending, without duplicates), all from one endpoint (`prefer` first); heights that it
  /// lacks are left out.
  Task<absl::StatusOr<View>> by_numbers(std::vector<std::uint64_t> numbers, std::optional<std::size_t> prefer,
                                        CancelPtr cancelled);
  /// NOT_FOUND: no source has the block. UNAVAILABLE: no source could be asked.
  Task<absl::StatusOr<eth::Header>> by_hash(Hash32 hash, CancelPtr cancelled);
  /// The block at `number` by elect() over all usable ELs, which are asked in parallel. An endpoint with another block
  /// is held, or reported as bad data if the height is final. ABORTED: no block is elected. UNAVAILABLE: no endpoint
  /// answers.
  Task<absl::StatusOr<eth::BlockId>> border(std::uint64_t number, CancelPtr cancelled);
  /// The blocks of an endpoint at some heights, or why it did not answer.
  struct Heard {
    Testimony testimony;
    std::string silence;
  };
  /// Asks one endpoint. `numbers` as above.
  Task<Heard> ask(std::size_t endpoint, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// Some headers of a window, from any endpoint.
  Task<WindowProof::Headers> batch_of(std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// The header for a gap and some headers below it, from an endpoint other than the suspect; else the header alone, by
  /// hash.
  Task<absl::StatusOr<WindowProof::Closed>> close(WindowProof::AskGap ask, CancelPtr cancelled);
  /// Checks linked headers: are they on the quorum's chain, and do they obey the rules? Suspects are held, or reported
  /// as bad data if the range settles their height.
  Task<absl::Status> judge(std::shared_ptr<const std::vector<HashedHeader>> linked, std::vector<Suspect> suspects);

 private:
  /// An endpoint's answer for one height.
  struct Found {
    enum class Kind { unanswered, absent, header } kind = Kind::unanswered;
    HashedHeader header;
    jsonrpc::Absence absence = jsonrpc::Absence::none;
  };
  using Founds = std::vector<Found>;
  /// Runs on a verifier. UNAVAILABLE: an answer cannot be used. DATA_LOSS: an answer does not verify.
  static absl::StatusOr<Founds> read(const jsonrpc::Answers& answers, const std::vector<std::uint64_t>& numbers);
  /// Makes the request of a turn; one result per number. DATA_LOSS: an answer does not verify. `from`: set to the
  /// endpoint that answered, which differs from the turn's only with a hedge; must outlive the task.
  Task<absl::StatusOr<Founds>> batch(Turn turn, std::vector<std::uint64_t> numbers, bool urgent, CancelPtr cancelled,
                                     std::optional<Hedge> hedge = {}, std::size_t* from = nullptr);
  /// All of `numbers` from the endpoint of `turn`, in as many requests as needed.
  Task<absl::StatusOr<View>> view_of(Turn turn, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// The endpoint's block at `number`; `out` stays unchanged if it lacks the block or does not answer.
  Task<void> block_at(std::size_t endpoint, std::uint64_t number, std::map<std::size_t, Hash32>* out,
                      CancelPtr cancelled);
  /// The blocks of endpoint `i` at `numbers`; those of a CL by its outputs.
  Task<absl::StatusOr<Testimony>> ask_el(std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  Task<absl::StatusOr<Testimony>> ask_cl(std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// The requirements of a request that a caller waits for.
  static Wanted question(std::size_t calls, absl::Time since);
  const fork_watch_actor forks_;
  Pool& pool_;
  const Heads& heads_;
};

}  // namespace towline::fetcher
