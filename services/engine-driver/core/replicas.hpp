// The remote-fetchers that share the ranges of an engine-driver, and their performance: which are there, which rest
// after a failure, their speed, and how many blocks they served. Outlives a single range (shared_range.hpp). Pure.
#pragma once
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "libs/contract/engine.hpp"

namespace towline::driver {

class Replicas {
 public:
  /// A replica that has not been listed for this long is forgotten.
  static constexpr absl::Duration kForgetAfter = absl::Minutes(10);

  explicit Replicas(const std::string& first) { list({first}, absl::InfinitePast()); }

  /// All addresses that the target resolves to now. A replica that is missing gets no more work.
  void list(const std::vector<std::string>& addresses, absl::Time now);

  /// The replicas that are listed and do not rest.
  std::vector<std::string> fit(absl::Time now) const;
  std::size_t listed() const;
  bool all_listed_are_in(const std::set<std::string>& some) const;
  /// The listed replica not in `but` whose rest ends first; empty: none.
  std::string least_bad(const std::set<std::string>& but) const;
  /// The one of `from` whose last work is the longest ago.
  const std::string& next_of(const std::vector<std::string>& from) const;
  void on_work(const std::string& address) { all_[address].turn = ++last_turn_; }

  /// The replica served a block.
  void on_served(const std::string& address);
  /// The replica rests for a while, twice as long for each failure in a row.
  void on_failed(const std::string& address, const std::string& why, absl::Time now);
  /// The replica took `time` to serve `blocks` blocks.
  void on_speed(const std::string& address, std::uint64_t blocks, absl::Duration time);
  /// Blocks per second; 0 if unknown.
  double speed(const std::string& address) const;
  /// The highest speed among the listed replicas other than `other`.
  double best_speed_beside(const std::string& other) const;

  /// For the status: the replicas that are listed or have served blocks.
  std::vector<contract::Replica> view(absl::Time now) const;
  /// Removes and returns the replicas that are forgotten now.
  std::vector<std::string> take_forgotten(absl::Time now);

 private:
  struct Replica {
    bool listed = false;
    absl::Time unlisted = absl::InfinitePast();
    std::uint64_t turn = 0;
    std::uint64_t blocks = 0;
    double speed = 0;
    std::uint64_t failures = 0;
    absl::Time rests_until = absl::InfinitePast();
    std::string why;
  };
  std::map<std::string, Replica> all_;
  std::uint64_t last_turn_ = 0;
};

}  // namespace towline::driver
