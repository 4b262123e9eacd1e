#include "services/remote-fetcher/core/head_board.hpp"

#include <algorithm>

namespace towline::fetcher {

std::vector<std::uint64_t> HeadBoard::heights(const std::string& endpoint, absl::Time now) const {
  auto out = vote_.heights(endpoint, now);
  for (const auto& [id, confirmed_finalized] : confirmed_finalized_)
    if (std::find(out.begin(), out.end(), confirmed_finalized.number) == out.end())
      out.push_back(confirmed_finalized.number);
  return out;
}

std::optional<contract::HeadSnapshot> HeadBoard::choose(absl::Time now,
                                                        const std::optional<eth::BlockId>& confirmed_finalized) const {
  auto s = vote_.choose(now, confirmed_finalized);
  if (!s) return s;
  s->unknown_rules = unknown_rules(now);
  s->chain_time = clock_.at_least(now);
  return s;
}

void HeadBoard::set_unknown_rules(std::string what, absl::Time now) {
  unknown_rules_ = std::move(what);
  unknown_rules_until_ = now + absl::Minutes(1);
}

bool HeadBoard::clear_unknown_rules() {
  const bool news = !unknown_rules_.empty();
  unknown_rules_.clear();
  return news;
}

std::string HeadBoard::unknown_rules(absl::Time now) const {
  return now < unknown_rules_until_ ? unknown_rules_ : std::string{};
}

}  // namespace towline::fetcher
