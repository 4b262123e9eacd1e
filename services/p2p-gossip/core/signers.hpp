// Whose blocks are good, now and for a while after a change; and whether what we refuse may be our own mistake: a wrong
// clock, or a wrong signer. Pure.
#pragma once
#include <absl/time/time.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "libs/gossip_block/validator.hpp"

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

 private:
  std::optional<Address> current_, before_;
  absl::Time before_until_ = absl::InfinitePast();
};

/// Looks at verdicts in a row. While it suspects us, peers are not punished.
class SelfDoubt {
 public:
  /// Blocks in a row that are signed by one other key, and blocks in a row whose time is off by about the same.
  static constexpr std::size_t kSigner = 50, kClock = 5;
  /// Our clock against others': at most so far off.
  static constexpr absl::Duration kClockOff = absl::Seconds(2);

  void on_verdict(gossip_block::Rule rule, const std::optional<Address>& signer, std::uint64_t timestamp,
                  absl::Time now);
  /// A block of the expected signer arrived: how late its time says that it is. Good blocks show whether the clock is
  /// right.
  void on_good_block(std::uint64_t timestamp, absl::Time now);
  /// Why it may be our mistake; empty: it is not.
  const std::string& reason() const { return reason_; }

 private:
  void look();
  std::size_t other_signer_ = 0;
  std::optional<Address> signer_;
  std::size_t off_time_ = 0;
  /// How far blocks are from our clock, the last few; negative: they are in our future.
  std::deque<double> offsets_;
  std::string reason_;
};

}  // namespace towline::gossip
