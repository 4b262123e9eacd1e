#include "services/remote-fetcher/core/range_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace towline::fetcher {
namespace {

using Effects = RangeSession::Effects;

Hash32 hash(std::uint64_t n, std::uint8_t branch = 0) {
  return Hash32{{branch, static_cast<std::uint8_t>(n), static_cast<std::uint8_t>(n >> 8U),
                 static_cast<std::uint8_t>(n >> 16U), 1}};
}
eth::BlockId block(std::uint64_t n) { return {n, hash(n)}; }
HashedHeader header(std::uint64_t n) {
  HashedHeader h;
  h.hash = hash(n);
  h.header.number = n;
  h.header.parent_hash = hash(n - 1);
  return h;
}

/// Answers a session's requests like a world without faults, and collects those that the test withholds.
class World {
 public:
  World(std::uint64_t parent, std::uint64_t tip) : session{block(parent), block(tip)} {}

  template <class T>
  std::size_t count() const {
    return static_cast<std::size_t>(
        std::count_if(open.begin(), open.end(), [](const auto& e) { return std::holds_alternative<T>(e); }));
  }
  template <class T>
  T take() {
    const auto it = std::find_if(open.begin(), open.end(), [](const auto& e) { return std::holds_alternative<T>(e); });
    if (it == open.end()) {
      ADD_FAILURE() << "it was not asked for";
      return {};
    }
    T out = std::get<T>(*it);
    open.erase(it);
    return out;
  }
  void add(Effects effects) {
    for (auto& e : effects) {
      if (const auto* w = std::get_if<RangeSession::Write>(&e))
        for (const auto& s : w->payloads) written.push_back(s->payload.number);
      if (const auto* f = std::get_if<RangeSession::Free>(&e)) freed.insert(f->id);
      if (const auto* k = std::get_if<RangeSession::Keep>(&e)) kept += k->headers.size();
      if (const auto* x = std::get_if<RangeSession::End>(&e)) end = x->status;
      open.push_back(std::move(e));
    }
  }
  void start(std::size_t lines = 8) { add(session.start(lines)); }

  void answer_kept() {
    take<RangeSession::AskKept>();
    add(session.on_kept({}));
  }
  static WindowProof::Headers headers_for(const WindowProof::AskHeaders& ask) {
    WindowProof::Headers got;
    for (const std::uint64_t n : ask.numbers) got.found.push_back({header(n), 0});
    return got;
  }
  void answer_headers() { add(session.on_headers(headers_for(take<WindowProof::AskHeaders>()))); }
  void answer_judge() {
    take<WindowProof::Judge>();
    add(session.on_judged(absl::OkStatus()));
  }
  void answer_border() {
    const auto ask = take<RangeSession::AskBorder>();
    add(session.on_border(block(ask.number)));
  }
  static std::vector<ServedPtr> payloads_for(const RangeSession::AskBodies& ask) {
    std::vector<ServedPtr> out;
    for (std::size_t k = 0; k < ask.batch.count; ++k) {
      Served s;
      s.payload.number = (*ask.headers)[ask.batch.at + k].header.number;
      out.push_back(std::make_shared<const Served>(std::move(s)));
    }
    return out;
  }
  void answer_bodies() {
    const auto ask = take<RangeSession::AskBodies>();
    add(session.on_bodies(ask.id, payloads_for(ask), 1000 * ask.batch.count));
  }
  void answer_write() {
    take<RangeSession::Write>();
    add(session.on_written());
  }
  /// Runs until a window of headers is proven.
  void prove_window() {
    answer_kept();
    while (count<WindowProof::AskHeaders>() > 0) answer_headers();
    answer_judge();
  }
  /// Answers everything as it comes.
  void run() {
    for (int k = 0; k < 1'000'000 && !end; ++k) {
      if (count<RangeSession::AskKept>() > 0) answer_kept();
      else if (count<WindowProof::AskHeaders>() > 0) answer_headers();
      else if (count<WindowProof::Judge>() > 0) answer_judge();
      else if (count<RangeSession::AskBorder>() > 0) answer_border();
      else if (count<RangeSession::Write>() > 0) answer_write();
      else if (count<RangeSession::AskBodies>() > 0) answer_bodies();
      else break;
    }
  }
  void expect_all(std::uint64_t first, std::uint64_t last) const {
    ASSERT_EQ(written.size(), last - first + 1);
    for (std::size_t k = 0; k < written.size(); ++k) ASSERT_EQ(written[k], first + k);
  }

  RangeSession session;
  Effects open;
  std::vector<std::uint64_t> written;
  std::set<std::uint64_t> freed;
  std::size_t kept = 0;
  std::optional<absl::Status> end;
};

TEST(RangeSession, WritesARangeInOrder) {
  for (const std::uint64_t tip : {1U, 2U, 3U, 99U, 100U, 101U, 1700U, 8192U}) {
    SCOPED_TRACE(tip);
    World w{0, tip};
    w.start();
    w.run();
    ASSERT_TRUE(w.end);
    EXPECT_TRUE(w.end->ok()) << *w.end;
    w.expect_all(1, tip);
  }
}

TEST(RangeSession, ALongRangeIsCutAtBordersThatMostHave) {
  World w{10, 20'000};
  w.start();
  EXPECT_EQ(w.take<RangeSession::AskBorder>().number, 10 + RangeSession::kFirstWindow);
  w.add(w.session.on_border(block(10 + RangeSession::kFirstWindow)));
  w.run();
  ASSERT_TRUE(w.end);
  EXPECT_TRUE(w.end->ok()) << *w.end;
  w.expect_all(11, 20'000);
}

TEST(RangeSession, HeadersOfTheNextWindowAreProvenWhileBodiesTravel) {
  World w{0, 8193};
  w.start();
  w.answer_border();
  w.prove_window();
  EXPECT_EQ(w.count<RangeSession::AskBodies>(), 8U);
  w.prove_window();
  EXPECT_EQ(w.count<RangeSession::AskBodies>(), 8U) << "the bodies of the next window wait";
  w.run();
  w.expect_all(1, 8193);
}

TEST(RangeSession, WithoutAMajorityAtABorderTheWayDownIsWalked) {
  World w{0, 20'000};
  w.start();
  const auto ask = w.take<RangeSession::AskBorder>();
  w.add(w.session.on_border(absl::AbortedError("sources disagree")));
  EXPECT_EQ(w.count<RangeSession::NoBorder>(), 1U);
  const auto first = w.take<RangeSession::AskKept>();
  EXPECT_EQ(first.last, 20'000U) << "from the tip down";
  EXPECT_EQ((first.first - 1 - ask.number) % RangeSession::kWindow, 0U);
  w.add(w.session.on_kept({}));
  w.run();
  ASSERT_TRUE(w.end);
  EXPECT_TRUE(w.end->ok()) << *w.end;
  w.expect_all(1, 20'000);
}

TEST(RangeSession, AtMostSixteenBatchesOfHeadersAreOnTheirWay) {
  World w{0, 8192};
  w.start();
  w.answer_kept();
  EXPECT_EQ(w.count<WindowProof::AskHeaders>(), 16U);
  w.answer_headers();
  EXPECT_EQ(w.count<WindowProof::AskHeaders>(), 16U);
}

TEST(RangeSession, WhatWasKeptIsNotAskedForAgain) {
  World w{0, 200};
  w.start();
  w.take<RangeSession::AskKept>();
  std::vector<HashedHeader> kept;
  for (std::uint64_t n = 1; n <= 150; ++n) kept.push_back(header(n));
  w.add(w.session.on_kept(kept));
  const auto ask = w.take<WindowProof::AskHeaders>();
  EXPECT_EQ(ask.numbers.size(), 50U);
  EXPECT_EQ(ask.numbers.front(), 151U);
  EXPECT_EQ(w.count<WindowProof::AskHeaders>(), 0U);
}

TEST(RangeSession, AGapIsClosedByAnotherEndpointAndTheSuspectIsJudged) {
  World w{0, 3};
  w.start();
  w.answer_kept();
  auto got = World::headers_for(w.take<WindowProof::AskHeaders>());
  got.found[1].header.hash = hash(2, 9);
  got.found[1].endpoint = 4;
  w.add(w.session.on_headers(got));
  const auto gap = w.take<WindowProof::AskGap>();
  EXPECT_EQ(gap.gap.number, 2U);
  EXPECT_EQ(gap.gap.hash, hash(2));
  EXPECT_EQ(gap.gap.suspect, 4U);
  EXPECT_EQ(gap.lowest, 1U);
  WindowProof::Closed closed;
  closed.found = {{header(2), 0}};
  closed.suspect = Suspect{4, 2, "it has another"};
  w.add(w.session.on_gap(closed));
  const auto judge = w.take<WindowProof::Judge>();
  ASSERT_EQ(judge.suspects.size(), 1U);
  EXPECT_EQ(judge.headers->size(), 3U);
  w.add(w.session.on_judged(absl::OkStatus()));
  w.run();
  w.expect_all(1, 3);
}

TEST(RangeSession, SaysWhyThereIsNoProof) {
  {
    World w{5, 5};
    w.start();
    EXPECT_TRUE(absl::IsInvalidArgument(*w.end));
  }
  {
    RangeSession s{{0, hash(0, 9)}, block(1)};
    World w{0, 1};
    w.add(s.start(1));
    w.add(s.on_kept({}));
    w.add(s.on_headers({absl::OkStatus(), {{header(1), 0}}}));
    w.add(s.on_judged(absl::OkStatus()));
    EXPECT_TRUE(absl::IsFailedPrecondition(*w.end)) << "another parent";
  }
  {
    World w{0, 2};
    w.start();
    w.answer_kept();
    w.take<WindowProof::AskHeaders>();
    w.add(w.session.on_headers({absl::OkStatus(), {{header(1), 0}}}));
    w.take<WindowProof::AskGap>();
    w.add(w.session.on_gap(absl::NotFoundError("it was reorged out")));
    EXPECT_TRUE(absl::IsNotFound(*w.end));
  }
  {
    World w{0, 2};
    w.start();
    w.answer_kept();
    w.answer_headers();
    w.take<WindowProof::Judge>();
    w.add(w.session.on_judged(absl::UnavailableError("a rule")));
    EXPECT_TRUE(absl::IsUnavailable(*w.end));
  }
}

TEST(RangeSession, HeadersOfAProofThatFailsAreKept) {
  World w{0, 250};
  w.start();
  w.answer_kept();
  w.answer_headers();
  w.answer_headers();
  w.take<WindowProof::AskHeaders>();
  w.add(w.session.on_headers({absl::UnavailableError("nobody"), {{header(201), 0}}}));
  ASSERT_TRUE(w.end);
  EXPECT_TRUE(absl::IsUnavailable(*w.end));
  EXPECT_EQ(w.kept, 201U);
}

TEST(RangeSession, WhatLiesBeforeAFailureIsStillWritten) {
  World w{0, 100};
  w.start();
  w.prove_window();
  const auto first = w.take<RangeSession::AskBodies>();
  const auto second = w.take<RangeSession::AskBodies>();
  const auto third = w.take<RangeSession::AskBodies>();
  w.add(w.session.on_bodies(third.id, absl::UnavailableError("third"), 0));
  EXPECT_TRUE(w.freed.contains(third.id));
  w.add(w.session.on_bodies(second.id, World::payloads_for(second), 1));
  EXPECT_FALSE(w.end);
  w.add(w.session.on_bodies(first.id, World::payloads_for(first), 1));
  w.answer_write();
  EXPECT_FALSE(w.end);
  w.answer_write();
  ASSERT_TRUE(w.end);
  EXPECT_EQ(w.end->message(), "third");
  w.expect_all(1, third.batch.at);
}

TEST(RangeSession, OneBatchIsWrittenAtATimeAndItsMemoryIsFreeWhenTheReaderHasIt) {
  World w{0, 100};
  w.start();
  w.prove_window();
  const auto first = w.take<RangeSession::AskBodies>();
  const auto second = w.take<RangeSession::AskBodies>();
  EXPECT_LE(first.batch.count, 2U) << "the first block leaves soon";
  w.add(w.session.on_bodies(second.id, World::payloads_for(second), 1));
  EXPECT_EQ(w.count<RangeSession::Write>(), 0U);
  w.add(w.session.on_bodies(first.id, World::payloads_for(first), 1));
  EXPECT_EQ(w.count<RangeSession::Write>(), 1U);
  EXPECT_TRUE(w.freed.empty());
  w.answer_write();
  EXPECT_TRUE(w.freed.contains(first.id));
  EXPECT_EQ(w.count<RangeSession::Write>(), 1U);
}

TEST(RangeSession, AFailureOfTheNextWindowComesBehindTheBodiesOfThisOne) {
  World w{0, 8193};
  w.start();
  w.answer_border();
  w.prove_window();
  w.answer_kept();
  w.take<WindowProof::AskHeaders>();
  w.add(w.session.on_headers({absl::UnavailableError("next window"), {}}));
  while (w.count<WindowProof::AskHeaders>() > 0) w.answer_headers();
  EXPECT_FALSE(w.end);
  w.run();
  ASSERT_TRUE(w.end);
  EXPECT_EQ(w.end->message(), "next window");
  w.expect_all(1, RangeSession::kFirstWindow);
}

TEST(RangeSession, ACallerThatIsGoneEndsItAndNothingMoreComesOfIt) {
  World w{0, 300};
  w.start();
  w.answer_kept();
  w.answer_headers();
  const auto late = w.take<WindowProof::AskHeaders>();
  w.add(w.session.on_gone());
  ASSERT_TRUE(w.end);
  EXPECT_TRUE(absl::IsCancelled(*w.end));
  EXPECT_EQ(w.kept, 100U);
  EXPECT_TRUE(w.session.on_headers(World::headers_for(late)).empty());
  EXPECT_TRUE(w.session.on_gone().empty());
}

}  // namespace
}  // namespace towline::fetcher
