// How fast an endpoint may be asked: the operator's limit in requests a second, and what rate-limit answers have taught
// in requests and in calls a second (a batch counts as its calls at most providers). Pure.
#pragma once
#include <absl/time/time.h>

#include <cstddef>

namespace towline::fetcher {

class Pace {
 public:
  /// `requests_per_s` 0: no limit of the operator's.
  explicit Pace(double requests_per_s)
      : whole_limit_{requests_per_s}, requests_limit_{requests_per_s}, requests_{requests_per_s} {}

  /// The operator's limit is for this many processes together.
  void share_between(std::size_t processes);

  /// When the next request may leave.
  absl::Time next() const { return next_; }
  /// Calls that one request may hold, at least one.
  std::size_t most_calls() const;

  void on_sent(std::size_t calls, absl::Time now);
  void on_answered(std::size_t calls, absl::Time now);
  /// A rate limit: of `calls` this many were `answered`. The rates become what was answered since the limit before; a
  /// batch that was refused whole is at most halved. `by_call`: each call was refused by itself, so calls are counted
  /// there and not requests.
  void on_limited(std::size_t calls, std::size_t answered, bool by_call, absl::Time now);

  /// Learned calls a second; 0: no limit is known.
  double calls_per_s() const { return calls_; }

 private:
  void grow(absl::Time now);
  const double whole_limit_;
  double requests_limit_;
  double requests_;  // a second; 0: no limit
  bool counts_calls_ = false;
  double calls_ = 0;
  absl::Time next_ = absl::InfinitePast();
  absl::Time since_ = absl::InfinitePast();  // of the counts
  absl::Time limited_ = absl::InfinitePast();
  absl::Time grown_ = absl::InfinitePast();
  double requests_answered_ = 0;
  double calls_answered_ = 0;
};

}  // namespace towline::fetcher
