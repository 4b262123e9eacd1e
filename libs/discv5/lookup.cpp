#include "libs/discv5/lookup.hpp"

#include <algorithm>

namespace towline::discv5 {

void Lookup::add(const Contact& c) {
  auto& all = nearest_first_;
  const auto at = std::lower_bound(all.begin(), all.end(), c.id, [&](const Candidate& x, const NodeId& id) {
    return nearer(target_, x.contact.id, id);
  });
  if (at != all.end() && at->contact.id == c.id) return;
  all.insert(at, {c});
  if (all.size() > kMaxCandidates) all.pop_back();
}

std::optional<Contact> Lookup::next() {
  if (in_flight_ >= kAlpha || asked_ >= kMaxAsked) return std::nullopt;
  const auto end = nearest_first_.begin() + static_cast<std::ptrdiff_t>(std::min(nearest_first_.size(), kResult));
  const auto it = std::find_if(nearest_first_.begin(), end, [](const Candidate& c) { return !c.asked; });
  if (it == end) return std::nullopt;
  it->asked = true;
  return it->contact;
}

std::vector<std::vector<std::uint64_t>> Lookup::questions(const NodeId& node, bool small_network) const {
  // Nodes answer for three distances at a time at most.
  if (small_network) return {{256, 255, 254}, {253, 252, 251}, {250, 249, 248}};
  // The bucket of that node in which the target lies, and its neighbours.
  const std::uint64_t d = std::clamp<std::uint64_t>(log_distance(node, target_), 2, 255);
  return {{d, d + 1, d - 1}};
}

void Lookup::on_asked() {
  ++in_flight_;
  ++asked_;
}

void Lookup::on_end(const NodeId& node, bool answered) {
  --in_flight_;
  if (!answered) std::erase_if(nearest_first_, [&](const Candidate& c) { return c.contact.id == node; });
}

}  // namespace towline::discv5
