// What is known about our EL: the last state from engine-driver, and the blocks of its chain as far as they are known
// without asking. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/contract/engine.hpp"
#include "services/sync-coordinator/core/gossip_blocks.hpp"

namespace towline::coordinator {

/// The highest block of an EL that may never change: the confirmed finalized block, or a finalized label above it.
std::optional<eth::BlockId> final_block(const contract::EngineState& s);

class LocalChain {
 public:
  /// `genesis` is finalized from the start.
  explicit LocalChain(const eth::BlockId& genesis) : genesis_{genesis} {}

  /// `gossip` may link a new head to blocks already known. Returns true if the EL was restarted; earlier findings about
  /// it are then void.
  bool on_state(const contract::EngineState& s, const GossipBlocks& gossip);
  /// The labels that a command read back.
  void on_labels(const contract::Labels& l, const GossipBlocks& gossip);
  void on_command_ended();
  void on_lost(std::string why);
  /// Blocks of our chain that were asked for. on_compared(): compared with the source, kept until the branch changes.
  /// on_asked(): kept with the recent blocks; returns false if none of these heights is known now, so that asking again
  /// would not help.
  void on_compared(const eth::BlockRef& ours);
  bool on_asked(const std::vector<eth::BlockRef>& ours);
  /// An import of another branch starts.
  void forget_compared() { compared_.clear(); }
  /// The labels of a restarted EL were checked.
  void on_labels_checked() { restarted_ = false; }

  /// nullopt: engine-driver was not reached yet, or was lost; lost() says why.
  const std::optional<contract::EngineState>& state() const { return state_; }
  const std::string& lost() const { return lost_; }
  bool has_head() const { return state_ && state_->labels.unsafe; }
  const eth::BlockRef& head() const { return *state_->labels.unsafe; }
  const std::optional<eth::BlockRef>& safe() const { return state_->labels.safe; }
  const std::optional<eth::BlockRef>& finalized() const { return state_->labels.finalized; }
  /// The EL was restarted, and its labels were not checked since.
  bool restarted() const { return restarted_; }

  /// Our block at that height, if known.
  std::optional<Hash32> ours_at(std::uint64_t number) const;
  /// nullopt: whether `block` is on our chain is not known.
  std::optional<bool> has(const std::optional<eth::BlockRef>& block) const;
  /// The highest block that may never change here.
  eth::BlockId confirmed_finalized() const;
  /// The lowest block of a search for a common block.
  eth::BlockId search_floor() const;

 private:
  void note_head(const GossipBlocks& gossip);
  void bound_recent();

  const eth::BlockId genesis_;
  std::optional<contract::EngineState> state_;
  std::string lost_ = "the engine-driver was not reached yet";
  bool restarted_ = false;
  /// The most recent blocks of our chain.
  std::map<std::uint64_t, Hash32> recent_;
  /// Blocks of our chain that were compared with the source.
  std::map<std::uint64_t, Hash32> compared_;
};

}  // namespace towline::coordinator
