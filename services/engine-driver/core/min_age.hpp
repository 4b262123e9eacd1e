// A gate by age: no block becomes safe or finalized that is younger than the chain's L1 allows, whatever the sources
// say. The time of a block follows from its number, by a rule of OP derivation. Pure.
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
  /// Lower bounds for Ethereum and its test networks: one slot for safe, less than two epochs for finalized. 0 for any
  /// other L1.
  static Ages of_l1(std::uint64_t l1_chain_id);

  /// No block is too young.
  MinAge() = default;
  MinAge(const rollup::Config& chain, Ages ages) : chain_{chain}, ages_{ages} {}

  /// Replaces a label that is too young by the highest waiting one that is old enough and above the EL's own, or by
  /// none. Returns true if a label was too young.
  bool hold(const contract::Labels& el, std::optional<eth::BlockId>& safe, std::optional<eth::BlockId>& finalized,
            absl::Time now);
  /// The waiting labels no longer belong to the EL's chain.
  void forget();
  /// Whether a finalized block may be confirmed permanently: only while the head is at the tip. An old forged branch
  /// passes the ages, but a source on such a branch lags far behind the clock.
  bool may_confirm(const eth::BlockId& head, absl::Time now) const;

 private:
  bool hold(const std::optional<eth::BlockRef>& ours, std::optional<eth::BlockId>& label, absl::Duration least,
            std::deque<eth::BlockId>& waiting, absl::Time now);
  absl::Duration age(std::uint64_t number, absl::Time now) const;
  std::optional<rollup::Config> chain_;
  Ages ages_;
  /// Ordered by the time of their arrival and by number.
  std::deque<eth::BlockId> safe_, finalized_;
};

}  // namespace towline::driver
