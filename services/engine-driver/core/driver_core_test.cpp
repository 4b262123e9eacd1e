#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <sstream>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/contract/command.hpp"
#include "libs/eth/engine_json.hpp"
#include "services/engine-driver/core/engine_answer.hpp"
#include "services/engine-driver/core/foreign_head.hpp"
#include "services/engine-driver/core/gate.hpp"
#include "services/engine-driver/core/import_plan.hpp"
#include "services/engine-driver/core/jwt.hpp"
#include "services/engine-driver/core/prepared_payload.hpp"
#include "services/engine-driver/core/quarantine.hpp"
#include "services/engine-driver/core/rates.hpp"
#include "services/engine-driver/core/read_back.hpp"
#include "services/engine-driver/core/twin.hpp"

namespace towline::driver {
namespace {

using ::testing::HasSubstr;

Hash32 hash(std::uint64_t n, std::uint8_t branch = 0) {
  Hash32 h;
  for (unsigned i = 0; i < 8; ++i) h.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
  h.bytes[8] = branch;
  h.bytes[31] = 1;
  return h;
}
eth::BlockId id(std::uint64_t n, std::uint8_t branch = 0) { return {n, hash(n, branch)}; }
eth::BlockRef ref(std::uint64_t n, std::uint8_t branch = 0, std::uint8_t parent_branch = 0) {
  return {n, hash(n, branch), hash(n - 1, parent_branch), n * 2};
}
contract::Labels labels(std::uint64_t latest, std::uint64_t safe, std::uint64_t finalized) {
  return {ref(latest), ref(safe), ref(finalized)};
}

// The reference vector; its secret is "secret" repeated to 32 bytes.
TEST(Jwt, MatchesTheVector) {
  const auto secret = parse_jwt_secret("0x7365637265747365637265747365637265747365637265747365637265747365\n");
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(
      make_jwt(*secret, 1700000000),
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.M2nY84VaM-AUfRGDPC_vdyUsN1rvFs8UaGBU76h2vK4");
}

TEST(Jwt, BadSecretsAreNamedAndNeverShown) {
  for (const char* text : {"", "  \n", "abcd", "zz65637265747365637265747365637265747365637265747365637265747365"}) {
    const auto s = parse_jwt_secret(text);
    ASSERT_FALSE(s.ok()) << text;
    EXPECT_EQ(s.status().message().find("zz65"), absl::string_view::npos);
    EXPECT_NE(s.status().message().find("64 hex digits"), absl::string_view::npos) << s.status();
  }
}

EngineAnswer status(PayloadStatus s) {
  EngineAnswer a;
  a.kind = EngineAnswer::Kind::status;
  a.status = s;
  return a;
}
EngineAnswer of(EngineAnswer::Kind kind, std::int64_t code = 0) {
  EngineAnswer a;
  a.kind = kind;
  a.code = code;
  return a;
}

struct Row {
  const char* name;  // as in docs/engine-reactions.md
  EngineAnswer answer;
  Reaction reaction;
};
const std::vector<Row>& rows() {
  using K = EngineAnswer::Kind;
  static const std::vector<Row> kRows = {
      {"VALID", status(PayloadStatus::valid), Reaction::proceed},
      {"INVALID", status(PayloadStatus::invalid), Reaction::invalid},
      {"SYNCING", status(PayloadStatus::syncing), Reaction::missing_state},
      {"ACCEPTED", status(PayloadStatus::accepted), Reaction::missing_state},
      {"-32700", of(K::error, -32700), Reaction::unsupported},
      {"-32600", of(K::error, -32600), Reaction::unsupported},
      {"-32601", of(K::error, -32601), Reaction::unsupported},
      {"-32602", of(K::error, -32602), Reaction::unsupported},
      {"-32603", of(K::error, -32603), Reaction::retry},
      {"-32000", of(K::error, -32000), Reaction::retry},
      {"-38001", of(K::error, -38001), Reaction::retry},
      {"-38002", of(K::error, -38002), Reaction::not_applied},
      {"-38003", of(K::error, -38003), Reaction::unsupported},
      {"-38004", of(K::error, -38004), Reaction::unsupported},
      {"-38005", of(K::error, -38005), Reaction::unsupported},
      {"-38006", of(K::error, -38006), Reaction::not_applied},
      {"HTTP 401", of(K::http, 401), Reaction::auth_failed},
      {"HTTP 403", of(K::http, 403), Reaction::auth_failed},
      {"HTTP 5xx", of(K::http, 502), Reaction::retry},
      {"timeout", of(K::timeout), Reaction::retry},
      {"connection lost", of(K::transport), Reaction::retry},
      {"not JSON-RPC", of(K::malformed), Reaction::retry},
      {"came back", of(K::came_back), Reaction::start_over},
  };
  return kRows;
}

TEST(Reactions, EachAnswerHasItsReaction) {
  for (const Row& r : rows()) {
    EXPECT_EQ(react(r.answer), r.reaction) << r.name;
    EXPECT_FALSE(describe(r.answer).empty());
  }
}

TEST(Reactions, TheDocumentHasTheSameTable) {
  std::ifstream in{std::string{TOWLINE_SOURCE_DIR} + "/docs/engine-reactions.md"};
  std::stringstream text;
  text << in.rdbuf();
  for (const Row& r : rows()) {
    const std::string line = std::string{"| "} + r.name + " | `" + name(r.reaction) + "` |";
    EXPECT_NE(text.str().find(line), std::string::npos)
        << "docs/engine-reactions.md has no line starting with: " << line;
  }
}

TEST(ReadBack, SaysWhichLabelOfAnUpdateIsMissing) {
  EXPECT_EQ(difference({id(100), id(90), id(80)}, labels(100, 90, 80)), "");
  EXPECT_EQ(difference({id(100), {}, {}}, labels(100, 90, 80)), "") << "what was not asked for may be anything";
  EXPECT_THAT(difference({id(101), {}, {}}, labels(100, 90, 80)), HasSubstr("head reads back"));
  EXPECT_THAT(difference({id(100, 1), {}, {}}, labels(100, 90, 80)), HasSubstr("head reads back"));
  EXPECT_THAT(difference({id(100), id(91), id(80)}, labels(100, 90, 80)), HasSubstr("safe reads back"));
  EXPECT_THAT(difference({id(100), id(90), id(81)}, {ref(100), ref(90), {}}), HasSubstr("finalized reads back"));
}

// The EL's labels after a write without an answer. Before the write: head 100, safe 90, finalized 80.
TEST(ReadBack, AWriteThatWasLostIsRepeatedOnlyToTheSameEl) {
  const contract::Labels before = labels(100, 90, 80);
  const contract::Forkchoice head_only{id(110), {}, {}}, all{id(110), id(95), id(85)}, same_head{id(100), id(95), {}};
  enum class Then { again, applied, start_over };
  const struct {
    const char* name;
    const contract::Forkchoice* update;  // nullptr: newPayload
    contract::Labels shown;
    Then then;
  } rows[] = {
      {"payload, as before", nullptr, labels(100, 90, 80), Then::again},
      {"payload, came back lower", nullptr, labels(60, 50, 40), Then::start_over},
      {"payload, came back lower without labels", nullptr, {ref(60), {}, {}}, Then::start_over},
      {"payload, came back without safe", nullptr, {ref(100), {}, ref(80)}, Then::start_over},
      {"payload, came back without finalized", nullptr, {ref(100), ref(90), {}}, Then::start_over},
      {"payload, another branch of the same height", nullptr, {ref(100, 1), ref(90), ref(80)}, Then::start_over},
      {"payload, someone else moved it on", nullptr, labels(101, 90, 80), Then::start_over},
      {"update, as before", &all, labels(100, 90, 80), Then::again},
      {"update, applied", &all, labels(110, 95, 85), Then::applied},
      {"update of the head, applied", &head_only, labels(110, 90, 80), Then::applied},
      {"update of the head, applied and then killed", &head_only, {ref(110), {}, {}}, Then::start_over},
      {"update, half applied", &all, labels(110, 90, 80), Then::start_over},
      {"update, came back lower", &all, {ref(60), {}, {}}, Then::start_over},
      {"update of labels, as before", &same_head, labels(100, 90, 80), Then::again},
      {"update of labels, applied", &same_head, labels(100, 95, 80), Then::applied},
  };
  for (const auto& row : rows) {
    const auto a = after_loss(before, row.update, row.shown);
    const Then then = !a ? Then::again : a->kind == EngineAnswer::Kind::came_back ? Then::start_over : Then::applied;
    EXPECT_EQ(then, row.then) << row.name;
    if (!a) continue;
    EXPECT_EQ(react(*a), then == Then::applied ? Reaction::proceed : Reaction::start_over) << row.name;
    EXPECT_THAT(describe(*a), HasSubstr(then == Then::applied ? "VALID" : "reads back as")) << row.name;
  }
}

using Save = std::function<absl::Status(const Persistent& p)>;
absl::Status saved(const Persistent&) { return absl::OkStatus(); }

/// Saves the state that the gate asks to save, as the sessions do.
absl::Status keep(Gate& g, const absl::StatusOr<Gate::ToSave>& next, const Save& save) {
  TOWLINE_RETURN_IF_ERROR(next.status());
  if (!*next) return absl::OkStatus();
  TOWLINE_RETURN_IF_ERROR(save(**next));
  g.saved(**next);
  return absl::OkStatus();
}
absl::Status admit(Gate& g, const contract::CommandStamp& c, const contract::Labels& el, const Save& save) {
  TOWLINE_RETURN_IF_ERROR(keep(g, g.take_term(c), save));
  return Gate::check_head(c, el);
}

TEST(Gate, OlderTermsOtherAuthoritiesAndOtherHeadsAreRefused) {
  Gate g{{"single", 7, std::nullopt}};
  const contract::Labels el = labels(100, 90, 80);
  EXPECT_TRUE(admit(g, {"single", 7, hash(100)}, el, saved).ok());
  EXPECT_TRUE(admit(g, {"single", 9, hash(100)}, el, saved).ok());
  EXPECT_EQ(g.state().term, 9U);
  EXPECT_EQ(contract::refusal_of(admit(g, {"single", 8, hash(100)}, el, saved)), contract::Refusal::stale_term);
  EXPECT_EQ(contract::refusal_of(admit(g, {"etcd", 10, hash(100)}, el, saved)), contract::Refusal::other_authority);
  EXPECT_EQ(contract::refusal_of(admit(g, {"single", 9, hash(99)}, el, saved)), contract::Refusal::head_moved);
  EXPECT_TRUE(absl::IsInvalidArgument(admit(g, {"", 9, hash(100)}, el, saved)));
  EXPECT_EQ(g.state().term, 9U);
}

TEST(Gate, TermsThatCannotBeTrueAreRefused) {
  const contract::Labels el = labels(100, 90, 80);
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 63U;
  Gate single{{"single", 7, std::nullopt}};
  EXPECT_EQ(contract::refusal_of(admit(single, {"single", ~std::uint64_t{0}, hash(100)}, el, saved)),
            contract::Refusal::impossible_term);
  EXPECT_EQ(contract::refusal_of(admit(single, {"single", 1'008, hash(100)}, el, saved)),
            contract::Refusal::impossible_term);
  EXPECT_EQ(single.state().term, 7U);
  EXPECT_TRUE(admit(single, {"single", 1'007, hash(100)}, el, saved).ok());
  Gate fresh{{}};
  EXPECT_EQ(contract::refusal_of(admit(fresh, {"single", 1'001, hash(100)}, el, saved)),
            contract::Refusal::impossible_term);
  Gate etcd{{"etcd", 7, std::nullopt}};
  EXPECT_EQ(contract::refusal_of(admit(etcd, {"etcd", kEnd, hash(100)}, el, saved)),
            contract::Refusal::impossible_term);
  EXPECT_TRUE(admit(etcd, {"etcd", kEnd - 1, hash(100)}, el, saved).ok());
}

TEST(Gate, WhatIsNotSavedDoesNotCount) {
  const contract::Labels el = labels(100, 90, 80);
  const Persistent before{"single", 7, id(70)};
  Gate g{before};
  const Save full = [](const Persistent&) { return absl::UnavailableError("no space left"); };
  EXPECT_TRUE(absl::IsUnavailable(admit(g, {"single", 8, hash(100)}, el, full)));
  EXPECT_TRUE(absl::IsUnavailable(keep(g, g.confirm_finalized(id(80)), full)));
  EXPECT_EQ(g.state(), before);
  EXPECT_TRUE(admit(g, {"single", 7, hash(100)}, el, full).ok()) << "nothing new to be saved";
}

TEST(Gate, AnElOffTheConfirmedFinalizedIsSeen) {
  EXPECT_TRUE(compare_confirmed_finalized(id(80), std::nullopt).ok()) << "it came back below it";
  EXPECT_TRUE(compare_confirmed_finalized(id(80), ref(80)).ok());
  EXPECT_EQ(contract::refusal_of(compare_confirmed_finalized(id(80, 1), ref(80))), contract::Refusal::below_finalized);
}

TEST(Gate, FinalizedNeverGoesBackNorBeside) {
  Gate g{{"single", 1, id(80)}};
  const contract::Labels el = labels(100, 90, 80);
  EXPECT_TRUE(g.check_labels(id(100), id(90), id(80), el).ok());
  EXPECT_TRUE(g.check_labels(id(100), id(95), id(85), el).ok());
  EXPECT_FALSE(g.check_labels(id(100), id(90), id(79), el).ok());
  EXPECT_FALSE(g.check_labels(id(100), id(90), id(80, 1), el).ok());
  EXPECT_FALSE(g.check_labels(id(100), id(79), std::nullopt, el).ok());
  EXPECT_FALSE(g.check_labels(id(100), id(101), std::nullopt, el).ok());
  EXPECT_FALSE(g.check_labels(id(100), std::nullopt, id(91), el).ok()) << "finalized above the safe label that stays";
}

TEST(Gate, TheConfirmedFinalizedOnlyRisesAndBoundsRewinds) {
  Gate g{{"single", 1, id(80)}};
  EXPECT_TRUE(keep(g, g.confirm_finalized(id(79)), saved).ok());
  EXPECT_EQ(g.state().confirmed_finalized, id(80));
  EXPECT_TRUE(keep(g, g.confirm_finalized(id(81)), saved).ok());
  EXPECT_EQ(g.state().confirmed_finalized, id(81));
  EXPECT_TRUE(g.check_rewind(id(81)).ok());
  EXPECT_FALSE(g.check_rewind(id(80)).ok());
  EXPECT_FALSE(g.check_rewind(id(81, 1)).ok());
}

TEST(Gate, AnOperatorLowersWhatIsFinalAndNothingElse) {
  struct Case {
    const char* name;
    std::optional<eth::BlockId> confirmed_finalized;
    contract::Labels el;
    eth::BlockId was, to;
    std::optional<eth::BlockId> confirmed_finalized_after;
    std::optional<contract::Refusal> refusal = {};
    bool makes_sense = true;
    bool goes_back = true;
  };
  const contract::Labels el = labels(100, 90, 80);
  const contract::Labels lost{ref(100), {}, {}};
  const Case rows[] = {
      {"the confirmed finalized block", id(80), el, id(80), id(70), id(70)},
      {"the label above the confirmed finalized block, and with it the confirmed finalized block", id(75), el, id(80),
       id(70), id(70)},
      {"the label, down to above the confirmed finalized block", id(60), el, id(80), id(70), id(60)},
      {"the label, there is no confirmed finalized block", std::nullopt, el, id(80), id(70), std::nullopt},
      {"the confirmed finalized block of an EL without labels", id(80), lost, id(80), id(70), id(70)},
      {"an EL below it", id(80), {ref(60), {}, {}}, id(80), id(60), id(60), {}, true, false},
      {"an EL beside it, which is right", id(80, 1), el, id(80, 1), id(80), id(80), {}, true, false},
      {"an EL beside it, which is wrong, too", id(80, 1), el, id(80, 1), id(50), id(50)},
      {"it has moved on meanwhile", id(85), labels(100, 90, 85), id(80), id(70), id(85), contract::Refusal::not_final},
      {"another block of its height", id(80), el, id(80, 1), id(70), id(80), contract::Refusal::not_final},
      {"nothing is final", std::nullopt, lost, id(80), id(70), std::nullopt, contract::Refusal::not_final},
      {"to itself", id(80), el, id(80), id(80), id(80), {}, false},
      {"upwards", id(80), el, id(80), id(90), id(80), {}, false},
  };
  for (const Case& row : rows) {
    SCOPED_TRACE(row.name);
    Gate g{{"single", 7, row.confirmed_finalized}};
    const absl::Status st = keep(g, g.lower_finalized(row.was, row.to, row.el), saved);
    EXPECT_EQ(g.state(), (Persistent{"single", 7, row.confirmed_finalized_after}));
    EXPECT_EQ(contract::refusal_of(st), row.refusal);
    EXPECT_EQ(absl::IsInvalidArgument(st), !row.makes_sense);
    EXPECT_EQ(st.ok(), row.makes_sense && !row.refusal) << st;
    if (!st.ok()) continue;
    EXPECT_EQ(must_go_back(row.el, row.was, row.to), row.goes_back);
  }
  Gate g{{"single", 7, id(80)}};
  const Save full = [](const Persistent&) { return absl::UnavailableError("no space left"); };
  EXPECT_TRUE(absl::IsUnavailable(keep(g, g.lower_finalized(id(80), id(70), el), full)));
  EXPECT_EQ(g.state().confirmed_finalized, id(80)) << "what is not saved does not count";
}

TEST(Gate, AnElThatWentBackShowsNothingAbove) {
  EXPECT_EQ(above(labels(70, 70, 70), id(70)), "");
  EXPECT_EQ(above({ref(60), {}, {}}, id(70)), "") << "lower still: it had no state there";
  EXPECT_THAT(above(labels(71, 70, 70), id(70)), HasSubstr("head"));
  EXPECT_THAT(above(labels(70, 71, 70), id(70)), HasSubstr("safe"));
  EXPECT_THAT(above(labels(70, 70, 71), id(70)), HasSubstr("finalized"));
}

TEST(Quarantine, AnInvalidBlockIsAskedAgainAfterHalfAMinuteThenLaterEachTime) {
  absl::Time now = absl::FromUnixSeconds(1'000);
  Quarantine q;
  EXPECT_FALSE(q.holds(hash(1), now));
  for (const int wait_s : {30, 60, 120, 240, 480, 600, 600}) {
    q.add(hash(1), now);
    EXPECT_TRUE(q.holds(hash(1), now + absl::Seconds(wait_s) - absl::Milliseconds(1))) << wait_s;
    now += absl::Seconds(wait_s);
    EXPECT_FALSE(q.holds(hash(1), now)) << wait_s;
  }
  q.add(hash(1), now);
  q.clear();
  EXPECT_FALSE(q.holds(hash(1), now));
  for (std::uint64_t n = 0; n < 2'000; ++n) q.add(hash(n), now);
  EXPECT_FALSE(q.holds(hash(0), now)) << "bounded";
  EXPECT_TRUE(q.holds(hash(1'999), now));
}

TEST(ForeignHead, AHeadThatMovesWithoutUsThreeTimesAMinuteIsDrivenBySomebodyElse) {
  absl::Time now = absl::FromUnixSeconds(1'000);
  ForeignHead f;
  std::uint64_t writes = 0;
  const auto look = [&](std::uint64_t head, std::optional<Hash32> commanded = {}) {
    now += absl::Seconds(2);
    f.on_look(ref(head), writes, commanded, now);
    return f.driven(now);
  };
  EXPECT_FALSE(look(100));
  for (std::uint64_t n = 101; n < 120; ++n) {
    writes += 2;
    EXPECT_FALSE(look(n)) << "ours";
  }
  for (std::uint64_t n = 120; n < 130; ++n) EXPECT_FALSE(look(n, hash(n))) << "ours, shown late";
  EXPECT_FALSE(look(90)) << "came back lower";
  EXPECT_FALSE(look(131));
  EXPECT_FALSE(look(132));
  EXPECT_TRUE(look(133));
  now += ForeignHead::kWithin;
  EXPECT_FALSE(look(133)) << "it rests";
  EXPECT_FALSE(look(134)) << "and begins anew";
}

TEST(Twin, OnlyAnOpGethWhoseHeadStandsBelowABlockThatItServesIsLed) {
  EXPECT_TRUE(is_op_geth("Geth/v1.101702.3"));
  EXPECT_TRUE(is_op_geth("op-geth/v1.101702.3"));
  EXPECT_TRUE(is_op_geth("go-ethereum/1.101702.3-stable"));
  EXPECT_FALSE(is_op_geth("op-reth/v1.10.2"));
  EXPECT_FALSE(is_op_geth(""));
  const absl::Time start = absl::FromUnixSeconds(1'000);
  {
    TwinNeed need{start};
    EXPECT_EQ(need.on_look(hash(100), hash(101), start), TwinNeed::Look::wait);
    EXPECT_EQ(need.on_look(hash(100), hash(101), start + absl::Milliseconds(4'900)), TwinNeed::Look::wait);
    EXPECT_EQ(need.on_look(hash(100), hash(101), start + absl::Seconds(5)), TwinNeed::Look::lead);
  }
  {
    TwinNeed late{start};
    EXPECT_EQ(late.on_look(hash(100), hash(101), start), TwinNeed::Look::wait);
    EXPECT_EQ(late.on_look(hash(101), std::nullopt, start + absl::Milliseconds(500)), TwinNeed::Look::not_needed);
  }
  TwinNeed nothing_above{start};
  EXPECT_EQ(nothing_above.on_look(hash(100), std::nullopt, start), TwinNeed::Look::not_needed);
}

TEST(Persistent, SurvivesAndDamageIsSeen) {
  const Persistent p{"single", 42, id(1234567), ChainIdentity{10, hash(0)}};
  auto again = decode_persistent(encode(p));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, p);
  const std::string text = encode(p);
  for (std::size_t cut = 0; cut + 2 < text.size(); ++cut)
    EXPECT_FALSE(decode_persistent(text.substr(0, cut)).ok()) << cut;
}

TEST(ImportPlan, UpdatesEachNBlocksAndAtTheEnd) {
  ImportPlan plan{{id(100), id(170), std::nullopt, std::nullopt}, 32, labels(100, 90, 80), id(80)};
  std::vector<std::uint64_t> heads;
  for (std::uint64_t n = 101; n <= 170; ++n) {
    ASSERT_TRUE(plan.check(ref(n)).ok());
    if (auto f = plan.on_valid(ref(n))) heads.push_back(f->head.number);
  }
  EXPECT_EQ(heads, (std::vector<std::uint64_t>{132, 164, 170}));
  EXPECT_TRUE(plan.done());
}

TEST(ImportPlan, LabelsWaitUntilTheChainHasReachedThem) {
  ImportPlan plan{{id(100), id(140), id(135), id(110)}, 32, labels(100, 90, 80), id(80)};
  std::optional<contract::Forkchoice> f;
  for (std::uint64_t n = 101; n <= 132; ++n) f = plan.on_valid(ref(n));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->finalized, id(110));
  EXPECT_EQ(f->safe, id(110)) << "safe is lifted with finalized, never left below it";
  for (std::uint64_t n = 133; n <= 140; ++n) f = plan.on_valid(ref(n));
  EXPECT_EQ(f->safe, id(135));
}

TEST(ImportPlan, ALabelOfAnotherBranchIsNeverApplied) {
  ImportPlan plan{{id(100), id(120), id(110, 1), id(105, 1)}, 32, labels(100, 90, 80), id(80)};
  std::optional<contract::Forkchoice> f;
  for (std::uint64_t n = 101; n <= 120; ++n) f = plan.on_valid(ref(n));
  ASSERT_TRUE(f);
  EXPECT_FALSE(f->safe);
  EXPECT_FALSE(f->finalized);
}

TEST(ImportPlan, ABreakInTheChainIsALie) {
  ImportPlan plan{{id(100), id(102), std::nullopt, std::nullopt}, 32, labels(100, 90, 80), id(80)};
  EXPECT_TRUE(absl::IsDataLoss(plan.check(ref(102))));
  EXPECT_TRUE(absl::IsDataLoss(plan.check(ref(101, 0, 1))));
  ASSERT_TRUE(plan.check(ref(101)).ok());
  plan.on_valid(ref(101));
  EXPECT_TRUE(absl::IsDataLoss(plan.check(ref(102, 1, 0)))) << "the range must end at its tip";
}

TEST(ImportPlan, ABranchThatLeavesOurChainHigherUpIsRefused) {
  const ImportPlan plan{{id(90), id(105), std::nullopt, std::nullopt}, 32, labels(100, 90, 80), id(80), ref(91).hash};
  EXPECT_TRUE(absl::IsDataLoss(plan.check(ref(91))));
}

TEST(ImportPlan, ASwitchBelowTheSafeLabelLowersItToWhatIsShared) {
  ImportPlan plan{{id(85), id(86, 1), std::nullopt, std::nullopt}, 32, labels(100, 90, 80), id(80)};
  const auto f = plan.on_valid(ref(86, 1, 0));
  ASSERT_TRUE(f);
  EXPECT_EQ(f->safe, id(85));
  EXPECT_FALSE(f->finalized);
}

// D1: a snapshot whose head lies below its finalized block.
TEST(EdgeCases, D1_SnapshotBelowFinalizedCarriesNoLabelsUntilTheConfirmedFinalized) {
  ImportPlan plan{{id(100), id(140), id(138), id(130)}, 8, labels(100, 90, 80), id(120)};
  std::optional<contract::Forkchoice> f;
  for (std::uint64_t n = 101; n <= 140; ++n) {
    if (auto u = plan.on_valid(ref(n))) {
      f = u;
      if (n < 120) {
        EXPECT_FALSE(f->safe) << n;
        EXPECT_FALSE(f->finalized) << n;
      }
    }
  }
  EXPECT_EQ(f->finalized, id(130));
  EXPECT_EQ(f->safe, id(138));
  EXPECT_FALSE(plan.contradicts_finalized());
}

TEST(EdgeCases, D1_SnapshotThatReachesAnotherBlockThanTheConfirmedFinalizedIsSeen) {
  ImportPlan plan{{id(100), id(140), std::nullopt, std::nullopt}, 8, labels(100, 90, 80), id(120, 1)};
  std::optional<contract::Forkchoice> last;
  for (std::uint64_t n = 101; n <= 120; ++n) last = plan.on_valid(ref(n));
  EXPECT_TRUE(plan.contradicts_finalized());
  EXPECT_FALSE(last);
}

eth::Payload payload_with(std::vector<Bytes> transactions) {
  eth::Payload p;
  p.number = 7;
  p.gas_used = 21'000;
  p.transactions = std::move(transactions);
  p.has_withdrawals = true;
  p.blob_gas_used = p.excess_blob_gas = 0;
  p.parent_beacon_block_root = p.withdrawals_root = Hash32{};
  return p;
}

TEST(Prepare, MakesTheRequestOfThePayloadsShape) {
  const Bytes legacy = *parse_hex("0xc9808080808080808080"), unknown{0x7b, 0x01};
  const eth::Payload p = payload_with({legacy, unknown});
  const PreparedPayload prepared = prepare(p);
  EXPECT_TRUE(prepared.refused.ok()) << prepared.refused;
  EXPECT_EQ(prepared.ref, p.ref());
  EXPECT_EQ(prepared.gas_used, 21'000U);
  EXPECT_EQ(prepared.transactions, 2U);
  std::string params;
  eth::append_new_payload_params(p, 4, params);
  EXPECT_EQ(prepared.body, R"({"jsonrpc":"2.0","id":0,"method":"engine_newPayloadV4","params":)" + params + "}");
}

TEST(Prepare, ABlockWithATransactionThatIsNoEnvelopeHasNoRequest) {
  const Bytes legacy = *parse_hex("0xc9808080808080808080");
  for (const char* bad : {"0x", "0x00c9808080808080808080", "0x02", "0x7e", "0x80", "0xb8", "0xca80808080808080808080",
                          "0xc980808080808080808080", "0x02c0"}) {
    const eth::Payload p = payload_with({legacy, *parse_hex(bad)});
    const PreparedPayload prepared = prepare(p);
    EXPECT_TRUE(absl::IsInvalidArgument(prepared.refused)) << bad;
    EXPECT_EQ(prepared.refused.message().find("transaction 1 is no envelope: "), 0U) << prepared.refused;
    EXPECT_EQ(prepared.body, "") << bad;
    EXPECT_EQ(prepared.ref, p.ref());
  }
}

const char* const kJovianRequest =
    R"({"jsonrpc":"2.0","id":0,"method":"engine_newPayloadV4","params":[{"parentHash":"0x01","feeRecipient":"0x4200000000000000000000000000000000000011",)"
    R"("prevRandao":"0xff00000000000000000000000000000000000000000000000000000000000000","blockNumber":"0x7","gasLimit":"0x3938700","timestamp":"0x64",)"
    R"("extraData":"0x01000000fa000000060000000000000102","transactions":["0x7e01","0x02aa"],"withdrawals":[]},[],)"
    R"("0x1100000000000000000000000000000000000000000000000000000000000000",[]]})";

TEST(Twin, HasEverythingOfTheBlockButPrevRandao) {
  const auto plan = plan_twin(kJovianRequest);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->version, 4);
  EXPECT_EQ(
      plan->attributes,
      R"({"timestamp":"0x64","prevRandao":"0xfe00000000000000000000000000000000000000000000000000000000000000",)"
      R"("suggestedFeeRecipient":"0x4200000000000000000000000000000000000011","withdrawals":[],"transactions":["0x7e01","0x02aa"],)"
      R"("noTxPool":true,"gasLimit":"0x3938700","eip1559Params":"0x000000fa00000006","minBaseFee":258,)"
      R"("parentBeaconBlockRoot":"0x1100000000000000000000000000000000000000000000000000000000000000"})");
}

TEST(Twin, OfABedrockBlockHasNoneOfTheLaterFields) {
  const auto plan = plan_twin(
      R"({"method":"engine_newPayloadV2","params":[{"feeRecipient":"0x01","timestamp":"0x64","gasLimit":"0x1","extraData":"0x","transactions":[],)"
      R"("prevRandao":"0x0000000000000000000000000000000000000000000000000000000000000000"}]})");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->attributes,
            R"({"timestamp":"0x64","prevRandao":"0x0100000000000000000000000000000000000000000000000000000000000000",)"
            R"("suggestedFeeRecipient":"0x01","transactions":[],"noTxPool":true,"gasLimit":"0x1"})");
}

TEST(Twin, IsSentBackAsItWasBuilt) {
  const auto plan = plan_twin(kJovianRequest);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string built =
      R"({"executionPayload":{"blockHash":"0x2200000000000000000000000000000000000000000000000000000000000000","x":[1]},"blockValue":"0x0"})";
  const auto twin = read_twin(*plan, built);
  ASSERT_TRUE(twin.ok()) << twin.status();
  EXPECT_EQ(twin->hash.bytes[0], 0x22);
  EXPECT_EQ(
      twin->new_payload,
      R"({"jsonrpc":"2.0","id":0,"method":"engine_newPayloadV4","params":[{"blockHash":"0x2200000000000000000000000000000000000000000000000000000000000000","x":[1]},[],)"
      R"("0x1100000000000000000000000000000000000000000000000000000000000000",[]]})");
}

TEST(Twin, IsFetchedByTheNewerMethodWhereTheElAsksForIt) {
  EXPECT_TRUE(asks_for_newer_get_payload({4, "", ""}, -38005));
  EXPECT_FALSE(asks_for_newer_get_payload({3, "", ""}, -38005)) << "before Isthmus, and so before Karst";
  EXPECT_FALSE(asks_for_newer_get_payload({4, "", ""}, -38001));
}

TEST(Twin, NonsenseIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"method":"engine_newPayloadV4","params":[]})",
        R"({"method":"engine_newPayloadV4","params":[{}]})", R"({"method":"eth_call","params":[{"transactions":[]}]})",
        R"({"method":"engine_newPayloadV4","params":[{"transactions":[]}]})"}) {
    EXPECT_FALSE(plan_twin(text).ok()) << text;
  }
  for (const char* text : {"", "null", R"({"executionPayload":null})", R"({"executionPayload":{"blockHash":"0x22"}})"})
    EXPECT_FALSE(read_twin({4, "", "\"0x\""}, text).ok()) << text;
}

TEST(Rates, CountTheLastSeconds) {
  Rates r;
  const absl::Time t0 = absl::FromUnixSeconds(1000);
  for (int i = 0; i < 400; ++i) r.add(t0 + absl::Milliseconds(i * 10), 1'000'000);
  const absl::Time now = t0 + absl::Seconds(4);
  EXPECT_NEAR(r.blocks_per_s(now), 100, 10);
  EXPECT_NEAR(r.mgas_per_s(now), 100, 10);
  EXPECT_EQ(r.blocks_per_s(now + absl::Minutes(1)), 0);
}

}  // namespace
}  // namespace towline::driver
