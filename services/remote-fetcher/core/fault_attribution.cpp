#include "services/remote-fetcher/core/fault_attribution.hpp"

#include <algorithm>

namespace towline::fetcher {

std::optional<std::string> rule_we_miss(const Failures& failures, bool somebody_has_it_not) {
  if (failures.empty() || somebody_has_it_not) return std::nullopt;
  const auto field = [](const std::string& what) { return what.substr(0, what.find(':')); };
  const std::string& first = failures.begin()->second;
  const bool same =
      std::all_of(failures.begin(), failures.end(), [&](const auto& f) { return field(f.second) == field(first); });
  if (!same) return std::nullopt;
  return first;
}

}  // namespace towline::fetcher
