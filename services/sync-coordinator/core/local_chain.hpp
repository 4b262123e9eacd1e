// What is known of our own EL: what engine-driver told last, and which blocks are on its chain as far as that is known
// without asking. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/contract/engine.hpp"
#include "services/sync-coordinator/core/gossip_blocks.hpp"

namespace towline::coordinator {

class LocalChain {
 public:
  /// `genesis` is final from the start.
  explicit LocalChain(const eth::BlockId& genesis) : genesis_{genesis} {}

  /// Gossiped blocks lead from a new head down to what is known. True: the EL has begun another life, and nothing that
  /// was found out of the old one counts.
  bool on_state(const contract::EngineState& s, const GossipBlocks& gossip);
  /// What a command read back.
  void on_labels(const contract::Labels& l, const GossipBlocks& gossip);
  void on_command_ended();
  void on_lost(std::string why);
  /// Our blocks at heights that were asked for. Those that were compared with the source's are known until the branch
  /// changes; the others count as a part of the last blocks. False: nothing is known that was not before.
  void on_compared(const eth::BlockRef& ours);
  bool on_asked(const std::vector<eth::BlockRef>& ours);
  /// Another branch is imported.
  void forget_compared() { compared_.clear(); }
  /// The labels of an EL that came back were looked at.
  void on_labels_checked() { restarted_ = false; }

  /// nullopt: engine-driver was not heard of, or was lost; lost() says why.
  const std::optional<contract::EngineState>& state() const { return state_; }
  const std::string& lost() const { return lost_; }
  bool has_head() const { return state_ && state_->labels.unsafe; }
  const eth::BlockRef& head() const { return *state_->labels.unsafe; }
  const std::optional<eth::BlockRef>& safe() const { return state_->labels.safe; }
  const std::optional<eth::BlockRef>& finalized() const { return state_->labels.finalized; }
  /// It has begun another life, and its labels were not looked at since.
  bool restarted() const { return restarted_; }

  /// Our block at that height, if it is known.
  std::optional<Hash32> ours_at(std::uint64_t number) const;
  /// nullopt: `block` is not known to be on our chain or off it.
  std::optional<bool> has(const std::optional<eth::BlockRef>& block) const;
  /// The highest block that may never change here.
  eth::BlockId confirmed_finalized() const;
  /// Down to where a search for a common block goes.
  eth::BlockId search_floor() const;

 private:
  void note_head(const GossipBlocks& gossip);
  void bound_recent();

  const eth::BlockId genesis_;
  std::optional<contract::EngineState> state_;
  std::string lost_ = "the engine-driver was not reached yet";
  bool restarted_ = false;
  /// The last blocks of our chain.
  std::map<std::uint64_t, Hash32> recent_;
  /// Blocks of it that were asked for.
  std::map<std::uint64_t, Hash32> compared_;
};

}  // namespace towline::coordinator
