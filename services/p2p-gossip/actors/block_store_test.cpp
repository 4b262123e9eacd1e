#include "services/p2p-gossip/actors/block_store.hpp"

#include <gmock/gmock.h>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::gossip {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Hash32 hash(std::uint64_t n) {
  Hash32 h;
  h.bytes[0] = static_cast<std::uint8_t>(n >> 8U);
  h.bytes[1] = static_cast<std::uint8_t>(n);
  return h;
}

class BlockStoreTest : public towline::testing::ActorTest {
 protected:
  struct Heard {
    std::vector<std::uint64_t> blocks;
    int alive = 0;
    bool ended = false;
    WatcherPtr watcher;
  };
  void join(Heard& h, Watcher::Wants wants = Watcher::Wants::all) {
    h.watcher =
        std::make_shared<const Watcher>(Watcher{[&h](const ValidBlock& b) { h.blocks.push_back(b.payload->number); },
                                                [&h] { ++h.alive; }, [&h] { h.ended = true; }, wants});
    caf::anon_send(store_, join_atom{}, h.watcher);
    dispatch();
  }
  void has_room(const Heard& h) {
    caf::anon_send(store_, room_atom{}, h.watcher);
    dispatch();
  }
  /// A child of the previous block.
  void put(std::uint64_t number, std::size_t bytes = 100) {
    eth::Payload p;
    p.number = number;
    p.block_hash = hash(number);
    p.parent_hash = hash(number - 1);
    p.transactions.push_back(Bytes(bytes, 1));
    caf::anon_send(store_, block_atom{},
                   std::make_shared<const ValidBlock>(
                       ValidBlock{std::make_shared<const eth::Payload>(std::move(p)), {}, {}, absl::UnixEpoch(), ""}));
    dispatch();
  }
  template <class Result, class Atom, class Question>
  Result ask(Atom atom, const Question& question) {
    Result out;
    system.spawn([&](caf::event_based_actor* self) {
      self->request(store_, caf::infinite, atom, std::make_shared<const Question>(question))
          .then([&](const Result& r) { out = r; }, [](const caf::error&) { FAIL(); });
    });
    dispatch();
    return out;
  }
  std::vector<std::uint64_t> stretch(std::uint64_t parent, std::uint64_t tip) {
    const auto blocks = ask<ValidBlocksPtr>(stretch_atom{}, Stretch{{parent, hash(parent)}, {tip, hash(tip)}});
    std::vector<std::uint64_t> out;
    for (const auto& b : *blocks) out.push_back(b->payload->number);
    return out;
  }
  bool has(std::uint64_t number) { return ask<ValidBlockPtr>(find_atom{}, hash(number)) != nullptr; }

  Published<ValidBlockPtr> last_{nullptr};
  block_store_actor store_ = own(system.spawn(block_store, BlockStoreConfig{200, 1U << 20U, &last_}));
};

TEST_F(BlockStoreTest, AWatcherGetsWhatIsThereAndEachBlockAtOnce) {
  put(1);
  put(2);
  Heard h;
  join(h);
  EXPECT_THAT(h.blocks, ElementsAre(1, 2));
  put(3);
  put(3);
  EXPECT_THAT(h.blocks, ElementsAre(1, 2, 3)) << "one block once";
  EXPECT_EQ(last_.get()->get()->payload->number, 3U);
}

TEST_F(BlockStoreTest, AWatcherOfTheNewestGetsNothingOldAndOneBlockAhead) {
  put(1);
  Heard h;
  join(h, Watcher::Wants::newest);
  EXPECT_THAT(h.blocks, IsEmpty());
  EXPECT_EQ(h.alive, 1) << "which shows that the stream is there";
  put(2);
  EXPECT_THAT(h.blocks, IsEmpty()) << "the sign of life was not taken yet";
  has_room(h);
  EXPECT_THAT(h.blocks, ElementsAre(2));
  put(3);
  put(4);
  EXPECT_THAT(h.blocks, ElementsAre(2));
  has_room(h);
  EXPECT_THAT(h.blocks, ElementsAre(2, 4)) << "3 is not the newest any more";
}

TEST_F(BlockStoreTest, AWatcherOfTheNewestMayJoinAnEmptyStore) {
  Heard h;
  join(h, Watcher::Wants::newest);
  has_room(h);
  put(1);
  EXPECT_THAT(h.blocks, ElementsAre(1));
}

TEST_F(BlockStoreTest, WithoutNewsItSaysEachTwoSecondsThatItLives) {
  Heard h;
  join(h);
  EXPECT_EQ(h.alive, 1);
  has_room(h);
  advance(std::chrono::milliseconds{1900});
  EXPECT_EQ(h.alive, 1);
  advance(std::chrono::milliseconds{200});
  EXPECT_EQ(h.alive, 2);
  advance(std::chrono::seconds{10});
  EXPECT_EQ(h.alive, 2) << "it has not read the last one";
}

TEST_F(BlockStoreTest, AWatcherThatDoesNotReadGetsNoMoreAndMissesWhatLeaves) {
  Heard slow;
  Heard fast;
  join(slow);
  has_room(slow);
  join(fast);
  for (std::uint64_t n = 1; n <= 300; ++n) {
    has_room(fast);
    put(n);
  }
  EXPECT_THAT(fast.blocks, SizeIs(300));
  ASSERT_THAT(slow.blocks, SizeIs(block_store_state::kAhead));
  has_room(slow);
  EXPECT_THAT(slow.blocks, SizeIs(2 * block_store_state::kAhead));
  EXPECT_EQ(slow.blocks[block_store_state::kAhead], 101U) << "the oldest of two hundred";
  for (int i = 0; i < 5; ++i) has_room(slow);
  EXPECT_EQ(slow.blocks.back(), 300U);
}

TEST_F(BlockStoreTest, WhoLeavesHearsNothingMore) {
  Heard h;
  join(h);
  caf::anon_send(store_, leave_atom{}, h.watcher);
  put(1);
  has_room(h);
  EXPECT_THAT(h.blocks, IsEmpty());
}

TEST_F(BlockStoreTest, FindsPayloadsByHashAndWholeStretchesOnly) {
  for (const std::uint64_t n : {1U, 2U, 3U, 5U}) put(n);
  EXPECT_TRUE(has(3));
  EXPECT_FALSE(has(4));
  EXPECT_THAT(stretch(1, 3), ElementsAre(2, 3));
  EXPECT_THAT(stretch(0, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(stretch(3, 5), IsEmpty()) << "block 4 is missing";
  EXPECT_THAT(stretch(4, 3), IsEmpty());
  EXPECT_THAT(stretch(3, 3), IsEmpty());
}

TEST_F(BlockStoreTest, IsBoundedInBytesAndKeepsTheLast) {
  put(1);
  put(2, 800'000);
  EXPECT_TRUE(has(1));
  put(3, 800'000);
  EXPECT_FALSE(has(1) || has(2));
  put(4, 2U << 20U);
  EXPECT_FALSE(has(3));
  EXPECT_TRUE(has(4));
}

TEST_F(BlockStoreTest, EndsTheWatchesWhenItStopsAndThoseThatComeLater) {
  Heard early;
  Heard late;
  join(early);
  caf::anon_send(store_, stop_atom{});
  join(late);
  EXPECT_TRUE(early.ended);
  EXPECT_TRUE(late.ended);
}

}  // namespace
}  // namespace towline::gossip
