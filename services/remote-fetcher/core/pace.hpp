// How fast an endpoint may be asked: the operator's limit in requests per second, and the limits learned from
// rate-limit answers, in requests and in calls per second (most providers count the calls of a batch). Pure.
#pragma once
#include <absl/time/time.h>

#include <cstddef>

namespace towline::fetcher {

class Pace {
 public:
  /// `requests_per_s` 0: the operator set no limit.
  explicit Pace(double requests_per_s)
      : whole_limit_{requests_per_s}, requests_limit_{requests_per_s}, requests_{requests_per_s} {}

  /// The operator's limit applies to this many processes together.
  void share_between(std::size_t processes);

  /// When the next request may be sent.
  absl::Time next() const { return next_; }
  /// Calls that one request may hold, at least one.
  std::size_t most_calls() const;

  void on_sent(std::size_t calls, absl::Time now);
  void on_answered(std::size_t calls, absl::Time now);
  /// A rate limit: `answered` of `calls` calls were answered. The rates become what was answered since the last limit;
  /// a batch that was refused as a whole is at most halved. `by_call`: each call was refused separately, so this
  /// provider counts calls and not requests.
  void on_limited(std::size_t calls, std::size_t answered, bool by_call, absl::Time now);

  /// Learned calls per second; 0: no known limit.
  double calls_per_s() const { return calls_; }

 private:
  void grow(absl::Time now);
  const double whole_limit_;
  double requests_limit_;
  double requests_;  // per second; 0: no limit
  bool counts_calls_ = false;
  double calls_ = 0;
  absl::Time next_ = absl::InfinitePast();
  absl::Time since_ = absl::InfinitePast();  // start of the counts below
  absl::Time limited_ = absl::InfinitePast();
  absl::Time grown_ = absl::InfinitePast();
  double requests_answered_ = 0;
  double calls_answered_ = 0;
};

}  // namespace towline::fetcher
