// One window of headers on its way to a proof: batches asked for by number, then what is missing or of another branch,
// one gap after the other from the tip down, then the judgement of the whole. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <deque>
#include <variant>
#include <vector>

#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

/// An endpoint that has another block in a range than the one that was proven there.
struct Suspect {
  std::size_t endpoint = 0;
  std::uint64_t number = 0;
  std::string evidence;
};

/// A header, and who gave it.
struct GivenHeader {
  HashedHeader header;
  std::size_t endpoint = 0;
};
/// A header that no endpoint is answerable for.
inline constexpr std::size_t kNobody = SIZE_MAX;

class WindowProof {
 public:
  /// Of the headers first .. tip.number, at least one. `kept`: of an earlier try.
  WindowProof(std::uint64_t first, const eth::BlockId& tip, std::vector<HashedHeader> kept);

  struct AskHeaders {
    std::vector<std::uint64_t> numbers;
  };
  /// The header of a gap, and what is below it down to `lowest`.
  struct AskGap {
    ChainProof::Gap gap;
    std::uint64_t lowest = 0;
    eth::BlockId tip;
  };
  /// The whole, linked: is it of the chain that a quorum has, does it keep the rules?
  struct Judge {
    std::shared_ptr<const std::vector<HashedHeader>> headers;
    std::vector<Suspect> suspects;
  };
  using Ask = std::variant<AskHeaders, AskGap, Judge>;
  /// What to ask for now beside what is under way.
  std::optional<Ask> next();

  struct Headers {
    absl::Status status;
    /// Those that came before a failure, too.
    std::vector<GivenHeader> found;
  };
  void on_headers(Headers got);
  struct Closed {
    std::vector<GivenHeader> found;
    std::optional<Suspect> suspect;
  };
  void on_gap(absl::StatusOr<Closed> got);
  void on_judged(const absl::Status& st);

  /// How it ended; nullopt: it goes on.
  std::optional<absl::StatusOr<std::shared_ptr<const std::vector<HashedHeader>>>> result() const { return result_; }
  /// What has come, for another try: nothing once all of it had.
  std::vector<HashedHeader> give_up() &&;

 private:
  static constexpr std::size_t kBatch = 100, kMostBatches = 16;
  const eth::BlockId tip_;
  ChainProof proof_;
  std::deque<std::vector<std::uint64_t>> left_;
  std::size_t out_ = 0;
  bool filled_ = false;
  absl::Status failure_;
  std::vector<Suspect> suspects_;
  std::shared_ptr<const std::vector<HashedHeader>> linked_;
  std::optional<absl::StatusOr<std::shared_ptr<const std::vector<HashedHeader>>>> result_;
};

}  // namespace towline::fetcher
