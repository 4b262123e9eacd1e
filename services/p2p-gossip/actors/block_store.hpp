// The recent blocks that passed the validation: by hash for those who want payloads, in the order of their arrival for
// those who watch.
//
// Owns: the blocks, bounded in bytes and count, and for each watcher how far it has got. In: good blocks; watchers that
// join, leave or have room; questions for payloads; its own tick. Out: each block to each watcher at once, and a word
// that we live where there is no news. A watcher that does not read costs the references that were handed to it
// (kAhead); those that leave the store meanwhile it misses. Nobody waits for this actor but who asks for payloads.
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
#include "libs/crypto/secp256k1.hpp"
#include "libs/eth/types.hpp"

namespace towline::gossip {

struct ValidBlock {
  std::shared_ptr<const eth::Payload> payload;
  Address signer;
  secp256k1::RecoverableSignature signature;
  absl::Time received;
  std::string peer;  // base58; empty: published here
};
using ValidBlockPtr = std::shared_ptr<const ValidBlock>;
/// Ascending.
using ValidBlocksPtr = std::shared_ptr<const std::vector<ValidBlockPtr>>;

/// Its callbacks run in the store: hand over and return.
struct Watcher {
  std::function<void(const ValidBlock&)> block;
  /// There is no news, and we live.
  std::function<void()> alive;
  /// We end.
  std::function<void()> end;
};
using WatcherPtr = std::shared_ptr<const Watcher>;

/// The blocks behind `parent` up to `tip`.
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
using stop_atom = caf::atom_constant<caf::atom("stop")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using block_store_actor =
    caf::typed_actor<caf::reacts_to<block_atom, ValidBlockPtr>,
                     // Null: it is not here.
                     caf::replies_to<find_atom, HashPtr>::with<ValidBlockPtr>,
                     // Empty: not all of them are here.
                     caf::replies_to<stretch_atom, StretchPtr>::with<ValidBlocksPtr>,
                     // It gets what is here, and then what comes.
                     caf::reacts_to<join_atom, WatcherPtr>,
                     // All that was handed to it is on its way.
                     caf::reacts_to<room_atom, WatcherPtr>, caf::reacts_to<leave_atom, WatcherPtr>,
                     // The watches end, and those that come later.
                     caf::reacts_to<stop_atom>>;
using block_store_impl = block_store_actor::extend<caf::reacts_to<tick_atom>>;

struct BlockStoreConfig {
  std::size_t max_blocks, max_bytes;
  /// The last block, for those who may not wait; only this actor sets it. It outlives the actor.
  Published<ValidBlockPtr>* last;
};

class block_store_state {
 public:
  static inline const char* name = "block_store";
  /// References that a watcher has not read yet.
  static constexpr std::size_t kAhead = 64;

  explicit block_store_state(block_store_impl::pointer self) : self_{self} {}
  block_store_impl::behavior_type make_behavior(BlockStoreConfig config);

 private:
  struct Place {
    WatcherPtr watcher;
    /// The number of the next block in the order of arrival.
    std::uint64_t next = 0;
    /// What was handed to it since it had room.
    std::size_t ahead = 0;
    /// Ticks without anything.
    int quiet = 0;
  };
  void put(ValidBlockPtr block);
  ValidBlockPtr find(const Hash32& hash) const;
  std::vector<ValidBlockPtr> stretch(const Stretch& s) const;
  /// What it has not got, as far as there is room.
  void show(Place& to);
  static void say_alive(Place& to);

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
