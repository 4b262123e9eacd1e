// An endpoint's recent response times for one kind of work, as quantiles. Pure.
#pragma once
#include <absl/time/time.h>

#include <array>
#include <cstddef>
#include <optional>

namespace towline::fetcher {

class Latency {
 public:
  /// The number of answers that are kept, and how long each of them counts.
  static constexpr std::size_t kMost = 64;
  static constexpr absl::Duration kFresh = absl::Minutes(5);
  /// Fewer answers give no quantile, and fewer than kLeastOfTail give no reliable 0.95 quantile.
  static constexpr std::size_t kLeast = 4, kLeastOfTail = 20;

  /// The calls of a batch share its time. `overtaken`: another endpoint answered first, so that `took` is a least time.
  void add(absl::Duration took, std::size_t calls, absl::Time now, bool overtaken = false);
  /// InfinitePast: no answer yet.
  absl::Time newest() const { return samples_[(next_ + kMost - 1) % kMost].at; }
  /// 0 < q < 1. nullopt: fewer than `least` recent answers.
  std::optional<absl::Duration> quantile(double q, absl::Time now, std::size_t least = kLeast) const;
  /// The same of the answers that nobody overtook.
  std::optional<absl::Duration> quantile_in_time(double q, absl::Time now, std::size_t least) const;
  /// As quantile(), per call.
  std::optional<absl::Duration> per_call(double q, absl::Time now) const;
  /// The part of the recent requests that another endpoint answered first. nullopt: fewer than kLeastOfTail.
  std::optional<double> overtaken(absl::Time now) const;

 private:
  struct Sample {
    absl::Time at = absl::InfinitePast();
    absl::Duration took, each;
    bool overtaken = false;
  };
  std::optional<absl::Duration> quantile_of(absl::Duration Sample::*what, double q, absl::Time now, std::size_t least,
                                            bool with_overtaken = true) const;
  std::array<Sample, kMost> samples_;
  std::size_t next_ = 0;
};

}  // namespace towline::fetcher
