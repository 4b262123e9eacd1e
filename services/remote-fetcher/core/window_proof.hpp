// The proof of one window of headers: first batches by number, then one gap after the other from the tip down (missing
// headers, or headers of another branch), then a check of the whole. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <deque>
#include <variant>
#include <vector>

#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

/// An endpoint that has another block than the proven one, within the range.
struct Suspect {
  std::size_t endpoint = 0;
  std::uint64_t number = 0;
  std::string evidence;
};

/// A header, and the endpoint that gave it.
struct GivenHeader {
  HashedHeader header;
  std::size_t endpoint = 0;
};
/// A header that no endpoint is responsible for.
inline constexpr std::size_t kNobody = SIZE_MAX;

class WindowProof {
 public:
  /// For the headers first .. tip.number, at least one. `kept`: headers from an earlier attempt.
  WindowProof(std::uint64_t first, const eth::BlockId& tip, std::vector<HashedHeader> kept);

  struct AskHeaders {
    std::vector<std::uint64_t> numbers;
  };
  /// The header of a gap, and the headers below it down to `lowest`.
  struct AskGap {
    ChainProof::Gap gap;
    std::uint64_t lowest = 0;
    eth::BlockId tip;
  };
  /// Check the linked window: is it on the quorum's chain, and does it obey the fork's rules?
  struct Judge {
    std::shared_ptr<const std::vector<HashedHeader>> headers;
    std::vector<Suspect> suspects;
  };
  using Ask = std::variant<AskHeaders, AskGap, Judge>;
  /// The next request; several may be pending at once. nullopt: none now.
  std::optional<Ask> next();

  struct Headers {
    absl::Status status;
    /// Includes headers received before a failure.
    std::vector<GivenHeader> found;
  };
  void on_headers(Headers got);
  struct Closed {
    std::vector<GivenHeader> found;
    std::optional<Suspect> suspect;
  };
  void on_gap(absl::StatusOr<Closed> got);
  void on_judged(const absl::Status& st);

  /// The result; nullopt: not finished.
  std::optional<absl::StatusOr<std::shared_ptr<const std::vector<HashedHeader>>>> result() const { return result_; }
  /// The headers received so far, for another attempt; empty once all headers of the window have arrived.
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
