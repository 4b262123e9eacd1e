#include "services/p2p-gossip/core/signers.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/hex.hpp"

namespace towline::gossip {

void Signers::set(const Address& signer, absl::Time now) {
  if (current_ == signer) return;
  if (current_) {
    before_ = current_;
    before_until_ = now + kGrace;
  }
  current_ = signer.is_zero() ? std::nullopt : std::optional{signer};
}

void Signers::on_block_of(const Address& signer) {
  if (current_ == signer) before_.reset();
}

std::vector<Address> Signers::accepted(absl::Time now) const {
  std::vector<Address> out;
  if (current_) out.push_back(*current_);
  if (before_ && now < before_until_) out.push_back(*before_);
  return out;
}

namespace {

/// A burst of two is allowed: blocks may bunch up on their way.
p2p::TokenBucket pace_of(absl::Duration block_time) {
  return {1 / absl::ToDoubleSeconds(std::max(block_time, absl::Seconds(1))), 2};
}
/// How long a recently seen key keeps its slot.
constexpr absl::Duration kKeepSigner = absl::Minutes(1);

}  // namespace

ClockAndSignerCheck::ClockAndSignerCheck(absl::Duration block_time)
    : clock_{pace_of(block_time), {}},
      form_{pace_of(block_time), {}},
      others_{Pace{pace_of(block_time), {}}, Pace{pace_of(block_time), {}}} {}

bool ClockAndSignerCheck::on_result(gossip_block::Failure rule, const std::optional<Address>& signer,
                                    std::uint64_t timestamp, absl::Time now) {
  using gossip_block::Failure;
  bool ours = false;
  // Only blocks at the chain's pace count; otherwise one peer could raise the doubt at will.
  if (rule == Failure::signature && signer && at_pace_of_a_signer(*signer, now)) {
    ours = true;
    // One key, again and again: a peer that sends noise has a different key each time.
    other_signer_ = signer_ == signer ? other_signer_ + 1 : 1;
    signer_ = signer;
  }
  if ((rule == Failure::too_new || rule == Failure::too_old) && clock_.blocks.take(1, now)) {
    ours = true;
    on_offset(timestamp, now);
  }
  ours = on_form(rule, now) || ours;
  look();
  return ours;
}

bool ClockAndSignerCheck::on_form(gossip_block::Failure rule, absl::Time now) {
  if (!gossip_block::is_of_form(rule)) return false;
  // The signature was checked first, so the block is by the chain's signer. A block that fails by blob gas alone can be
  // made by nobody else, so the peer that sent it is not at fault. The other rules may also fail because a peer sent a
  // block on the topic of another version.
  if (rule != gossip_block::Failure::blob_gas && !form_.blocks.take(1, now)) return false;
  ++bad_form_;
  form_rule_ = rule;
  return true;
}

bool ClockAndSignerCheck::at_pace_of_a_signer(const Address& signer, absl::Time now) {
  auto it = std::find_if(others_.begin(), others_.end(), [&](const Pace& p) { return p.signer == signer; });
  if (it == others_.end()) {
    it = std::min_element(others_.begin(), others_.end(), [](const Pace& a, const Pace& b) { return a.last < b.last; });
    if (now - it->last < kKeepSigner) return false;
    it->signer = signer;
  }
  it->last = now;
  return it->blocks.take(1, now);
}

void ClockAndSignerCheck::on_offset(std::uint64_t timestamp, absl::Time now) {
  offsets_.push_back(absl::ToDoubleSeconds(now - absl::UnixEpoch()) - static_cast<double>(timestamp));
  if (offsets_.size() > kClock) offsets_.pop_front();
  ++off_time_;
}

void ClockAndSignerCheck::on_good_block(std::uint64_t timestamp, absl::Time now, bool blob_gas) {
  other_signer_ = 0;
  signer_.reset();
  if (blob_gas || form_rule_ != gossip_block::Failure::blob_gas) bad_form_ = 0;
  const double age = absl::ToDoubleSeconds(now - absl::UnixEpoch()) - static_cast<double>(timestamp);
  const double off = absl::ToDoubleSeconds(kClockOff);
  // A valid block from our future: our clock is late, though not late enough to refuse the block.
  if (age < -off) {
    on_offset(timestamp, now);
  } else {
    off_time_ = 0;
    offsets_.clear();
  }
  least_age_ = late_ == 0 ? age : std::min(least_age_, age);
  late_ = age > off ? late_ + 1 : 0;
  look();
}

void ClockAndSignerCheck::on_sources(std::optional<absl::Duration> ahead) {
  ahead_of_sources_ = ahead;
  look();
}

void ClockAndSignerCheck::look() {
  reason_.clear();
  if (ahead_of_sources_ && absl::AbsDuration(*ahead_of_sources_) > kClockOff + absl::Milliseconds(500)) {
    reason_ = absl::StrCat("this machine's clock is ", absl::FormatDuration(absl::AbsDuration(*ahead_of_sources_)),
                           *ahead_of_sources_ > absl::ZeroDuration() ? " ahead of" : " behind",
                           " the sources': set it (NTP)");
    return;
  }
  if (other_signer_ >= kSigner) {
    reason_ = absl::StrCat("the last ", other_signer_, " blocks are all signed by ", to_hex(signer_->view()),
                           ": is that the chain's signer now? See --p2p.unsafe-block-signer");
  } else if (bad_form_ >= kForm && form_rule_ == gossip_block::Failure::blob_gas) {
    reason_ =
        absl::StrCat(bad_form_,
                     " blocks of the chain's signer have blob gas before Jovian comes by our schedule: has it come? "
                     "See --override.jovian");
  } else if (bad_form_ >= kForm) {
    reason_ = absl::StrCat("the last ", bad_form_, " blocks of the chain's signer break the rule ",
                           gossip_block::name(form_rule_), ": is there a fork that this version does not know?");
  } else if (off_time_ >= kClock && offsets_.size() == kClock) {
    const auto [low, high] = std::minmax_element(offsets_.begin(), offsets_.end());
    // The offsets must be similar: when old blocks are replayed, their ages grow.
    if (*high - *low < 10 && std::max(std::abs(*low), std::abs(*high)) > absl::ToDoubleSeconds(kClockOff))
      reason_ = absl::StrCat("blocks are all about ", static_cast<std::int64_t>(std::abs(*low)), " s ",
                             *low < 0 ? "in the future" : "in the past", ": is this machine's clock right?");
  } else if (late_ >= kLate) {
    reason_ = absl::StrCat("the last ", late_, " blocks came at least ", static_cast<std::int64_t>(least_age_),
                           " s late: is this machine's clock ahead? (Or are the sequencer and all peers late?)");
  }
}

}  // namespace towline::gossip
