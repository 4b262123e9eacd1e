#include "services/remote-fetcher/core/fork_schedule.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::fetcher {
namespace {

using rollup::Fork;

constexpr std::size_t at(Fork f) { return static_cast<std::size_t>(f); }

std::string text(const std::optional<std::uint64_t>& t) { return t ? absl::StrCat(*t) : "never"; }

/// One of the three forks in eth_config.
struct EthFork {
  std::uint64_t time = 0;
  /// The latest header-changing fork that must be active then.
  std::optional<Fork> at_least;
};

absl::StatusOr<std::optional<EthFork>> read_eth_fork(simdjson::dom::element result, const char* part) {
  simdjson::dom::element e;
  if (result[part].get(e) != simdjson::SUCCESS || e.is_null()) return std::nullopt;
  EthFork out;
  if (e["activationTime"].get(out.time) != simdjson::SUCCESS)
    return absl::InvalidArgumentError(absl::StrCat("eth_config: ", part, ".activationTime: not a whole number"));
  simdjson::dom::element ignored;
  const auto has = [&](const char* contract) {
    return e["systemContracts"][contract].get(ignored) == simdjson::SUCCESS;
  };
  if (has("HISTORY_STORAGE_ADDRESS")) out.at_least = Fork::isthmus;
  else if (has("BEACON_ROOTS_ADDRESS")) out.at_least = Fork::ecotone;
  return out;
}

bool in_order(const rollup::ForkTimes& times) {
  std::uint64_t last = 0;
  for (const auto& t : times) {
    if (!t) continue;
    if (*t < last) return false;
    last = *t;
  }
  return true;
}

}  // namespace

absl::Status ForkSchedule::on_rollup_config(const std::string& endpoint, simdjson::dom::element result,
                                            std::uint64_t now, std::vector<ForkNews>& news) {
  TOWLINE_ASSIGN_OR_RETURN(rollup::Forks forks, rollup::parse_forks(std::string{simdjson::minify(result)}));
  views_[endpoint].rollup = std::move(forks);
  look(endpoint, now, news);
  return absl::OkStatus();
}

absl::Status ForkSchedule::on_eth_config(const std::string& endpoint, simdjson::dom::element result, std::uint64_t now,
                                         std::vector<ForkNews>& news) {
  rollup::Forks forks;
  bool any = false;
  for (const char* part : {"current", "next", "last"}) {
    TOWLINE_ASSIGN_OR_RETURN(const auto fork, read_eth_fork(result, part));
    if (!fork) continue;
    any = true;
    const auto is = [&](const std::optional<std::uint64_t>& t) { return t && effective(*t) == effective(fork->time); };
    if (std::any_of(own_.fork_times.begin(), own_.fork_times.end(), is) ||
        std::any_of(own_.unknown_forks.begin(), own_.unknown_forks.end(), [&](const auto& f) { return is(f.second); }))
      continue;
    // A fork that is later here, or not scheduled here: it was active at that time at the latest.
    const auto f = fork->at_least;
    if (f && (!own_.fork_times[at(*f)] || fork->time < *own_.fork_times[at(*f)])) {
      auto& t = forks.times[at(*f)];
      t = std::min(t.value_or(fork->time), fork->time);
    } else if (std::none_of(forks.unknown.begin(), forks.unknown.end(),
                            [&](const auto& u) { return u.second == fork->time; })) {
      forks.unknown.emplace_back("eth_config", fork->time);
    }
  }
  if (!any) return absl::InvalidArgumentError("eth_config: no fork in it");
  views_[endpoint].eth = std::move(forks);
  look(endpoint, now, news);
  return absl::OkStatus();
}

void ForkSchedule::forget(const std::string& endpoint) {
  views_.erase(endpoint);
  told_.erase(endpoint);
  learn();
}

std::vector<ForkNews> ForkSchedule::differences(const View& v, std::uint64_t now) const {
  std::vector<ForkNews> out;
  const auto add = [&](ForkNews n) {
    if (std::find(out.begin(), out.end(), n) == out.end()) out.push_back(std::move(n));
  };
  const auto unknown = [&](const rollup::Forks& forks) {
    for (const auto& [name, time] : forks.unknown) {
      const auto known = [&, t = time](const auto& f) { return f.second == t; };
      if (std::any_of(own_.unknown_forks.begin(), own_.unknown_forks.end(), known)) continue;
      add({rollup::describe_unknown(time, now), name, "", absl::StrCat(time)});
    }
  };
  const auto differs = [&](std::size_t f, const std::optional<std::uint64_t>& there) {
    add({"a source has a fork at another time; ours counts here", rollup::name(static_cast<Fork>(f)),
         text(own_.fork_times[f]), text(there)});
  };
  if (v.rollup) {
    bool later = false;
    for (std::size_t f = rollup::kForkCount; f-- > 1;) {
      const auto& here = own_.fork_times[f];
      const auto& there = v.rollup->times[f];
      // A missing fork with a later one present: some clients omit old forks.
      if (here && (there ? effective(*here) != effective(*there) : !later)) differs(f, there);
      later = later || there;
    }
    unknown(*v.rollup);
  }
  if (v.eth) {
    for (std::size_t f = 1; f < rollup::kForkCount; ++f)
      if (own_.fork_times[f] && v.eth->times[f]) differs(f, v.eth->times[f]);
    unknown(*v.eth);
  }
  return out;
}

void ForkSchedule::look(const std::string& endpoint, std::uint64_t now, std::vector<ForkNews>& news) {
  std::vector<ForkNews> all = differences(views_[endpoint], now);
  std::vector<ForkNews>& told = told_[endpoint];
  for (const auto& n : all)
    if (std::find(told.begin(), told.end(), n) == told.end()) news.push_back(n);
  told = std::move(all);
  const rollup::ForkTimes before = config_.fork_times;
  learn();
  for (std::size_t f = 1; f < rollup::kForkCount; ++f) {
    if (config_.fork_times[f] == before[f]) continue;
    news.push_back({"nothing here says when a fork comes: what most sources say counts",
                    rollup::name(static_cast<Fork>(f)), text(before[f]), text(config_.fork_times[f])});
  }
}

void ForkSchedule::learn() {
  rollup::ForkTimes times = own_.fork_times;
  for (std::size_t f = 1; f < rollup::kForkCount; ++f) {
    if (own_.fork_times[f]) continue;
    std::size_t voters = 0;
    std::map<std::uint64_t, std::size_t> votes;
    for (const auto& [endpoint, v] : views_) {
      // In a rollup config a missing fork means never; eth_config does not name most forks.
      const auto said = v.rollup ? v.rollup->times[f] : v.eth ? v.eth->times[f] : std::nullopt;
      if (v.rollup || said) ++voters;
      if (said) ++votes[*said];
    }
    for (const auto& [time, n] : votes) {
      if (2 * n <= voters) continue;
      rollup::ForkTimes with = times;
      with[f] = time;
      if (in_order(with)) times = with;
    }
  }
  config_.fork_times = times;
}

std::optional<ForkNews> ForkSchedule::on_header(const eth::Header& h) {
  const absl::Status st = rollup::check_header_shape(config_, h);
  if (st.ok()) return std::nullopt;
  const std::string what{st.message()};
  const char* fork = rollup::name(config_.fork_at(h.timestamp));
  if (!told_headers_.insert(absl::StrCat(what.substr(0, what.find(':')), " ", fork)).second) return std::nullopt;
  return ForkNews{
      absl::StrCat("a block does not look as its fork says, but its hash verifies: is the fork schedule old? ",
                   "See --override and the rollup config. ", what),
      fork, "", ""};
}

}  // namespace towline::fetcher
