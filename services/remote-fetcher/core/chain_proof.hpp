// The proof that a run of headers links, from a tip down. Headers come from anywhere and in any order, with
// hashes that were computed from them; what counts is only that each is the one that its child names. Pure.
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
  /// Fills or replaces the slot of its number; what is proven already, or out of the range, is left alone.
  void put(HashedHeader h, std::size_t endpoint);

  /// A header of that number of the range was put.
  bool has(std::uint64_t number) const { return slots_[static_cast<std::size_t>(number - first())].has_value(); }
  /// The headers that were put, proven or not: for another try.
  std::vector<HashedHeader> give_up() &&;

  /// A header that is needed: the one at `number` with `hash`.
  struct Gap {
    std::uint64_t number = 0;
    Hash32 hash;
    /// The endpoint whose header there has another hash, if one was put.
    std::optional<std::size_t> suspect;
  };
  /// Goes on down from the tip as far as the headers put so far link; nullopt when the lowest one is reached.
  std::optional<Gap> next_gap();
  /// After next_gap() gave nullopt: the headers, ascending.
  std::vector<HashedHeader> take() &&;

 private:
  struct Slot {
    HashedHeader header;
    std::size_t endpoint;
  };
  const std::uint64_t first_;
  std::vector<std::optional<Slot>> slots_;
  /// Slots from here on are proven; `expected_` is the hash that the one below must have.
  std::size_t proven_from_;
  Hash32 expected_;
};

}  // namespace towline::fetcher
