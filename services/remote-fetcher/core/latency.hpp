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
  static constexpr absl::Duration kFresh = absl::Minutes(5);
  /// Fewer say nothing, and fewer than kLeastOfTail nothing of how the slowest of them are.
  static constexpr std::size_t kLeast = 4, kLeastOfTail = 20;

  /// `calls` of a batch share what it took.
  void add(absl::Duration took, std::size_t calls, absl::Time now);
  /// InfinitePast: there was none.
  absl::Time newest() const { return samples_[(next_ + kMost - 1) % kMost].at; }
  /// 0 < q < 1. nullopt: fewer answers than `least`.
  std::optional<absl::Duration> quantile(double q, absl::Time now, std::size_t least = kLeast) const;
  /// Of a single call.
  std::optional<absl::Duration> per_call(double q, absl::Time now) const;

 private:
  struct Sample {
    absl::Time at = absl::InfinitePast();
    absl::Duration took, each;
  };
  std::optional<absl::Duration> quantile_of(absl::Duration Sample::*what, double q, absl::Time now,
                                            std::size_t least) const;
  std::array<Sample, kMost> samples_;
  std::size_t next_ = 0;
};

}  // namespace towline::fetcher
