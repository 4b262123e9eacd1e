// The proof that a run of headers links, from a tip downward. Headers may come from any source and in any order, with
// hashes computed from them. A header counts only if its child names its hash. Pure.
#pragma once
#include <optional>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::fetcher {

struct HashedHeader {
  Hash32 hash;
  eth::Header header;
};

class ChainProof {
 public:
  /// For the headers first .. tip.number, at least one.
  ChainProof(std::uint64_t first, const eth::BlockId& tip);

  std::uint64_t first() const { return first_; }
  std::size_t size() const { return slots_.size(); }
  /// Sets or replaces the header of this number; ignored if that is already proven or out of range.
  void put(HashedHeader h, std::size_t endpoint);

  /// Whether a header of this number was put. `number` must be in the range.
  bool has(std::uint64_t number) const { return slots_[static_cast<std::size_t>(number - first())].has_value(); }
  /// The headers put so far, proven or not, for another attempt.
  std::vector<HashedHeader> give_up() &&;

  /// The next header that is needed: the one at `number` with hash `hash`.
  struct Gap {
    std::uint64_t number = 0;
    Hash32 hash;
    /// The endpoint that gave a header with another hash, if any.
    std::optional<std::size_t> suspect;
  };
  /// Continues down from the tip as far as the headers link; nullopt: the lowest one is reached.
  std::optional<Gap> next_gap();
  /// After next_gap() returned nullopt: the headers, ascending.
  std::vector<HashedHeader> take() &&;

 private:
  struct Slot {
    HashedHeader header;
    std::size_t endpoint;
  };
  const std::uint64_t first_;
  std::vector<std::optional<Slot>> slots_;
  /// Slots from here on are proven; `expected_` is the hash that the slot below must have.
  std::size_t proven_from_;
  Hash32 expected_;
};

}  // namespace towline::fetcher
