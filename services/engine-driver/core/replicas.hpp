// The remote-fetchers that share an engine-driver's ranges, and how each of them does: who is there, who rests after a
// failure, how fast it is, and what it has served. Outlives the single range (shared_range.hpp). Pure.
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
  /// What was not listed for so long, and is not shown any more, is forgotten.
  static constexpr absl::Duration kForgetAfter = absl::Minutes(10);

  explicit Replicas(const std::string& first) { list({first}, absl::InfinitePast()); }

  /// All that the target leads to now. One that is missing gets no more work.
  void list(const std::vector<std::string>& addresses, absl::Time now);

  /// Listed, and not resting.
  std::vector<std::string> fit(absl::Time now) const;
  std::size_t listed() const;
  bool all_listed_are_in(const std::set<std::string>& some) const;
  /// Listed, not in `but`, and rests for the shortest time; empty: there is none.
  std::string least_bad(const std::set<std::string>& but) const;
  /// Who of `from` got work the longest ago.
  const std::string& next_of(const std::vector<std::string>& from) const;
  void on_work(const std::string& address) { all_[address].turn = ++last_turn_; }

  /// A block.
  void on_served(const std::string& address);
  /// It rests for a while, longer each time that nothing came of it since.
  void on_failed(const std::string& address, const std::string& why, absl::Time now);
  /// `blocks` took it `time`.
  void on_speed(const std::string& address, std::uint64_t blocks, absl::Duration time);
  /// Blocks a second; 0: not known.
  double speed(const std::string& address) const;
  /// The fastest but `other`.
  double best_speed_beside(const std::string& other) const;

  /// For status: those that are listed, or have served.
  std::vector<contract::Replica> view(absl::Time now) const;
  /// Those that are gone and may be let go of, once each.
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
