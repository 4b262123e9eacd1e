#include "services/remote-fetcher/core/vote.hpp"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace towline::fetcher {
namespace {

using ::testing::HasSubstr;

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);
constexpr Vote::Ages kAges{absl::Seconds(3), absl::Seconds(13), absl::Seconds(10)};

/// A branch leaves the honest chain (0) at some height, and has its own blocks from there on.
struct Chain {
  std::uint8_t branch = 0;
  std::uint64_t leaves_after = 0;
  eth::BlockRef at(std::uint64_t n) const {
    const auto id = [&](std::uint64_t x) {
      const std::uint8_t b = x > leaves_after ? branch : 0;
      return Hash32{{b, static_cast<std::uint8_t>(x), static_cast<std::uint8_t>(x >> 8U), 1}};
    };
    return {n, id(n), id(n - 1), n * 2};
  }
};

/// A source, with what it answers by label and by number.
struct Node {
  std::string name;
  contract::EndpointKind kind = contract::EndpointKind::el;
  Chain chain = {};
  std::uint64_t unsafe = 100, safe = 95, finalized = 90;

  contract::HeadSnapshot heads(absl::Time now) const {
    contract::HeadSnapshot s;
    s.endpoint = name;
    s.kind = kind;
    s.unsafe = chain.at(unsafe);
    s.safe = chain.at(safe);
    s.finalized = chain.at(finalized);
    s.observed = now;
    return s;
  }
  void look(Vote& v, absl::Time now, const std::optional<eth::BlockId>& confirmed_finalized = {}) const {
    auto asked = v.heights(name, now);
    if (confirmed_finalized) asked.push_back(confirmed_finalized->number);
    std::map<std::uint64_t, Hash32> has;
    for (const std::uint64_t n : asked)
      if (n <= unsafe && contract::serves_blocks(kind)) has[n] = chain.at(n).hash;
    v.put(heads(now), asked, has);
  }
};

Vote vote_of(const std::vector<Voter>& voters, Quorum quorum = {}) {
  EXPECT_TRUE(check(voters, quorum).ok());
  return Vote{voters, quorum, kAges};
}

/// Looks at all sources several times, enough to tell branches apart.
std::optional<contract::HeadSnapshot> after_looks(Vote& v, const std::vector<Node>& nodes,
                                                  const std::optional<eth::BlockId>& confirmed_finalized = {}) {
  for (int look = 0; look < 4; ++look)
    for (const Node& n : nodes) n.look(v, t0, confirmed_finalized);
  return v.choose(t0, confirmed_finalized);
}

const Chain kForged{7, 80};

TEST(Vote, OneSourceIsBelieved) {
  Vote v = vote_of({{"a", "x"}});
  const auto s = after_looks(v, {{"a"}});
  ASSERT_TRUE(s);
  EXPECT_EQ(s->unsafe->number, 100U);
  EXPECT_EQ(s->safe->number, 95U);
  EXPECT_EQ(s->finalized->number, 90U);
  EXPECT_EQ(s->safe_hold, contract::Hold::none);
}

TEST(Vote, OfTwoThatAgreeTheLowerLabelHoldsAndTheFirstLeads) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}});
  const auto s = after_looks(
      v, {{"a", contract::EndpointKind::el, {}, 100, 95, 90}, {"b", contract::EndpointKind::el, {}, 104, 93, 91}});
  ASSERT_TRUE(s);
  EXPECT_EQ(s->endpoint, "a") << "best first";
  EXPECT_EQ(s->safe->number, 93U);
  EXPECT_EQ(s->finalized->number, 90U);
  EXPECT_EQ(s->safe_hold, contract::Hold::none);
  EXPECT_EQ(s->finalized_hold, contract::Hold::none);
  EXPECT_EQ(v.standing("a", t0).text, "leads");
  EXPECT_EQ(v.standing("b", t0).text, "agrees");
  EXPECT_EQ(v.standing("b", t0 + absl::Minutes(1)).text, "not heard");
}

TEST(Vote, OfTwoThatDisagreeNoLabelMovesAndTheFirstLeads) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}});
  const auto s = after_looks(v, {{"a"}, {"b", contract::EndpointKind::el, kForged, 120, 110, 105}});
  ASSERT_TRUE(s);
  EXPECT_EQ(s->endpoint, "a");
  EXPECT_EQ(s->safe_hold, contract::Hold::sources_disagree);
  EXPECT_EQ(s->finalized_hold, contract::Hold::sources_disagree);
  EXPECT_FALSE(s->safe && s->safe->number > 80);
  EXPECT_TRUE(v.standing("a", t0).dissents);
  EXPECT_THAT(v.standing("a", t0).text, HasSubstr("disagree"));
}

TEST(Vote, OfTwoOneAloneLeadsAndFinalizesNothing) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}});
  const auto s = after_looks(v, {{"b"}});
  ASSERT_TRUE(s);
  EXPECT_EQ(s->endpoint, "b");
  EXPECT_EQ(s->finalized_hold, contract::Hold::quorum_lost);
  EXPECT_FALSE(s->finalized);
  EXPECT_EQ(s->safe_hold, contract::Hold::quorum_lost);
  EXPECT_EQ(s->safe->number, 95U) << "for a chain that gossip names";
}

TEST(Vote, OfThreeOneThatLiesDecidesNothingWhereverItStands) {
  const std::vector<Node> lies = {
      {"lying", contract::EndpointKind::el, kForged, 100, 95, 90},
      {"lying", contract::EndpointKind::el, kForged, 130, 129, 128},
      {"lying", contract::EndpointKind::el, kForged, 100, 82, 81},
      {"lying", contract::EndpointKind::cl, kForged, 130, 129, 128},
      {"lying", contract::EndpointKind::both, kForged, 130, 129, 90},
      {"lying", contract::EndpointKind::el, {}, 100, 100, 100},
      {"lying", contract::EndpointKind::el, {7, 20}, 100, 95, 30},
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    for (std::size_t place = 0; place < 3; ++place) {
      std::vector<Node> nodes = {{"a", contract::EndpointKind::el, {}, 100, 95, 90},
                                 {"b", contract::EndpointKind::el, {}, 101, 94, 90}};
      nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(place), lies[i]);
      std::vector<Voter> voters;
      for (const Node& n : nodes) voters.push_back({n.name, n.name});
      Vote v = vote_of(voters);
      const auto s = after_looks(v, nodes);
      ASSERT_TRUE(s);
      const std::string what = absl::StrCat("lie ", i, " at place ", place);
      if (lies[i].chain.branch != 0) {
        EXPECT_NE(s->endpoint, "lying") << what;
      }
      EXPECT_LE(s->safe->number, 95U) << what;
      EXPECT_GE(s->safe->number, 94U) << what;
      EXPECT_EQ(s->safe->hash, Chain{}.at(s->safe->number).hash) << what;
      EXPECT_EQ(*s->finalized, Chain{}.at(90)) << what;
      EXPECT_EQ(s->safe_hold, contract::Hold::none) << what;
      EXPECT_EQ(s->finalized_hold, contract::Hold::none) << what;
    }
  }
}

TEST(Vote, OfThreeTwoAreEnoughAndOneIsNot) {
  const std::vector<Voter> voters = {{"a", "x"}, {"b", "y"}, {"c", "z"}};
  Vote two = vote_of(voters);
  const auto s = after_looks(two, {{"b"}, {"c"}});
  EXPECT_EQ(s->finalized->number, 90U);
  EXPECT_EQ(s->finalized_hold, contract::Hold::none);
  Vote one = vote_of(voters);
  EXPECT_EQ(after_looks(one, {{"c", contract::EndpointKind::el, kForged, 130, 129, 128}})->finalized_hold,
            contract::Hold::quorum_lost)
      << "a lying source that is the first to be heard";
}

TEST(Vote, AGroupIsOneVoteHoweverManyEndpointsItHas) {
  Vote v = vote_of({{"a", "x"}, {"b", "x"}, {"c", "x"}, {"d", "y"}, {"e", "z"}});
  const Node a{"a", contract::EndpointKind::el, kForged, 130, 129, 128}, d{"d"}, e{"e"};
  Node b = a, c = a;
  b.name = "b";
  c.name = "c";
  const auto s = after_looks(v, {a, b, c, d, e});
  EXPECT_EQ(s->endpoint, "d");
  EXPECT_EQ(*s->finalized, Chain{}.at(90));
}

TEST(Vote, AGroupVotesForWhatItsMembersAgreeOn) {
  Vote v = vote_of({{"a", "x"}, {"b", "x"}});
  EXPECT_EQ(after_looks(v, {{"a"}, {"b", contract::EndpointKind::el, {}, 99, 94, 89}})->safe->number, 94U);
  Vote split = vote_of({{"a", "x"}, {"b", "x"}});
  const auto s = after_looks(split, {{"a"}, {"b", contract::EndpointKind::el, kForged}});
  EXPECT_EQ(s->safe_hold, contract::Hold::sources_disagree);
  EXPECT_FALSE(s->safe && s->safe->number > 80);
}

TEST(Vote, LabelsOfAClAndTheChainOfAnElAreOneVote) {
  const std::vector<Voter> voters = {{"el", "x"}, {"cl", "x"}, {"other", "y"}};
  Vote v = vote_of(voters);
  const auto s = after_looks(
      v, {{"el", contract::EndpointKind::el, {}, 100, 20, 10}, {"cl", contract::EndpointKind::cl}, {"other"}});
  EXPECT_EQ(s->safe->number, 95U) << "what an EL was told counts for nothing beside its CL";
  Vote lie = vote_of(voters);
  const auto t = after_looks(lie, {{"el"}, {"cl", contract::EndpointKind::cl, kForged}, {"other"}});
  EXPECT_EQ(t->safe_hold, contract::Hold::sources_disagree);
  EXPECT_FALSE(t->safe && t->safe->hash == kForged.at(95).hash);
}

TEST(Vote, ALabelThatNoElHasIsNobodys) {
  Vote v = vote_of({{"cl", "x"}, {"el", "y"}}, {1, 1});
  const auto s = after_looks(
      v, {{"cl", contract::EndpointKind::cl, kForged}, {"el", contract::EndpointKind::el, {}, 100, 94, 89}});
  EXPECT_EQ(*s->safe, Chain{}.at(94));
  EXPECT_EQ(*s->finalized, Chain{}.at(89));
}

TEST(Vote, WhoHasNoVoteOnALabelHasNone) {
  std::vector<Voter> voters = {{"a", "x"}, {"b", "y"}, {"c", "z"}};
  voters[0].safe = false;
  EXPECT_EQ(electorate(voters, {}).safe_quorum, 2U);
  Vote v = vote_of(voters);
  const auto s = after_looks(v, {{"a", contract::EndpointKind::el, {}, 100, 50, 90}, {"b"}, {"c"}});
  EXPECT_EQ(s->safe->number, 95U);
  voters[1].safe = voters[2].safe = false;
  EXPECT_THAT(std::string{check(voters, {}).message()}, HasSubstr("no endpoint has a vote on safe"));
  EXPECT_THAT(std::string{check({{"a", "x"}, {"b", "x"}}, {0, 2}).message()},
              HasSubstr("--quorum.finalized: 2 groups are asked for, and 1 is configured"));
}

TEST(Vote, AQuorumOfOneTakesTheHighestOfAllThatIsOnAChain) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}}, {1, 2});
  const auto s = after_looks(v, {{"a"}, {"b", contract::EndpointKind::el, {}, 100, 97, 85}});
  EXPECT_EQ(s->safe->number, 97U);
  EXPECT_EQ(s->finalized->number, 85U);
}

TEST(Vote, TheLeaderIsTheFirstThatIsNeitherLateNorStandsStill) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}});
  Node a{"a"}, b{"b"};
  for (int second = 0; second <= 30; ++second) {
    const absl::Time now = t0 + absl::Seconds(second);
    b.unsafe = 99 + static_cast<std::uint64_t>(second);
    a.look(v, now);
    b.look(v, now);
    EXPECT_EQ(v.choose(now)->endpoint, second <= 10 ? "a" : "b") << second;
  }
  Vote late = vote_of({{"a", "x"}, {"b", "y"}});
  a.look(late, t0);
  b.look(late, t0 + absl::Seconds(4));
  EXPECT_EQ(late.choose(t0 + absl::Seconds(4))->endpoint, "b");
  EXPECT_EQ(late.choose(t0 + absl::Seconds(14))->endpoint, "b") << "late, but the last one there is";
  EXPECT_FALSE(late.choose(t0 + absl::Seconds(18)));
}

TEST(Vote, OneThatStandsStillDoesNotHoldUpItsOwnGroup) {
  for (const std::uint64_t apart : {0U, 1U, 3U}) {
    Vote v{{{"proxy", "x"}, {"el", "x"}}, {}, Vote::Ages{absl::Seconds(3), absl::Seconds(13), absl::Seconds(6)}};
    Node proxy{"proxy", contract::EndpointKind::cl}, el{"el"};
    for (int second = 0; second <= 60; ++second) {
      const absl::Time now = t0 + absl::Seconds(second);
      // Two replicas that hang at two heights. One block per 2 s, and none after second 40.
      proxy.unsafe = 100 - (second % 2 == 0 ? 0 : apart);
      el.unsafe = 100 + static_cast<std::uint64_t>(std::min(second, 40) / 2);
      el.safe = el.unsafe - 5;
      proxy.look(v, now);
      el.look(v, now);
      EXPECT_EQ(v.choose(now)->endpoint, second <= 7 ? "proxy" : "el") << apart << " " << second;
      if (second > 7) {
        EXPECT_EQ(v.choose(now)->safe->number, el.safe);
      }
    }
    proxy.unsafe = 121;
    proxy.look(v, t0 + absl::Seconds(61));
    EXPECT_EQ(v.choose(t0 + absl::Seconds(61))->endpoint, "proxy") << "it goes on";
  }
}

TEST(Vote, AnotherUnsafeBlockIsNoBranchBeforeTheThirdLook) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  const Node a{"a", contract::EndpointKind::el, {7, 97}, 100, 95, 90}, b{"b"}, c{"c"};
  for (const Node& n : {a, b, c}) n.look(v, t0);
  for (int look = 1; look <= 4; ++look) {
    EXPECT_EQ(v.choose(t0)->endpoint, "b") << look << ": who has another block than most does not lead";
    EXPECT_EQ(v.choose(t0)->agree, 2U) << look;
    EXPECT_EQ(v.standing("a", t0).dissents, look >= 3) << look;
    for (const Node& n : {a, b, c}) n.look(v, t0);
  }
  EXPECT_EQ(v.choose(t0)->safe->number, 95U) << "labels go on meanwhile";
  Vote two = vote_of({{"a", "x"}, {"b", "y"}});
  for (const Node& n : {a, b, a}) n.look(two, t0);
  EXPECT_EQ(two.choose(t0)->endpoint, "a");
  EXPECT_EQ(two.choose(t0)->agree, 1U) << "no majority from the first look on";
}

TEST(Vote, WhoContradictsTheConfirmedFinalizedHasNoVoteAndMostOfThemAreShown) {
  const eth::BlockId confirmed_finalized = Chain{}.at(85).id();
  const Node lying{"a", contract::EndpointKind::el, kForged, 130, 129, 128};
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  const auto s = after_looks(v, {lying, {"b"}}, confirmed_finalized);
  EXPECT_EQ(s->endpoint, "b");
  EXPECT_FALSE(s->contradicts_finalized);
  EXPECT_EQ(s->finalized_hold, contract::Hold::quorum_lost) << "one of three has a vote";
  EXPECT_EQ(v.choose(t0, kForged.at(85).id())->contradicts_finalized, false)
      << "another subscriber, another confirmed_finalized";
  EXPECT_EQ(v.choose(t0, kForged.at(85).id())->endpoint, "a");
  Node second = lying;
  second.name = "c";
  const auto most = after_looks(v, {lying, {"b"}, second}, confirmed_finalized);
  EXPECT_TRUE(most->contradicts_finalized);
  Vote alone = vote_of({{"a", "x"}, {"b", "y"}});
  EXPECT_FALSE(after_looks(alone, {lying}, confirmed_finalized)) << "one of two, and nobody else is heard";
}

TEST(Vote, OfAGroupThatIsSplitAtTheConfirmedFinalizedOnlyWhoContradictsItIsLeftOut) {
  // The lying source is first in the list, and has the higher head.
  Vote v = vote_of({{"lying", "x"}, {"a", "x"}});
  const auto s = after_looks(v, {{.name = "lying", .chain = kForged, .unsafe = 110}, {"a"}}, Chain{}.at(85).id());
  ASSERT_TRUE(s);
  EXPECT_EQ(s->endpoint, "a");
  EXPECT_FALSE(s->contradicts_finalized);
  EXPECT_EQ(s->unsafe->hash, Chain{}.at(100).hash);
  EXPECT_TRUE(s->others.empty());
}

TEST(Vote, WhatWasNotComparedAtTheConfirmedFinalizedIsNotFollowed) {
  Vote v = vote_of({{"a", "x"}});
  const eth::BlockId confirmed_finalized = Chain{}.at(85).id();
  Node{"a"}.look(v, t0);
  EXPECT_FALSE(v.choose(t0, confirmed_finalized));
  Node{"a"}.look(v, t0, confirmed_finalized);
  EXPECT_TRUE(v.choose(t0, confirmed_finalized));
  Vote cl = vote_of({{"a", "x"}});
  Node{"a", contract::EndpointKind::cl}.look(cl, t0);
  EXPECT_TRUE(cl.choose(t0, confirmed_finalized)) << "it has no blocks by number to compare";
}

TEST(Vote, KnowsWhetherAnotherElVerifies) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"cl", "z"}});
  Node{"a"}.look(v, t0);
  Node{"cl", contract::EndpointKind::cl}.look(v, t0);
  EXPECT_FALSE(v.others_verify("a", t0)) << "a CL proves nothing";
  Node{"b"}.look(v, t0);
  EXPECT_TRUE(v.others_verify("a", t0));
  EXPECT_FALSE(v.others_verify("a", t0 + absl::Seconds(4)));
}

TEST(Vote, WhereAllAgreeALookComparesOneHeight) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  const std::vector<Node> nodes = {{"a"}, {"b"}, {"c", contract::EndpointKind::el, {}, 98, 95, 90}};
  after_looks(v, nodes);
  EXPECT_THAT(v.heights("a", t0), ::testing::ElementsAre(98));
}

TEST(Vote, WhereAllDifferALookStillFitsIntoTwoBatchesOfTen) {
  for (std::size_t n = 2; n <= 8; ++n) {
    std::vector<Voter> voters;
    std::vector<Node> nodes;
    for (std::size_t i = 0; i < n; ++i) {
      voters.push_back({absl::StrCat("n", i), absl::StrCat("g", i)});
      nodes.push_back({absl::StrCat("n", i), contract::EndpointKind::el, {}, 200 - i, 150 - 2 * i, 100 - 2 * i});
    }
    Vote v = vote_of(voters);
    after_looks(v, nodes);
    // Three labels, and one confirmed finalized block.
    EXPECT_LE(v.heights("n0", t0).size() + 4, 20U) << n;
  }
}

TEST(Vote, WhatMostHaveIsNamedAndWhoIsFarBehindItDoesNotLead) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  const auto s = after_looks(
      v, {{"a"}, {"b", contract::EndpointKind::el, {}, 101}, {"c", contract::EndpointKind::el, {7, 96}, 103}});
  EXPECT_EQ(s->agreed, Chain{}.at(100).id());
  EXPECT_EQ(s->groups, 3U);
  EXPECT_EQ(s->agree, 2U);
  // Blocks of 2 s; a source that stands still for 10 s is passed over, and so is one that stays this far behind.
  Vote lag = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  EXPECT_EQ(after_looks(lag, {{"a", contract::EndpointKind::el, {}, 95, 90, 85}, {"b"}, {"c"}})->endpoint, "a");
  EXPECT_EQ(after_looks(lag, {{"a", contract::EndpointKind::el, {}, 94, 90, 85}, {"b"}, {"c"}})->endpoint, "b");
  EXPECT_EQ(lag.standing("a", t0).text, "its head is behind that of most");
  Vote two = vote_of({{"a", "x"}, {"b", "y"}});
  EXPECT_EQ(after_looks(two, {{"a", contract::EndpointKind::el, {}, 60, 50, 40}, {"b"}})->endpoint, "a")
      << "one of two is not most";
  Vote one = vote_of({{"a", "x"}});
  EXPECT_EQ(after_looks(one, {{"a"}})->agreed, std::nullopt);
}

TEST(Vote, WhoStartsOrReplaysLeadsOnlyWhereNobodyElseIs) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  Node first{"a", contract::EndpointKind::both};
  contract::HeadSnapshot replaying = first.heads(t0);
  replaying.current_l1 = eth::BlockRef{};
  v.put(replaying, {}, {});
  EXPECT_EQ(v.choose(t0)->endpoint, "a");
  for (const char* other : {"b", "c"}) Node{other}.look(v, t0);
  EXPECT_EQ(v.choose(t0)->endpoint, "b");
  EXPECT_EQ(v.standing("a", t0).text, "starting or replaying");
}

TEST(Vote, WhoContradictsAVotedLabelLeadsNowhere) {
  // Only the lying source of the three has a vote on unsafe heads.
  Vote v = vote_of({{"lying", "x"}, {"b", "y", false}, {"c", "z", false}});
  const auto s = after_looks(v, {{"lying", contract::EndpointKind::el, kForged, 130, 129, 128}, {"b"}, {"c"}});
  ASSERT_TRUE(s);
  EXPECT_EQ(s->endpoint, "b");
  EXPECT_EQ(s->safe->number, 95U);
}

TEST(Vote, WhatOneSaysIsDerivedCountsIfMostHaveIt) {
  // The source agrees with the others in everything else.
  const auto local_safe_of = [](const std::vector<Voter>& voters, const Chain& chain, std::uint64_t number) {
    Vote v = vote_of(voters);
    std::optional<contract::HeadSnapshot> s;
    for (int look = 0; look < 4; ++look) {
      Node cl{voters[0].endpoint, contract::EndpointKind::cl};
      contract::HeadSnapshot h = cl.heads(t0);
      h.local_safe = chain.at(number);
      v.put(h, {}, {});
      for (std::size_t i = 1; i < voters.size(); ++i) Node{voters[i].endpoint}.look(v, t0);
    }
    return v.choose(t0)->local_safe;
  };
  const std::vector<Voter> three = {{"cl", "x"}, {"b", "y"}, {"c", "z"}};
  EXPECT_EQ(local_safe_of(three, {}, 97), Chain{}.at(97));
  EXPECT_EQ(local_safe_of(three, {7, 96}, 97), std::nullopt);
  EXPECT_EQ(local_safe_of({{"cl", "x"}}, {7, 96}, 97), (Chain{7, 96}.at(97))) << "one source is believed";
}

TEST(Vote, ARangeMayNotPassByWhatAQuorumSays) {
  Vote v = vote_of({{"a", "x"}, {"b", "y"}, {"c", "z"}});
  const auto s = after_looks(v, {{"a"}, {"b"}, {"c"}});
  const auto range = [](const Chain& c, std::uint64_t first, std::uint64_t last) {
    return [=](std::uint64_t n) { return n >= first && n <= last ? std::optional{c.at(n).hash} : std::nullopt; };
  };
  struct Case {
    Chain chain;
    std::uint64_t first, last;
    bool fits, settled_85, settled_93;
  };
  for (const Case& c : {Case{{}, 50, 100, true, true, false}, Case{{7, 92}, 50, 100, false, true, false},
                        Case{{7, 80}, 50, 100, false, false, false}, Case{{7, 80}, 50, 89, true, false, false},
                        Case{{7, 96}, 50, 100, false, true, false}, Case{{}, 91, 100, true, false, false}}) {
    const auto r = range(c.chain, c.first, c.last);
    EXPECT_EQ(check_range(*s, r).ok(), c.fits) << c.chain.leaves_after << " " << c.first << ".." << c.last;
    EXPECT_EQ(is_settled(*s, r, 85), c.settled_85) << c.chain.leaves_after << " " << c.first << ".." << c.last;
    EXPECT_EQ(is_settled(*s, r, 93), c.settled_93) << "above what is final anybody may be honest";
  }
}

TEST(Elect, TakesWhatAllHaveWhoAnswerElseWhatMostGroupsHave) {
  const std::vector<Voter> voters = {{"a", "x"}, {"b", "y"}, {"c", "z"}, {"d", "z"}};
  const Hash32 h{{1}}, other{{2}};
  EXPECT_EQ(elect(voters, {}), std::nullopt);
  EXPECT_EQ(elect(voters, {{0, h}}), h) << "nobody contradicts";
  EXPECT_EQ(elect(voters, {{0, other}, {1, h}, {2, h}}), h);
  EXPECT_EQ(elect(voters, {{0, other}, {1, h}}), std::nullopt) << "one of three each";
  EXPECT_EQ(elect(voters, {{0, other}, {1, h}, {2, h}, {3, other}}), std::nullopt) << "z is split";
  EXPECT_EQ(elect(voters, {{0, h}, {1, h}, {2, other}, {3, other}}), h) << "two endpoints of one group are one vote";
}

TEST(Vote, AMajorityIsOfAllThatAreConfigured) {
  const Hash32 h{{1}}, other{{2}};
  const Testimony has_h{true, {{7, h}}}, has_other{true, {{7, other}}}, nothing{};
  const Testimony cl_h{false, {{7, h}}}, cl_other{false, {{7, other}}};
  const std::vector<Voter> three{{"a", "x"}, {"b", "y"}, {"c", "z"}};
  const std::vector<Voter> twice{{"a", "x"}, {"a2", "x"}, {"b", "y"}, {"c", "z"}};
  struct Row {
    const char* name;
    const std::vector<Voter>* voters;
    std::map<std::size_t, Testimony> said;
    std::optional<Hash32> majority;
  };
  const Row rows[] = {
      {"all", &three, {{0, has_h}, {1, has_h}, {2, has_h}}, h},
      {"two of three", &three, {{0, has_other}, {1, has_h}, {2, has_h}}, h},
      {"two heard of three", &three, {{0, nothing}, {1, has_h}, {2, has_h}}, h},
      {"one heard of three", &three, {{1, has_h}}, std::nullopt},
      {"one of three each", &three, {{0, has_other}, {1, has_h}, {2, nothing}}, std::nullopt},
      {"two endpoints of one group are one vote", &twice, {{0, has_h}, {1, has_h}, {2, has_other}}, std::nullopt},
      {"a group that is split has none", &twice, {{0, has_h}, {1, has_other}, {2, has_h}}, std::nullopt},
      {"it is not needed", &twice, {{0, has_h}, {1, has_other}, {2, has_h}, {3, has_h}}, h},
      {"a CL has a vote where no EL of its group speaks", &three, {{0, cl_h}, {1, has_h}}, h},
      {"the EL goes before the CL", &twice, {{0, cl_other}, {1, has_h}, {2, has_h}}, h},
      {"and against it", &twice, {{0, cl_h}, {1, has_other}, {2, has_h}}, std::nullopt},
      {"nobody", &three, {}, std::nullopt},
  };
  for (const Row& row : rows) {
    const auto m = majority(*row.voters, row.said);
    EXPECT_EQ(m.contains(7) ? std::optional{m.at(7)} : std::nullopt, row.majority) << row.name;
    EXPECT_LE(m.size(), 1U) << row.name;
  }
}

/// A minority of lying sources says anything: none of their blocks ever becomes safe or finalized, and the head is the
/// honest one as soon as there were enough looks.
TEST(Vote, AMinorityOfLyingSourcesNeverMovesALabel) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return random() % n; };
  for (int run = 0; run < 1000; ++run) {
    const std::size_t groups = 3 + below(3);
    const std::size_t lying = (groups - 1) / 2;
    std::vector<std::size_t> order(groups);
    for (std::size_t i = 0; i < groups; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<Voter> voters;
    for (const std::size_t i : order) voters.push_back({absl::StrCat("n", i), absl::StrCat("g", i)});
    Vote v = vote_of(voters);
    std::uint64_t head = 100, final_so_far = 0;
    int honest_looks = 0;
    for (int second = 0; second < 40; ++second) {
      const absl::Time now = t0 + absl::Seconds(second);
      head += below(3);
      for (std::size_t i = 0; i < groups; ++i) {
        Node n{absl::StrCat("n", i)};
        if (i < lying) {
          if (below(4) == 0) continue;  // it withholds an answer
          n.kind = std::array{contract::EndpointKind::el, contract::EndpointKind::cl,
                              contract::EndpointKind::both}[below(3)];
          n.chain = {static_cast<std::uint8_t>(1 + below(2)), 60 + below(60)};
          n.unsafe = 90 + below(200);
          n.safe = 60 + below(n.unsafe - 60);
          n.finalized = 50 + below(n.safe - 50 + 1);
        } else {
          n.unsafe = head - below(3);
          n.safe = n.unsafe - 5 - below(3);
          n.finalized = n.safe - 5;
        }
        n.look(v, now);
      }
      ++honest_looks;
      const auto s = v.choose(now);
      ASSERT_TRUE(s);
      for (const auto& [label, hold] : {std::pair{s->safe, s->safe_hold}, {s->finalized, s->finalized_hold}})
        ASSERT_TRUE(!label || hold == contract::Hold::quorum_lost || label->hash == Chain{}.at(label->number).hash)
            << run;
      ASSERT_EQ(s->finalized_hold, contract::Hold::none) << run;
      if (s->finalized) final_so_far = std::max(final_so_far, s->finalized->number);
    }
    ASSERT_GE(final_so_far, head - 30) << "finality goes on";
  }
}

}  // namespace
}  // namespace towline::fetcher
