#include "services/engine-driver/core/replicas.hpp"

#include <algorithm>

namespace towline::driver {
namespace {

constexpr absl::Duration kFirstRest = absl::Seconds(1);
constexpr absl::Duration kLongestRest = absl::Minutes(1);

}  // namespace

void Replicas::list(const std::vector<std::string>& addresses, absl::Time now) {
  for (auto& [address, r] : all_) {
    const bool is = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    if (r.listed && !is) r.unlisted = now;
    r.listed = is;
  }
  for (const auto& a : addresses) all_[a].listed = true;
}

std::vector<std::string> Replicas::fit(absl::Time now) const {
  std::vector<std::string> out;
  for (const auto& [address, r] : all_)
    if (r.listed && now >= r.rests_until) out.push_back(address);
  return out;
}

std::size_t Replicas::listed() const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(), [](const auto& r) { return r.second.listed; }));
}

bool Replicas::all_listed_are_in(const std::set<std::string>& some) const {
  return std::all_of(all_.begin(), all_.end(),
                     [&](const auto& r) { return !r.second.listed || some.contains(r.first); });
}

std::string Replicas::least_bad(const std::set<std::string>& but) const {
  const std::string* best = nullptr;
  absl::Time until = absl::InfiniteFuture();
  for (const auto& [address, r] : all_) {
    if (!r.listed || but.contains(address) || (best != nullptr && r.rests_until >= until)) continue;
    best = &address;
    until = r.rests_until;
  }
  return best == nullptr ? std::string{} : *best;
}

const std::string& Replicas::next_of(const std::vector<std::string>& from) const {
  return *std::min_element(from.begin(), from.end(),
                           [&](const auto& a, const auto& b) { return all_.at(a).turn < all_.at(b).turn; });
}

void Replicas::on_served(const std::string& address) {
  Replica& r = all_[address];
  ++r.blocks;
  r.failures = 0;
  r.why.clear();
}

void Replicas::on_failed(const std::string& address, const std::string& why, absl::Time now) {
  Replica& r = all_[address];
  r.rests_until = now + std::min(kLongestRest, kFirstRest * (1 << std::min<std::uint64_t>(r.failures, 6)));
  ++r.failures;
  r.why = why;
}

void Replicas::on_speed(const std::string& address, std::uint64_t blocks, absl::Duration time) {
  const double now = static_cast<double>(blocks) / std::max(1e-3, absl::ToDoubleSeconds(time));
  double& speed = all_[address].speed;
  speed = speed == 0 ? now : (speed + now) / 2;
}

double Replicas::speed(const std::string& address) const {
  const auto it = all_.find(address);
  return it == all_.end() ? 0 : it->second.speed;
}

double Replicas::best_speed_beside(const std::string& other) const {
  double best = 0;
  for (const auto& [address, r] : all_)
    if (address != other && r.listed) best = std::max(best, r.speed);
  return best;
}

std::vector<contract::Replica> Replicas::view(absl::Time now) const {
  std::vector<contract::Replica> out;
  for (const auto& [address, r] : all_) {
    if (!r.listed && r.blocks == 0) continue;
    out.push_back({address, r.blocks, r.listed, now < r.rests_until ? r.why : ""});
  }
  return out;
}

std::vector<std::string> Replicas::take_forgotten(absl::Time now) {
  std::vector<std::string> out;
  for (auto it = all_.begin(); it != all_.end();) {
    if (it->second.listed || now - it->second.unlisted < kForgetAfter) {
      ++it;
      continue;
    }
    out.push_back(it->first);
    it = all_.erase(it);
  }
  return out;
}

}  // namespace towline::driver
