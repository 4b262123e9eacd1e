// A model of an execution client behind its Engine API, over block references: no state, no transactions. Its two
// profiles answer as was measured on op-geth v1.101702 and op-reth v1.10. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::sim {

enum class ElProfile { op_geth, op_reth };
enum class ElStatus { valid, invalid, syncing, accepted };
/// "VALID", ...
const char* name(ElStatus s);

/// A payload status, or a JSON-RPC error if `error_code` is not 0.
struct ElAnswer {
  ElStatus status = ElStatus::valid;
  std::optional<Hash32> latest_valid_hash;
  std::int64_t error_code = 0;
  std::string message;
};

/// The server's findings about a payload, for the model.
struct PayloadFacts {
  bool hash_matches = true;
  bool version_fits = true;  // engine_newPayloadV<n> is the one of the payload's fork
};

class ElModel {
 public:
  ElModel(ElProfile profile, const eth::BlockRef& genesis);

  ElProfile profile() const { return profile_; }
  ElAnswer new_payload(const eth::BlockRef& block, PayloadFacts facts = {});
  /// An update without attributes. A zero `safe` or `finalized` leaves that label as it is.
  ElAnswer forkchoice_updated(const Hash32& head, const Hash32& safe, const Hash32& finalized);
  /// debug_setHead; false: this profile does not have it, or there is no such block.
  bool set_head(std::uint64_t number);
  /// SIGKILL and restart.
  void kill();

  /// The peers that it syncs from by itself: they give a block by its hash. Without peers it waits.
  using Peers = std::function<std::optional<eth::BlockRef>(const Hash32&)>;
  void set_peers(Peers peers) { peers_ = std::move(peers); }
  /// As op-geth with --syncmode=snap: executes nothing on the genesis before a sync of its own has ended.
  void set_snap(bool on) { snap_ = on; }
  /// Moves a sync of its own on by this many blocks.
  void sync(std::uint64_t blocks);
  /// The target of a sync of its own; nullopt: none runs.
  const std::optional<eth::BlockRef>& sync_target() const { return sync_target_; }

  const eth::BlockRef& latest() const { return head_; }
  std::optional<eth::BlockRef> safe() const { return safe_; }
  std::optional<eth::BlockRef> finalized() const { return finalized_; }
  /// On the canonical chain.
  std::optional<eth::BlockRef> by_number(std::uint64_t number) const;
  /// On any branch.
  std::optional<eth::BlockRef> by_hash(const Hash32& hash) const;

 private:
  struct Known {
    eth::BlockRef ref;
    bool executed = false;
  };
  const Known* find(const Hash32& hash) const;
  bool has_state(const Known& block) const;
  bool canonical(const eth::BlockRef& block) const;
  void move_head(const eth::BlockRef& to);
  bool on_our_chain(eth::BlockRef label) const;
  /// False: the block is unknown, or on another branch.
  bool apply_label(const Hash32& hash, std::optional<eth::BlockRef>& label);

  ElAnswer not_executed(const eth::BlockRef& block, ElStatus status);

  ElProfile profile_;
  Peers peers_;
  bool snap_ = false;
  /// The last payload that was not executed, to which an update begins a sync; and the target of the sync.
  std::optional<eth::BlockRef> not_executed_, sync_target_;
  eth::BlockRef head_;
  std::optional<eth::BlockRef> safe_;
  std::optional<eth::BlockRef> finalized_;
  absl::flat_hash_map<Hash32, Known> blocks_;
  std::uint64_t first_;            // the number of canonical_[0]
  std::vector<Hash32> canonical_;  // up to the head
};

}  // namespace towline::sim
