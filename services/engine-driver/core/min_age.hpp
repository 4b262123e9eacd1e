// The last gate knows the clock: no block becomes safe or final that is younger than the chain's L1 allows, whatever
// sources say. A block's time follows from its number, by a rule of OP derivation. Pure.
#pragma once
#include <absl/time/time.h>

#include <deque>
#include <optional>

#include "libs/contract/command.hpp"
#include "libs/eth/types.hpp"
#include "libs/rollup/config.hpp"

namespace towline::driver {

class MinAge {
 public:
  struct Ages {
    absl::Duration safe = absl::ZeroDuration(), finalized = absl::ZeroDuration();
  };
  /// What Ethereum and its test networks need at least: a slot, and less than two terms. 0 for any other L1.
  static Ages of_l1(std::uint64_t l1_chain_id);

  /// Nothing is too young.
  MinAge() = default;
  MinAge(const rollup::Config& chain, Ages ages) : chain_{chain}, ages_{ages} {}

  /// A label that is too young waits, and the highest above the EL's own that waited long enough takes its place, or
  /// none. True: one was too young.
  bool hold(const contract::Labels& el, std::optional<eth::BlockId>& safe, std::optional<eth::BlockId>& finalized,
            absl::Time now);
  /// What waits is not of the EL's chain any more.
  void forget();
  /// A finalized block is confirmed for good only while the head is at the tip: a forged branch that is old passes the
  /// ages, and a source that lags far behind its own clock shows one.
  bool may_confirm(const eth::BlockId& head, absl::Time now) const;

 private:
  bool hold(const std::optional<eth::BlockRef>& ours, std::optional<eth::BlockId>& label, absl::Duration least,
            std::deque<eth::BlockId>& waiting, absl::Time now);
  absl::Duration age(std::uint64_t number, absl::Time now) const;
  std::optional<rollup::Config> chain_;
  Ages ages_;
  /// In the order in which they were named, which is that of their numbers.
  std::deque<eth::BlockId> safe_, finalized_;
};

}  // namespace towline::driver
