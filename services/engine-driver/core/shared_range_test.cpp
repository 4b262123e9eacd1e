// A range among replicas that fail in every way, in virtual time.
#include "services/engine-driver/core/shared_range.hpp"

#include <gmock/gmock.h>

#include <random>

namespace towline::driver {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::SizeIs;

Hash32 hash(std::uint64_t n, std::uint8_t branch = 0) {
  Hash32 h;
  for (int i = 0; i < 8; ++i)
    h.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(n >> (8U * static_cast<unsigned>(i)));
  h.bytes[31] = static_cast<std::uint8_t>(1 + branch);
  return h;
}

constexpr absl::Duration kStepTime = absl::Milliseconds(20);

/// A remote-fetcher, reduced to what the range sees of it.
struct Node {
  double blocks_per_s = 30;
  bool alive = true;
  bool silent = false;
  /// Says that there are no such blocks.
  bool refuses = false;
  /// The height from which its sources have another branch.
  std::uint64_t other_branch_from = ~std::uint64_t{0};
  std::uint64_t served = 0;
};

/// The driver, the replicas and the EL around a range.
class World {
 public:
  World(std::uint64_t parent, std::uint64_t tip, std::vector<std::string> names, std::size_t payload_bytes = 100)
      : replicas{"target"}, bytes_{payload_bytes}, tip_{tip}, at_{parent} {
    for (const auto& n : names) nodes[n];
    replicas.list(names, now);
    range.emplace(replicas, eth::BlockId{parent, hash(parent)}, eth::BlockId{tip, hash(tip)});
    apply(range->start(now));
    want();
  }

  /// Runs until the range is over, or until `limit`.
  void run(absl::Duration limit = absl::Hours(2)) {
    const absl::Time end = now + limit;
    while (!over && now < end) step();
  }
  void step() {
    now += kStepTime;
    produce();
    apply(range->on_tick(now));
    if (!wanted_ && !over && now >= el_ready_) want();
    most_held = std::max(most_held, range->held_bytes());
    most_parts = std::max(most_parts, range->parts());
  }
  std::uint64_t total() const { return at_; }
  absl::Duration elapsed() const { return now - start; }
  void kill(const std::string& name) {
    nodes[name].alive = false;
    std::vector<std::uint64_t> ended;
    for (const auto& [id, s] : streams_)
      if (s.replica == name) ended.push_back(id);
    for (const std::uint64_t id : ended) {
      streams_.erase(id);
      apply(range->on_end(id, absl::UnavailableError("connection refused"), now));
    }
  }
  std::map<std::string, std::uint64_t> served() const {
    std::map<std::string, std::uint64_t> out;
    for (const auto& r : replicas.view(now)) out[r.address] = r.blocks;
    return out;
  }

  absl::Time now = absl::UnixEpoch() + absl::Hours(1);
  const absl::Time start = now;
  std::map<std::string, Node> nodes;
  Replicas replicas;
  std::optional<SharedRange> range;
  /// Time of the EL per block.
  absl::Duration el_time;
  bool borders_fail = false;
  /// Some source disagrees at the borders; or all have the blocks of a branch that does not lead to the tip.
  bool borders_disputed = false, borders_wrong = false;
  std::optional<absl::Status> over;
  std::size_t most_held = 0, most_parts = 0, opens = 0;

 private:
  struct Stream {
    std::string replica;
    std::uint64_t next, to;
    double ready = 0;
    bool pulled = false;
  };

  void want() {
    wanted_ = true;
    apply(range->on_next(now));
  }
  void apply(const SharedRange::Effects& effects) {
    for (const auto& e : effects) std::visit([this](const auto& x) { run(x); }, e);
    if (std::exchange(applying_, true)) return;
    while (!deferred_.empty()) {
      auto f = std::move(deferred_.front());
      deferred_.pop_front();
      f();
    }
    applying_ = false;
  }
  void run(const SharedRange::Open& e) {
    ++opens;
    Node& n = nodes[e.replica];
    const bool has = e.to.hash == hash(e.to.number);
    if (!n.alive) return later_end(e.stream, absl::UnavailableError("connection refused"));
    if (n.refuses || !has) return later_end(e.stream, absl::FailedPreconditionError("does not descend"));
    for (const auto& [id, s] : streams_) EXPECT_NE(s.replica, e.replica) << "two windows in flight";
    streams_[e.stream] = {e.replica, e.from.number + 1, e.to.number};
  }
  void run(const SharedRange::Pull& e) {
    const auto it = streams_.find(e.stream);
    if (it == streams_.end()) return;
    it->second.pulled = true;
    // The end of the stream was pulled.
    if (it->second.next > it->second.to) streams_.erase(it);
  }
  void run(const SharedRange::Close& e) { streams_.erase(e.stream); }
  void run(const SharedRange::AskBorders& e) {
    if (borders_fail || !nodes[e.replica].alive) {
      deferred_.push_back([this] { apply(range->on_borders(absl::UnavailableError("no"), now)); });
      return;
    }
    Heights h(2);
    for (const std::uint64_t n : e.numbers) {
      h[0][n] = hash(n, borders_wrong ? 1 : 0);
      h[1][n] = hash(n, borders_wrong || borders_disputed ? 1 : 0);
    }
    deferred_.push_back([this, h] { apply(range->on_borders(h, now)); });
  }
  void run(const SharedRange::Give& e) {
    ASSERT_TRUE(wanted_);
    wanted_ = false;
    if (!e.answer.ok()) {
      over = e.answer.status();
      return;
    }
    const eth::BlockRef ref = (**e.answer).ref;
    ASSERT_EQ(ref.number, at_ + 1) << "each once, in order";
    ASSERT_EQ(ref.hash, hash(ref.number));
    at_ = ref.number;
    ++nodes[e.replica].served;
    el_ready_ = now + el_time;
    if (at_ == tip_) over = absl::OkStatus();
    else if (el_time == absl::ZeroDuration()) deferred_.push_back([this] { want(); });
  }
  void run(const SharedRange::Note&) {}
  void later_end(std::uint64_t id, const absl::Status& why) {
    deferred_.push_back([this, id, why] { apply(range->on_end(id, why, now)); });
  }
  void produce() {
    std::vector<std::uint64_t> ids;
    for (auto& [id, s] : streams_) {
      const Node& n = nodes[s.replica];
      if (n.silent || !n.alive) continue;
      s.ready = std::min(64.0, s.ready + n.blocks_per_s * absl::ToDoubleSeconds(kStepTime));
      ids.push_back(id);
    }
    for (const std::uint64_t id : ids) {
      for (auto it = streams_.find(id); it != streams_.end() && it->second.pulled && it->second.ready >= 1;
           it = streams_.find(id)) {
        Stream& s = it->second;
        s.pulled = false;
        s.ready -= 1;
        PreparedPayload p;
        p.ref = {s.next, hash(s.next), hash(s.next - 1), 0};
        p.body.assign(bytes_, 'x');
        ++s.next;
        apply(range->on_payload(id, std::move(p), now));
      }
    }
  }

  const std::size_t bytes_;
  const std::uint64_t tip_;
  std::uint64_t at_;
  bool wanted_ = false;
  /// Deferred effects are carried out by the outermost apply().
  bool applying_ = false;
  absl::Time el_ready_ = absl::InfinitePast();
  std::map<std::uint64_t, Stream> streams_;
  std::deque<std::function<void()>> deferred_;
};

std::vector<std::uint64_t> counts(const World& w, const std::vector<std::string>& names) {
  std::vector<std::uint64_t> out;
  for (const auto& n : names) out.push_back(w.nodes.at(n).served);
  return out;
}

TEST(SharedRange, OneReplicaGetsTheWholeRange) {
  World w{100, 5100, {"a"}};
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  EXPECT_EQ(w.opens, 1U);
}

TEST(SharedRange, ThreeReplicasShareIt) {
  World one{0, 3000, {"a"}};
  one.run();
  World three{0, 3000, {"a", "b", "c"}};
  three.run();
  EXPECT_EQ(three.over, absl::OkStatus());
  // In virtual time.
  EXPECT_GT(absl::FDivDuration(one.elapsed(), three.elapsed()), 2.7);
  EXPECT_THAT(counts(three, {"a", "b", "c"}), Each(Ge(3000 * 2 / 10)));
}

TEST(SharedRange, AReplicaThatAppearsServesItsPartSoon) {
  for (const auto el : {absl::ZeroDuration(), absl::Milliseconds(40)}) {
    World w{0, 100'000, {"a"}};
    w.el_time = el;
    w.run(absl::Seconds(20));
    w.replicas.list({"a", "b", "c"}, w.now);
    const std::uint64_t before = w.nodes["a"].served, all = w.total();
    w.run(absl::Seconds(60));
    for (const auto& [name, node] : w.nodes)
      EXPECT_GE(5 * (node.served - (name == "a" ? before : 0)), w.total() - all) << name;
  }
}

TEST(SharedRange, ShortRangesGoToOneReplicaAfterTheOther) {
  Replicas replicas{"target"};
  const absl::Time now = absl::UnixEpoch();
  replicas.list({"a", "b", "c"}, now);
  std::vector<std::string> who;
  for (std::uint64_t n = 0; n < 6; ++n) {
    SharedRange range{replicas, {n, hash(n)}, {n + 1, hash(n + 1)}};
    const auto effects = range.start(now);
    ASSERT_THAT(effects, SizeIs(2));
    who.push_back(std::get<SharedRange::Open>(effects[0]).replica);
  }
  EXPECT_THAT(who, ::testing::ElementsAre("a", "b", "c", "a", "b", "c"));
}

TEST(SharedRange, AReplicaThatDiesLosesNothing) {
  World w{0, 6000, {"a", "b", "c"}};
  w.run(absl::Seconds(10));
  w.kill("b");
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  EXPECT_GT(w.nodes["a"].served + w.nodes["c"].served, 5000U);
}

TEST(SharedRange, AReplicaThatComesBackServesAgain) {
  World w{0, 20'000, {"a", "b"}};
  w.run(absl::Seconds(10));
  w.kill("b");
  w.run(absl::Seconds(30));
  w.nodes["b"].alive = true;
  const std::uint64_t before = w.nodes["b"].served;
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  EXPECT_GT(w.nodes["b"].served, before + 5000);
}

TEST(SharedRange, AReplicaThatFallsSilentIsWaitedForOnce) {
  World w{0, 6000, {"a", "b", "c"}};
  w.run(absl::Seconds(10));
  w.nodes["a"].silent = true;
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  // 5100 blocks from two replicas at 30 per second each, plus the wait for the silent one.
  EXPECT_LT(w.elapsed(), absl::Seconds(10 + 5100 / 60 + 40));
}

TEST(SharedRange, ASlowReplicaDoesNotHoldTheOthersUp) {
  World w{0, 6000, {"a", "b", "c"}};
  w.nodes["a"].blocks_per_s = 1;
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  EXPECT_LT(w.elapsed(), absl::Seconds(6000 / 60 + 40));
}

TEST(SharedRange, WhatNobodyServesIsAnErrorAtOnceWithOneReplicaAndAfterEachWasAskedWithMore) {
  for (const auto& names : std::vector<std::vector<std::string>>{{"a"}, {"a", "b", "c"}}) {
    World w{0, 50, names};
    for (const auto& n : names) w.kill(n);
    w.run(absl::Minutes(5));
    ASSERT_TRUE(w.over);
    EXPECT_TRUE(absl::IsUnavailable(*w.over)) << *w.over;
    EXPECT_LT(w.elapsed(), absl::Seconds(10));
  }
}

TEST(SharedRange, ANoIsAskedForTwice) {
  Replicas replicas{"target"};
  const absl::Time now = absl::UnixEpoch();
  replicas.list({"a", "b"}, now);
  SharedRange range{replicas, {0, hash(0)}, {50, hash(50)}};
  EXPECT_EQ(std::get<SharedRange::Open>(range.start(now)[0]).replica, "a");
  range.on_next(now);
  const auto again = range.on_end(1, absl::NotFoundError("no such tip"), now);
  EXPECT_EQ(std::get<SharedRange::Open>(again[2]).replica, "b");
  const auto effects = range.on_end(2, absl::NotFoundError("no such tip"), now);
  EXPECT_TRUE(absl::IsNotFound(std::get<SharedRange::Give>(effects.back()).answer.status()));
}

TEST(SharedRange, WithoutBordersOneServesAll) {
  for (const bool fail : {true, false}) {
    World w{0, 2000, {"a", "b"}};
    w.borders_fail = fail;
    w.borders_disputed = !fail;
    w.run();
    EXPECT_EQ(w.over, absl::OkStatus());
  }
  Replicas replicas{"target"};
  const absl::Time now = absl::UnixEpoch();
  replicas.list({"a", "b"}, now);
  SharedRange range{replicas, {0, hash(0)}, {2000, hash(2000)}};
  ASSERT_THAT(range.start(now), SizeIs(1));
  Heights h(2);
  h[0][640] = hash(640);
  h[1][640] = hash(640, 1);
  const auto effects = range.on_borders(h, now);
  ASSERT_THAT(effects, SizeIs(2));
  EXPECT_EQ(std::get<SharedRange::Open>(effects[0]).to.number, 2000U);
}

TEST(SharedRange, BordersThatComeLateDoNotHoldItUp) {
  Replicas replicas{"target"};
  const absl::Time now = absl::UnixEpoch();
  replicas.list({"a", "b"}, now);
  SharedRange range{replicas, {0, hash(0)}, {5000, hash(5000)}};
  ASSERT_THAT(range.start(now), SizeIs(1));
  EXPECT_THAT(range.on_tick(now + absl::Seconds(1)), SizeIs(0));
  const auto late = range.on_tick(now + SharedRange::kBorderPatience);
  ASSERT_THAT(late, SizeIs(2));
  EXPECT_EQ(std::get<SharedRange::Open>(late[0]).to.number, 5000U);
  Heights h(1);
  for (std::uint64_t n = 64; n <= 2048; n += 64) h[0][n] = hash(n);
  const auto effects = range.on_borders(h, now + absl::Seconds(4));
  // The other replica gets the rest after the first window.
  const auto& o = std::get<SharedRange::Open>(effects[0]);
  EXPECT_EQ(o.from.number, 128U);
  EXPECT_EQ(o.to.number, 256U);
}

TEST(SharedRange, BordersOfAnotherBranchAreFoundOut) {
  World w{0, 3000, {"a", "b", "c"}};
  w.run(absl::Milliseconds(40));
  w.borders_wrong = true;
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  // From the start: every replica that is asked for a window up to there refuses.
  Replicas replicas{"target"};
  World all{0, 3000, {"a"}};
  all.borders_wrong = true;
  all.run(absl::Seconds(3));
  all.replicas.list({"a", "b"}, all.now);
  all.run();
  EXPECT_EQ(all.over, absl::OkStatus());
}

TEST(SharedRange, LargePayloadsAreHeldToTheLimit) {
  World w{0, 1500, {"a", "b", "c"}, 300'000};
  w.nodes["a"].blocks_per_s = 3;
  w.nodes["b"].blocks_per_s = 300;
  w.run();
  EXPECT_EQ(w.over, absl::OkStatus());
  EXPECT_LE(w.most_held, SharedRange::kMaxBytes + 3 * 300'000U);
  EXPECT_LE(w.most_parts, 9U);
}

TEST(SharedRange, AgreementIsOfAllThatAnswer) {
  EXPECT_TRUE(agreed({}).empty());
  const auto a =
      agreed({{{64, hash(64)}, {128, hash(128)}}, {{64, hash(64)}, {128, hash(128, 1)}}, {}, {{192, hash(192)}}});
  EXPECT_THAT(a, ::testing::ElementsAre(::testing::Pair(64, hash(64)), ::testing::Pair(192, hash(192))));
}

/// Replicas come, go, die, fall silent and slow down; each block arrives once and in order, and the range ends.
TEST(SharedRange, AnySchedule) {
  const char* const given = std::getenv("SEED");
  const std::uint64_t first = given != nullptr ? std::stoull(given) : 1;
  const std::uint64_t last = given != nullptr ? first : 120;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("SEED=", seed, " driver_core_test --gtest_filter=SharedRange.AnySchedule"));
    std::mt19937_64 random{seed};
    const auto draw = [&](std::uint64_t n) { return random() % n; };
    const std::vector<std::string> names{"a", "b", "c", "d", "e"};
    const std::uint64_t parent = draw(1000), blocks = 1 + draw(8000);
    World w{parent, parent + blocks, {"a"}, 10 + draw(60'000)};
    w.el_time = draw(3) == 0 ? absl::Milliseconds(draw(50)) : absl::ZeroDuration();
    w.borders_fail = draw(10) == 0;
    w.borders_disputed = draw(10) == 0;
    for (const auto& n : names) w.nodes[n].blocks_per_s = static_cast<double>(1 + draw(200));
    std::vector<std::string> listed{"a"};
    for (int k = 0; k < 30 && !w.over; ++k) {
      w.run(absl::Milliseconds(draw(4000)));
      const std::string& n = names[draw(names.size())];
      Node& node = w.nodes[n];
      switch (draw(8)) {
        case 0: w.kill(n); break;
        case 1: node.silent = !node.silent; break;
        case 2: node.refuses = !node.refuses; break;
        case 3: node.blocks_per_s = static_cast<double>(1 + draw(500)); break;
        case 4: w.borders_wrong = draw(4) == 0; break;
        default:
          listed.clear();
          for (const auto& x : names)
            if (draw(2) == 0) listed.push_back(x);
          if (listed.empty()) listed.push_back("a");
          w.replicas.list(listed, w.now);
      }
    }
    // In the end all replicas work. Or the range ended with an error, and the importer opens it again.
    for (auto& [name, node] : w.nodes) node = {100, true, false, false, node.other_branch_from, node.served};
    w.borders_wrong = w.borders_fail = false;
    w.run();
    ASSERT_TRUE(w.over) << "it stands at " << w.total();
    if (w.over->ok()) {
      EXPECT_EQ(w.total(), parent + blocks);
    }
    EXPECT_LE(w.most_held, SharedRange::kMaxBytes + 6 * 60'010U);
    EXPECT_LE(w.most_parts, 15U);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace towline::driver
