#include "services/p2p-gossip/actors/judge.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::gossip {
namespace {

using gossip_block::Failure;
using gossip_block::Result;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address address(std::uint8_t n) {
  Address a;
  a.bytes.fill(n);
  return a;
}

class JudgeTest : public towline::testing::ActorTest {
 protected:
  JudgeTest() { config_.block_time = 2; }

  static JudgeView first() {
    JudgeView v;
    v.signers.set(address(1), absl::Now());
    return v;
  }
  Result check(std::uint64_t number, Failure rule = Failure::none, std::uint8_t signer = 1,
               absl::Duration late = absl::ZeroDuration()) {
    auto p = std::make_shared<eth::Payload>();
    p->number = number;
    p->block_hash.bytes[0] = static_cast<std::uint8_t>(number);
    const absl::Time now = absl::Now();
    p->timestamp = static_cast<std::uint64_t>(absl::ToUnixSeconds(now - late));
    gossip_block::Checked c;
    c.rule = rule;
    c.signer = address(signer);
    c.payload = std::move(p);
    Result out = Result::reject;
    ValidationJob job{gossip_block::PayloadVersion::v4, nullptr, "peer", now - absl::Seconds(3),
                      [&](const gossip_block::Checked& checked, Result r) {
                        out = r;
                        last_rule_ = checked.rule;
                      }};
    caf::anon_send(
        judge_, checked_atom{},
        std::make_shared<CheckedJob>(CheckedJob{std::make_shared<const ValidationJob>(std::move(job)), std::move(c)}));
    dispatch();
    return out;
  }
  double metric(const std::string& series) const {
    const std::string text = metrics_.text(), line = absl::StrCat("\ntowline_gossip_", series, " ");
    const auto at = text.find(line);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
  }
  std::vector<Address> signers() const { return view_.get()->signers.accepted(absl::Now()); }

  rollup::Config config_;
  Metrics metrics_;
  std::vector<bool> suspended_;
  Failure last_rule_ = Failure::none;
  Published<ValidBlockPtr> last_{nullptr};
  Published<JudgeView> view_{first()};
  block_store_actor store_ = own(system.spawn(block_store, BlockStoreConfig{16, 1U << 20U, &last_}));
  judge_actor judge_ = own(system.spawn(
      judge, JudgeConfig{&config_, store_, &view_, &metrics_, [this](bool on) { suspended_.push_back(on); }}));
};

TEST_F(JudgeTest, AGoodBlockIsAcceptedAndKeptOnce) {
  EXPECT_EQ(check(7), Result::accept);
  ASSERT_NE(*last_.get(), nullptr);
  EXPECT_EQ((*last_.get())->payload->number, 7U);
  EXPECT_EQ(check(7), Result::ignore);
  EXPECT_EQ(last_rule_, Failure::seen);
  EXPECT_EQ(metric("blocks_total{rule=\"none\"}"), 1);
  EXPECT_EQ(metric("blocks_total{rule=\"seen\"}"), 1);
}

TEST_F(JudgeTest, TheTimeOfAValidationBeginsWithTheMessage) {
  check(7);
  EXPECT_EQ(metric("validation_seconds_count"), 1);
  EXPECT_GE(metric("validation_seconds_sum"), 3) << "it was received three seconds ago";
}

TEST_F(JudgeTest, TheSignerBeforeIsGoodUntilTheFirstBlockOfTheNewOne) {
  caf::anon_send(judge_, signer_atom{}, AddressPtr{std::make_shared<const Address>(address(2))});
  dispatch();
  EXPECT_THAT(signers(), ElementsAre(address(2), address(1)));
  check(1, Failure::none, 1);
  EXPECT_THAT(signers(), ElementsAre(address(2), address(1)));
  check(2, Failure::none, 2);
  EXPECT_THAT(signers(), ElementsAre(address(2)));
}

TEST_F(JudgeTest, AClockThatIsWrongSuspendsPenaltiesUntilItIsRight) {
  const auto clock = [&](absl::Duration ahead) {
    caf::anon_send(judge_, clock_atom{}, ClockPtr{std::make_shared<const std::optional<absl::Duration>>(ahead)});
    dispatch();
  };
  clock(absl::Seconds(10));
  EXPECT_THAT(view_.get()->doubt, ::testing::HasSubstr("clock"));
  EXPECT_EQ(metric("penalties_suspended"), 1);
  clock(absl::Seconds(11));
  EXPECT_THAT(suspended_, ElementsAre(true)) << "one doubt, whatever its words";
  clock(absl::ZeroDuration());
  EXPECT_THAT(view_.get()->doubt, IsEmpty());
  EXPECT_THAT(suspended_, ElementsAre(true, false));
}

TEST_F(JudgeTest, WhatIsRefusedIsRejectedUnlessTheFaultMayBeOurs) {
  EXPECT_EQ(check(1, Failure::snappy), Result::reject);
  EXPECT_EQ(check(2, Failure::block_hash), Result::ignore) << "of the signer, at the chain's pace";
  config_.unknown_forks = {{"mesa_time", 1}};
  for (std::uint64_t n = 3; n < 100; ++n) EXPECT_EQ(check(n, Failure::block_hash), Result::ignore);
  EXPECT_EQ(*last_.get(), nullptr);
}

}  // namespace
}  // namespace towline::gossip
