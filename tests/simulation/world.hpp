// A whole tow without a wire: the coordinator's machine, the driver's gate and import plan, a simulated source and a
// simulated EL. Everything that happens is drawn from one seed. After every step the invariants are checked.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "libs/sim/el_model.hpp"
#include "services/engine-driver/core/gate.hpp"
#include "services/engine-driver/core/import_plan.hpp"
#include "services/engine-driver/core/state.hpp"
#include "services/sync-coordinator/core/follower.hpp"

namespace towline::simulation {

/// The remote chain: any number of branches, one of them canonical.
class Source {
 public:
  explicit Source(const eth::BlockRef& genesis) : chain_{genesis} {}

  void extend(std::uint64_t blocks);
  /// Leaves the canonical chain after `ancestor` and grows by `blocks` on a new branch.
  void reorg(std::uint64_t ancestor, std::uint64_t blocks);
  void raise_labels(std::uint64_t safe, std::uint64_t finalized);

  const std::vector<eth::BlockRef>& chain() const { return chain_; }
  const eth::BlockRef& head() const { return chain_.back(); }
  const eth::BlockRef& safe() const { return chain_[safe_]; }
  const eth::BlockRef& finalized() const { return chain_[finalized_]; }

 private:
  std::vector<eth::BlockRef> chain_;
  std::uint64_t safe_ = 0;
  std::uint64_t finalized_ = 0;
  std::uint64_t blocks_made_ = 0;
};

struct Schedule {
  std::uint64_t seed = 1;
  int steps = 150;
};

class World {
 public:
  explicit World(const Schedule& schedule);
  /// The first invariant that broke, with what happened before; empty when all held and the tow converged.
  std::string run();

 private:
  // The driver as services/engine-driver/actors/writer.cpp drives its core, one EL call a step.
  struct Importing {
    std::uint64_t id;
    driver::ImportPlan plan;
    std::vector<eth::BlockRef> blocks;  // parent+1 .. tip
    std::size_t next = 0;
    driver::Labels before;
  };

  void chaos();
  void step();
  void carry_out(coordinator::Effects effects);
  void run_pending();
  void import_step();
  std::optional<driver::CommandResult> update(const driver::Forkchoice& f);
  absl::Status admit(const driver::Command& c);
  driver::CommandResult ended(driver::Outcome o, std::string reason, std::optional<eth::BlockId> block = {}) const;
  void finish(std::uint64_t id, absl::StatusOr<driver::CommandResult> r);
  driver::Labels labels() const;
  driver::DriverState driver_state() const;
  fetcher::HeadSnapshot snapshot() const;
  bool el_answers() const { return driver_up_ && el_up_; }
  void check();
  void broken(const std::string& what);
  void note(const std::string& what);
  bool converged() const;
  coordinator::Follower make_follower();

  std::mt19937_64 random_;
  const int steps_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  eth::BlockRef genesis_;
  Source source_;
  sim::ElModel el_;
  bool can_rewind_;
  driver::Gate gate_;
  std::optional<coordinator::Follower> follower_;
  std::optional<coordinator::Effect> pending_;
  std::optional<Importing> importing_;
  bool source_up_ = true;
  bool replaying_ = false;
  bool lagging_ = false;
  bool el_up_ = true;
  bool driver_up_ = true;
  std::uint64_t session_ = 1;
  // For the invariants.
  std::uint64_t highest_epoch_ = 0;
  std::optional<eth::BlockId> highest_finalized_;
  std::string broken_;
  std::vector<std::string> history_;
};

}  // namespace towline::simulation
