// Whose blocks are good, now and for a while after a change; and whether what we refuse may be our own mistake: a wrong
// clock, a wrong signer, or a fork schedule that lacks a fork. Pure.
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
  /// op-node keeps the signer before for three hours, or until the first block of the new one.
  static constexpr absl::Duration kGrace = absl::Hours(3);

  /// The zero address means: nobody.
  void set(const Address& signer, absl::Time now);
  void on_block_of(const Address& signer);
  /// The current one first.
  std::vector<Address> accepted(absl::Time now) const;
  bool operator==(const Signers&) const = default;

 private:
  std::optional<Address> current_, before_;
  absl::Time before_until_ = absl::InfinitePast();
};

/// Looks at validation results in a row. While it suspects us, peers are not punished; and before it is sure, not for
/// what comes at the chain's own pace: with a wrong clock, signer or schedule each block that honest peers bring is
/// refused, and they would all be banned before fifty blocks have shown whose mistake it is.
class ClockAndSignerCheck {
 public:
  /// Blocks in a row that are signed by one other key, blocks in a row whose time is off by about the same, and blocks
  /// in a row that the chain's signer signed and that have not the form that our fork schedule asks for.
  static constexpr std::size_t kSigner = 50, kClock = 5, kForm = 5;
  /// Good blocks in a row that are all late: one that comes in time shows that the clock is not ahead.
  static constexpr std::size_t kLate = 20;
  /// Our clock against others': at most so far off.
  static constexpr absl::Duration kClockOff = absl::Seconds(2);

  explicit ClockAndSignerCheck(absl::Duration block_time);

  /// A block was refused. True: it may be our mistake, who brought it is not to be punished.
  bool on_result(gossip_block::Failure rule, const std::optional<Address>& signer, std::uint64_t timestamp,
                 absl::Time now);
  /// A block of the expected signer arrived: how late its time says that it is. Good blocks show whether the clock is
  /// right, and those with blob gas that we know of Jovian: without it an empty block is good before and after.
  void on_good_block(std::uint64_t timestamp, absl::Time now, bool blob_gas = false);
  /// How far our clock is ahead of others' by their own word (HTTP sources), to half a second; nullopt: not known.
  void on_sources(std::optional<absl::Duration> ahead);
  /// Why it may be our mistake; empty: it is not.
  const std::string& reason() const { return reason_; }

 private:
  /// How many refused blocks the chain can have made meanwhile.
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
  /// How far blocks are from our clock, the last few; negative: they are in our future.
  std::deque<double> offsets_;
  std::optional<absl::Duration> ahead_of_sources_;
  std::size_t late_ = 0;
  double least_age_ = 0;
  std::string reason_;
  std::size_t bad_form_ = 0;
  gossip_block::Failure form_rule_ = gossip_block::Failure::none;
  Pace clock_, form_;
  /// Two: a signer that we do not know of, and room for one lying source beside it.
  std::array<Pace, 2> others_;
};

}  // namespace towline::gossip
