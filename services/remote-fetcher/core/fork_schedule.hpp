// When the chain's forks come. The operator, the rollup file and the table say it (rollup::Config); sources are asked,
// too, and compared. What they say counts only for a fork of which nothing here says anything, and then by majority.
// The schedule decides nothing about a block whose hash verifies: the EL has the last word. Pure.
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

/// Something about forks that an operator should read once: a line for the log.
struct ForkNews {
  std::string what;
  std::string fork;
  /// Times in Unix seconds, or "never"; empty: it is not about that.
  std::string here, there;
  bool operator==(const ForkNews&) const = default;
};

class ForkSchedule {
 public:
  explicit ForkSchedule(rollup::Config own) : own_{own}, config_{std::move(own)} {}

  /// An endpoint's result of optimism_rollupConfig, at `now` in Unix seconds. What is new is added to `news`: once for
  /// each difference, and again when it changes. INVALID_ARGUMENT: the result has no schedule, and counts for nothing.
  absl::Status on_rollup_config(const std::string& endpoint, simdjson::dom::element result, std::uint64_t now,
                                std::vector<ForkNews>& news);
  /// The same of eth_config (EIP-7910). It names no forks: what its times mean is told by the system contracts beside
  /// them, and a time that is none of ours is a fork that is not known here.
  absl::Status on_eth_config(const std::string& endpoint, simdjson::dom::element result, std::uint64_t now,
                             std::vector<ForkNews>& news);
  /// It is refused: what it said counts no more.
  void forget(const std::string& endpoint);

  /// What is known here, and what most sources say of the rest.
  const rollup::Config& config() const { return config_; }

  /// For a header whose hash verifies: what of it does not fit the schedule. Once for each field and fork; the header
  /// is good all the same.
  std::optional<ForkNews> on_header(const eth::Header& h);

 private:
  /// What one endpoint says, as far as it says it.
  struct View {
    std::optional<rollup::Forks> rollup;
    std::optional<rollup::Forks> eth;
  };
  void look(const std::string& endpoint, std::uint64_t now, std::vector<ForkNews>& news);
  std::vector<ForkNews> differences(const View& v, std::uint64_t now) const;
  void learn();
  /// All times up to the chain's first block are the same.
  std::uint64_t effective(std::uint64_t t) const { return t <= own_.l2_time ? 0 : t; }

  rollup::Config own_;
  rollup::Config config_;
  std::map<std::string, View> views_;
  std::map<std::string, std::vector<ForkNews>> told_;
  std::set<std::string> told_headers_;
};

}  // namespace towline::fetcher
