#include "services/sync-coordinator/core/branch_hold.hpp"

#include <algorithm>

namespace towline::coordinator {
namespace {

constexpr absl::Duration kFirstHold = absl::Seconds(10), kLongestHold = absl::Minutes(2);

}  // namespace

void BranchHold::on_import(bool switches_on_unsafe, const Hash32& head) {
  switching_ = switches_on_unsafe;
  head_before_ = head;
}

void BranchHold::on_head(const Hash32& head, absl::Time now) {
  if (!switching_ || head == head_before_) return;
  switching_ = false;
  const bool goes_on = now < until_ + wait_;
  wait_ = goes_on ? std::min(wait_ * 2, kLongestHold) : kFirstHold;
  until_ = now + wait_;
}

}  // namespace towline::coordinator
