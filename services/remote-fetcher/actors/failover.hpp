// One question put to one endpoint after the other, and the judgement once it is over: endpoints whose answers do not
// verify are charged only when another could do it.
#pragma once
#include <set>

#include "services/remote-fetcher/actors/head_hub.hpp"
#include "services/remote-fetcher/actors/pool.hpp"
#include "services/remote-fetcher/core/fault_attribution.hpp"

namespace towline::fetcher {

class Failover {
 public:
  Failover(Pool& pool, const Heads& heads) : pool_{pool}, heads_{heads} {}

  /// Not to be asked (again) for this.
  const std::set<std::size_t>& asked() const { return asked_; }
  bool not_found_somewhere() const { return not_found_; }

  void skip(std::size_t i) { asked_.insert(i); }
  void not_found(std::size_t i) {
    asked_.insert(i);
    not_found_ = true;
  }
  /// `what` starts with the field that does not verify.
  void does_not_verify(std::size_t i, std::string what) {
    asked_.insert(i);
    failed_.emplace(i, std::move(what));
  }

  /// Endpoint `i` could do it, so those whose answers did not verify lie.
  void solved_by(std::size_t i);
  /// Nobody could. What it means: UNAVAILABLE (that nothing verifies, or `last`), NOT_FOUND when an endpoint has not
  /// got it.
  absl::Status unsolved(const std::string& question, const absl::Status& last);

 private:
  Pool& pool_;
  const Heads& heads_;
  std::set<std::size_t> asked_;
  Failures failed_;
  bool not_found_ = false;
};

}  // namespace towline::fetcher
