#include "services/sync-coordinator/core/authority.hpp"

namespace towline::coordinator {
namespace {

/// engine-driver refuses a term this far above the one it knows.
constexpr std::uint64_t kTermLeap = 1'000;
/// A live coordinator watches the driver and sends a command with every block. After this idle time it counts as gone.
constexpr absl::Duration kOtherIsGone = absl::Seconds(30);

}  // namespace

bool Authority::on_state(const contract::EngineState& s) {
  const std::uint64_t next = s.term + 1;
  // A driver that lost its state starts again from a low term, and refuses such a leap.
  if ((term_ == 0 && s.status != contract::EngineStatus::starting) || term_ > s.term + kTermLeap) term_ = next;
  const bool ours = s.authority.empty() || s.authority == kElector;
  superseded_ = !ours || (term_ != 0 && s.term > term_);
  if (!superseded_ || !ours || s.watchers > 1 || s.idle < kOtherIsGone) return false;
  superseded_ = false;
  term_ = next;
  return true;
}

}  // namespace towline::coordinator
