// Which signers are accepted, now and for a while after a change; and whether blocks may be refused because of our own
// fault: a wrong clock, a wrong signer, or a fork schedule that lacks a fork. Pure.
#pragma once
#include <absl/time/time.h>

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "libs/gossip_block/validator.hpp"
#include "libs/p2p/token_bucket.hpp"

namespace towline::gossip {

class Signers {
 public:
  /// op-node accepts the previous signer for three hours, or until the first block of the new one.
  static constexpr absl::Duration kGrace = absl::Hours(3);

  /// The zero address means that nobody signs.
  void set(const Address& signer, absl::Time now);
  /// A valid block by `signer` arrived: one by the current signer ends the grace period of the previous one.
  void on_block_of(const Address& signer);
  /// The current signer first.
  std::vector<Address> accepted(absl::Time now) const;
  bool operator==(const Signers&) const = default;

 private:
  std::optional<Address> current_, before_;
  absl::Time before_until_ = absl::InfinitePast();
};

/// Watches consecutive validation results. While it suspects our own settings, no peer is punished. Even before that,
/// blocks at the chain's own pace cause no penalty: with a wrong clock, signer or schedule, each block from honest
/// peers is refused, and all of them would be banned before fifty blocks have shown whose fault it is.
class ClockAndSignerCheck {
 public:
  /// Consecutive blocks before a fault counts as ours: blocks by one other key; blocks whose times are off by a similar
  /// amount; blocks by the chain's signer whose form does not fit our fork schedule.
  static constexpr std::size_t kSigner = 50, kClock = 5, kForm = 5;
  /// Consecutive valid blocks that are all late. A single one in time shows that our clock is not ahead.
  static constexpr std::size_t kLate = 20;
  /// The tolerated offset of our clock.
  static constexpr absl::Duration kClockOff = absl::Seconds(2);

  explicit ClockAndSignerCheck(absl::Duration block_time);

  /// A block was refused. True: the fault may be ours, so the peer that sent the block must not be punished.
  bool on_result(gossip_block::Failure rule, const std::optional<Address>& signer, std::uint64_t timestamp,
                 absl::Time now);
  /// A valid block arrived: its timestamp shows how late it is. Valid blocks show whether our clock is right. Those
  /// with blob gas show that Jovian is known here; an empty block is valid before and after Jovian.
  void on_good_block(std::uint64_t timestamp, absl::Time now, bool blob_gas = false);
  /// How far our clock is ahead of HTTP servers' clocks, to half a second; nullopt: unknown.
  void on_sources(std::optional<absl::Duration> ahead);
  /// Why the fault may be ours; empty: it is not.
  const std::string& reason() const { return reason_; }

 private:
  /// Limits refused blocks to the number that the chain can have made meanwhile.
  struct Pace {
    p2p::TokenBucket blocks;
    Address signer;
    absl::Time last = absl::InfinitePast();
  };
  bool at_pace_of_a_signer(const Address& signer, absl::Time now);
  bool on_form(gossip_block::Failure rule, absl::Time now);
  void on_offset(std::uint64_t timestamp, absl::Time now);
  void look();

  std::size_t other_signer_ = 0;
  std::optional<Address> signer_;
  std::size_t off_time_ = 0;
  /// The offsets of the last blocks from our clock, in seconds; negative: in our future.
  std::deque<double> offsets_;
  std::optional<absl::Duration> ahead_of_sources_;
  std::size_t late_ = 0;
  double least_age_ = 0;
  std::string reason_;
  std::size_t bad_form_ = 0;
  gossip_block::Failure form_rule_ = gossip_block::Failure::none;
  Pace clock_, form_;
  /// Two slots: a signer that is unknown here, and one lying source beside it.
  std::array<Pace, 2> others_;
};

}  // namespace towline::gossip
