#include "services/engine-driver/core/rates.hpp"

#include <algorithm>

namespace towline::driver {
namespace {
constexpr absl::Duration kWindow = absl::Seconds(5);
constexpr absl::Duration kSlot = absl::Milliseconds(250);
}  // namespace

void Rates::add(absl::Time now, std::uint64_t gas) {
  while (!slots_.empty() && slots_.front().start < now - kWindow) slots_.pop_front();
  if (slots_.empty() || now - slots_.back().start >= kSlot) slots_.push_back({now, 0, 0});
  ++slots_.back().blocks;
  slots_.back().gas += gas;
}

double Rates::per_second(absl::Time now, std::uint64_t Slot::*what) const {
  std::uint64_t sum = 0;
  absl::Time first = absl::InfiniteFuture();
  for (const Slot& s : slots_) {
    if (s.start < now - kWindow) continue;
    sum += s.*what;
    first = std::min(first, s.start);
  }
  if (sum == 0) return 0;
  return static_cast<double>(sum) / absl::ToDoubleSeconds(std::max(now - first, kSlot));
}

double Rates::blocks_per_s(absl::Time now) const { return per_second(now, &Slot::blocks); }
double Rates::mgas_per_s(absl::Time now) const { return per_second(now, &Slot::gas) / 1e6; }

}  // namespace towline::driver
