// How long an endpoint took for its last answers to one kind of work, as quantiles. Pure.
#pragma once
#include <absl/time/time.h>

#include <array>
#include <cstddef>
#include <optional>

namespace towline::fetcher {

class Latency {
 public:
  /// Answers that are looked at, and how long each counts.
  static constexpr std::size_t kMost = 64;
  static constexpr absl::Duration kFresh = absl::Minutes(2);
  /// Fewer say nothing.
  static constexpr std::size_t kLeast = 4;

  /// `calls` of a batch share what it took.
  void add(absl::Duration took, std::size_t calls, absl::Time now);
  /// 0 < q < 1. nullopt: too few answers.
  std::optional<absl::Duration> quantile(double q, absl::Time now) const;
  /// Of a single call.
  std::optional<absl::Duration> per_call(double q, absl::Time now) const;

 private:
  struct Sample {
    absl::Time at = absl::InfinitePast();
    absl::Duration took, each;
  };
  std::optional<absl::Duration> quantile_of(absl::Duration Sample::*what, double q, absl::Time now) const;
  std::array<Sample, kMost> samples_;
  std::size_t next_ = 0;
};

}  // namespace towline::fetcher
