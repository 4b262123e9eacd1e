// The recent valid blocks: by hash for readers of payloads, in the order of their arrival for watchers.
//
// Owns: the blocks, bounded in bytes and count, and the position of each watcher. In: valid blocks; watchers that join,
// leave or have room; requests for payloads. Out: each block to each watcher at once, and a sign of life when there is
// no news. Timers: a tick for that sign. A watcher that does not read holds at most kAhead references, and misses the
// blocks that leave the store in the meantime; a watcher of the newest block holds one, and misses all but the last. No
// actor waits for the store except readers of payloads.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <caf/typed_actor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/actor_kit/published.hpp"
#include "libs/actor_kit/terminator.hpp"
#include "libs/crypto/secp256k1.hpp"
#include "libs/eth/types.hpp"

namespace towline::gossip {

struct ValidBlock {
  std::shared_ptr<const eth::Payload> payload;
  Address signer;
  secp256k1::RecoverableSignature signature;
  absl::Time received;
  std::string peer;  // base58; empty: published through this service
};
using ValidBlockPtr = std::shared_ptr<const ValidBlock>;
/// In ascending order.
using ValidBlocksPtr = std::shared_ptr<const std::vector<ValidBlockPtr>>;

/// The callbacks run in the store, so they must hand over and return.
struct Watcher {
  std::function<void(const ValidBlock&)> block;
  /// A sign of life without news.
  std::function<void()> alive;
  /// The service stops.
  std::function<void()> end;
  enum class Wants { all, newest };
  Wants wants = Wants::all;
};
using WatcherPtr = std::shared_ptr<const Watcher>;

/// The blocks after `parent` up to `tip`.
struct Stretch {
  eth::BlockId parent, tip;
};
using StretchPtr = std::shared_ptr<const Stretch>;
using HashPtr = std::shared_ptr<const Hash32>;

using block_atom = caf::atom_constant<caf::atom("block")>;
using find_atom = caf::atom_constant<caf::atom("find")>;
using stretch_atom = caf::atom_constant<caf::atom("stretch")>;
using join_atom = caf::atom_constant<caf::atom("join")>;
using room_atom = caf::atom_constant<caf::atom("room")>;
using leave_atom = caf::atom_constant<caf::atom("leave")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using block_store_actor =
    caf::typed_actor<caf::reacts_to<block_atom, ValidBlockPtr>,
                     // Null: the block is not in the store.
                     caf::replies_to<find_atom, HashPtr>::with<ValidBlockPtr>,
                     // Empty: not all of the blocks are in the store.
                     caf::replies_to<stretch_atom, StretchPtr>::with<ValidBlocksPtr>,
                     // A watcher of all blocks gets the stored ones, and then, like the others, new ones.
                     caf::reacts_to<join_atom, WatcherPtr>,
                     // The transport has taken everything handed to the watcher.
                     caf::reacts_to<room_atom, WatcherPtr>, caf::reacts_to<leave_atom, WatcherPtr>,
                     // End all watches, now and later.
                     caf::reacts_to<stop_atom>>;
using block_store_impl = block_store_actor::extend<caf::reacts_to<tick_atom>>;

struct BlockStoreConfig {
  std::size_t max_blocks, max_bytes;
  /// The latest block, for readers that must not wait. Must outlive the actor, which is its only writer.
  Published<ValidBlockPtr>* last;
};

class block_store_state {
 public:
  static inline const char* name = "block_store";
  /// References that a watcher may have unread.
  static constexpr std::size_t kAhead = 64;

  explicit block_store_state(block_store_impl::pointer self) : self_{self} {}
  block_store_impl::behavior_type make_behavior(BlockStoreConfig config);

 private:
  struct Place {
    WatcherPtr watcher;
    /// The number of the next block, in the order of arrival.
    std::uint64_t next = 0;
    /// Messages handed to the watcher since it last had room.
    std::size_t ahead = 0;
    /// Ticks without a message.
    int quiet = 0;
  };
  void put(ValidBlockPtr block);
  ValidBlockPtr find(const Hash32& hash) const;
  std::vector<ValidBlockPtr> stretch(const Stretch& s) const;
  /// Hands over further blocks, as far as there is room.
  void show(Place& to);
  static void say_alive(Place& to);
  std::uint64_t end() const { return first_ + log_.size(); }

  block_store_impl::pointer self_;
  BlockStoreConfig config_{};
  std::deque<ValidBlockPtr> log_;  // oldest first
  std::uint64_t first_ = 0;        // number of the oldest
  absl::flat_hash_map<Hash32, ValidBlockPtr> by_hash_;
  std::size_t bytes_ = 0;
  std::vector<Place> watchers_;
  bool stopped_ = false;
};

block_store_impl::behavior_type block_store(block_store_impl::stateful_pointer<block_store_state> self,
                                            BlockStoreConfig config);

}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ValidBlockPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ValidBlocksPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::WatcherPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::StretchPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::HashPtr)
