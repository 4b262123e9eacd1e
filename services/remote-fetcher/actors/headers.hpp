// Headers from the pool: by number, by hash, and what a proof of a window asks for. Hashes are always recomputed. It
// lives in the dispatcher; hashing is the verifiers' work.
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
  /// Headers of `numbers` (ascending, each once), all from one endpoint (`prefer` first); heights that it has not are
  /// left out.
  Task<absl::StatusOr<View>> by_numbers(std::vector<std::uint64_t> numbers, std::optional<std::size_t> prefer,
                                        CancelPtr cancelled);
  /// NOT_FOUND: no source has it. UNAVAILABLE: no source could be asked.
  Task<absl::StatusOr<eth::Header>> by_hash(Hash32 hash, CancelPtr cancelled);
  /// The block at `number` by elect() of what the endpoints have, each asked at once; who has another is charged.
  /// ABORTED: there is none. UNAVAILABLE: nobody answers.
  Task<absl::StatusOr<eth::BlockId>> border(std::uint64_t number, CancelPtr cancelled);
  /// What an endpoint has at some heights, or why it said nothing.
  struct Heard {
    Testimony testimony;
    std::string silence;
  };
  /// One endpoint, asked for itself. `numbers` as above.
  Task<Heard> ask(std::size_t endpoint, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// Some headers of a window, from whoever has them.
  Task<WindowProof::Headers> batch_of(std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// The header for a gap, and some below it, from another endpoint than the suspect; else by hash.
  Task<absl::StatusOr<WindowProof::Closed>> close(WindowProof::AskGap ask, CancelPtr cancelled);
  /// Headers that link: of the chain that a quorum has, and good by the rules? Who has another branch is charged.
  Task<absl::Status> judge(std::shared_ptr<const std::vector<HashedHeader>> linked, std::vector<Suspect> suspects);

 private:
  /// What an endpoint says of one height.
  struct Found {
    enum class Kind { unanswered, absent, header } kind = Kind::unanswered;
    HashedHeader header;
    jsonrpc::Absence absence = jsonrpc::Absence::none;
  };
  using Founds = std::vector<Found>;
  /// On a verifier. UNAVAILABLE: an answer is of no use. DATA_LOSS: one does not verify.
  static absl::StatusOr<Founds> read(const jsonrpc::Answers& answers, const std::vector<std::uint64_t>& numbers);
  /// The request of a turn, one answer a number. DATA_LOSS: one does not verify.
  /// `from`: who answered, which is another than the turn's only with a hedge. It outlives the task.
  Task<absl::StatusOr<Founds>> batch(Turn turn, std::vector<std::uint64_t> numbers, bool urgent, CancelPtr cancelled,
                                     std::optional<Hedge> hedge = {}, std::size_t* from = nullptr);
  /// All of `numbers` from the endpoint of `turn`, in as many requests as it needs.
  Task<absl::StatusOr<View>> view_of(Turn turn, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// What an endpoint has at `number`; nothing is set where it does not have it, or says nothing.
  Task<void> block_at(std::size_t endpoint, std::uint64_t number, std::map<std::size_t, Hash32>* out,
                      CancelPtr cancelled);
  /// What endpoint `i` has at `numbers`; of a CL by its outputs.
  Task<absl::StatusOr<Testimony>> ask_el(std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  Task<absl::StatusOr<Testimony>> ask_cl(std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled);
  /// For a question of a caller.
  static Wanted question(std::size_t calls, absl::Time since);
  const fork_watch_actor forks_;
  Pool& pool_;
  const Heads& heads_;
};

}  // namespace towline::fetcher
