#include "services/engine-driver/core/quarantine.hpp"

#include <algorithm>

namespace towline::driver {
namespace {

constexpr std::size_t kMax = 512;
constexpr absl::Duration kFirst = absl::Seconds(30);
constexpr absl::Duration kLongest = absl::Minutes(10);

}  // namespace

void Quarantine::add(const Hash32& hash, absl::Time now) {
  const auto [it, first] = entries_.try_emplace(hash, Entry{kFirst, {}});
  if (!first) it->second.wait = std::min(it->second.wait * 2, kLongest);
  it->second.again = now + it->second.wait;
  if (!first) return;
  order_.push_back(hash);
  if (order_.size() > kMax) {
    entries_.erase(order_.front());
    order_.pop_front();
  }
}

bool Quarantine::holds(const Hash32& hash, absl::Time now) const {
  const auto it = entries_.find(hash);
  return it != entries_.end() && now < it->second.again;
}

void Quarantine::clear() {
  entries_.clear();
  order_.clear();
}

}  // namespace towline::driver
