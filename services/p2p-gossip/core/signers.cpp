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

void SelfDoubt::on_verdict(gossip_block::Rule rule, const std::optional<Address>& signer, std::uint64_t timestamp,
                           absl::Time now) {
  using gossip_block::Rule;
  if (rule == Rule::signature && signer) {
    // One key, again and again: a peer that sends noise has a new one each time.
    other_signer_ = signer_ == signer ? other_signer_ + 1 : 1;
    signer_ = signer;
  }
  if (rule == Rule::too_new || rule == Rule::too_old) {
    offsets_.push_back(absl::ToDoubleSeconds(now - absl::UnixEpoch()) - static_cast<double>(timestamp));
    if (offsets_.size() > kClock) offsets_.pop_front();
    ++off_time_;
  }
  look();
}

void SelfDoubt::on_good_block(std::uint64_t timestamp, absl::Time now) {
  other_signer_ = 0;
  signer_.reset();
  const double offset = absl::ToDoubleSeconds(now - absl::UnixEpoch()) - static_cast<double>(timestamp);
  // Good, but from our future: our clock is late, though not by enough to refuse the block.
  if (offset < -absl::ToDoubleSeconds(kClockOff)) {
    offsets_.push_back(offset);
    if (offsets_.size() > kClock) offsets_.pop_front();
    ++off_time_;
  } else {
    off_time_ = 0;
    offsets_.clear();
  }
  look();
}

void SelfDoubt::look() {
  reason_.clear();
  if (other_signer_ >= kSigner) {
    reason_ = absl::StrCat("the last ", other_signer_, " blocks are all signed by ", to_hex(signer_->view()),
                           ": is that the chain's signer now? See --p2p.unsafe-block-signer");
  } else if (off_time_ >= kClock && offsets_.size() == kClock) {
    const auto [low, high] = std::minmax_element(offsets_.begin(), offsets_.end());
    // About the same for all: a replay of old blocks has ages that grow.
    if (*high - *low < 10 && std::max(std::abs(*low), std::abs(*high)) > absl::ToDoubleSeconds(kClockOff))
      reason_ = absl::StrCat("blocks are all about ", static_cast<std::int64_t>(std::abs(*low)), " s ",
                             *low < 0 ? "in the future" : "in the past", ": is this machine's clock right?");
  }
}

}  // namespace towline::gossip
