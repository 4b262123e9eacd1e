// Puts one question to one endpoint after the other, and attributes faults in the end. Endpoints whose answers do not
// verify are reported if another endpoint's answer verified, or if their failed checks differ.
#pragma once
#include <set>

#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/fault_attribution.hpp"

namespace towline::fetcher {

class Failover {
 public:
  Failover(Pool& pool, const Heads& heads) : pool_{pool}, heads_{heads} {}

  /// Endpoints not to be asked (again) for this question.
  const std::set<std::size_t>& asked() const { return asked_; }
  bool not_found_somewhere() const { return not_found_; }

  void skip(std::size_t i) { asked_.insert(i); }
  void not_found(std::size_t i) {
    asked_.insert(i);
    not_found_ = true;
  }
  /// `what` starts with the name of the field that does not verify.
  void does_not_verify(std::size_t i, std::string what) {
    asked_.insert(i);
    failed_.emplace(i, std::move(what));
  }

  /// Endpoint `i` served a valid answer, so those whose answers did not verify served bad data.
  void solved_by(std::size_t i);
  /// There is no further turn, as `turn` tells. CANCELLED and RESOURCE_EXHAUSTED (too many questions wait) say nothing
  /// about the endpoints, and are returned as they are; everything else is unsolved(), with `last` if it is an error.
  absl::Status no_turn(const std::string& question, const absl::Status& turn, const absl::Status& last);
  /// No endpoint could answer. Returns UNAVAILABLE (nothing verified, or `last`), or NOT_FOUND if an endpoint lacks the
  /// block and no answer failed to verify.
  absl::Status unsolved(const std::string& question, const absl::Status& last);

 private:
  Pool& pool_;
  const Heads& heads_;
  std::set<std::size_t> asked_;
  Failures failed_;
  bool not_found_ = false;
};

}  // namespace towline::fetcher
