// When the chain's forks activate. The operator, the rollup file and the built-in table say so (rollup::Config).
// Sources are asked as well, and compared. Their word counts only for a fork that is not scheduled here, and then by
// majority. The schedule decides nothing about a block whose hash verifies: the EL decides. Pure.
#pragma once
#include <absl/status/status.h>
#include <simdjson.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/rollup/config.hpp"

namespace towline::fetcher {

/// Something about forks that an operator should read once, as a log line.
struct ForkNews {
  std::string what;
  std::string fork;
  /// Times in Unix seconds, or "never"; empty: not about a time.
  std::string here, there;
  bool operator==(const ForkNews&) const = default;
};

class ForkSchedule {
 public:
  explicit ForkSchedule(rollup::Config own) : own_{own}, config_{std::move(own)} {}

  /// optimism_rollupConfig of an endpoint, at `now` in Unix seconds. Adds news to `news`: once per difference, and
  /// again if it changes. INVALID_ARGUMENT: there is no schedule in the result.
  absl::Status on_rollup_config(const std::string& endpoint, simdjson::dom::element result, std::uint64_t now,
                                std::vector<ForkNews>& news);
  /// The same for eth_config (EIP-7910), which names no forks. The system contracts beside a time tell what it means; a
  /// time that is not scheduled here is an unknown fork.
  absl::Status on_eth_config(const std::string& endpoint, simdjson::dom::element result, std::uint64_t now,
                             std::vector<ForkNews>& news);
  /// The endpoint is rejected: its word no longer counts.
  void forget(const std::string& endpoint);

  /// The schedule known here, completed by what most sources say.
  const rollup::Config& config() const { return config_; }

  /// What does not fit the schedule in a header whose hash verifies. Reported once per field and fork; the header is
  /// valid all the same.
  std::optional<ForkNews> on_header(const eth::Header& h);

 private:
  /// The schedules that one endpoint reported.
  struct View {
    std::optional<rollup::Forks> rollup;
    std::optional<rollup::Forks> eth;
  };
  void look(const std::string& endpoint, std::uint64_t now, std::vector<ForkNews>& news);
  std::vector<ForkNews> differences(const View& v, std::uint64_t now) const;
  void learn();
  /// All times up to the chain's first block are equivalent.
  std::uint64_t effective(std::uint64_t t) const { return t <= own_.l2_time ? 0 : t; }

  rollup::Config own_;
  rollup::Config config_;
  std::map<std::string, View> views_;
  std::map<std::string, std::vector<ForkNews>> told_;
  std::set<std::string> told_headers_;
};

}  // namespace towline::fetcher
