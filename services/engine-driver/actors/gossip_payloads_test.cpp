// The actor between the writer and a simulated p2p-gossip, in virtual time.
#include "services/engine-driver/actors/gossip_payloads.hpp"

#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"
#include "services/engine-driver/core/session_fixture.hpp"

namespace towline::driver {
namespace {

using driver::testing::id;
using driver::testing::ref;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PreparedPayload payload(std::uint64_t n) {
  PreparedPayload p;
  p.ref = ref(n);
  return p;
}

class GossipPayloadsTest : public towline::testing::ActorTest {
 protected:
  /// A stream whose answers the test gives.
  struct Source {
    PayloadStream::Done asked;
    bool open = true;
  };
  class Stream final : public PayloadStream {
   public:
    explicit Stream(std::shared_ptr<Source> s) : source_{std::move(s)} {}
    ~Stream() override { source_->open = false; }
    void next(Done done) override { source_->asked = std::move(done); }

   private:
    const std::shared_ptr<Source> source_;
  };
  static std::unique_ptr<PayloadStream> open_source(std::vector<std::shared_ptr<Source>>& all) {
    all.push_back(std::make_shared<Source>());
    return std::make_unique<Stream>(all.back());
  }

  GossipPayloadsTest() {
    actor_ = own(system.spawn(gossip_payloads, GossipPayloadsConfig{[this] { return open_source(watches_); },
                                                                    [this](const OpenPayloads& e) {
                                                                      pulled_.push_back(e.tip.number);
                                                                      return open_source(pulls_);
                                                                    }}));
    open_ = open_at(*actor_, *actor_);
  }
  /// The first range, which is pulled and opens the stream that pushes.
  void begin() {
    open(0, 1);
    pulled_.clear();
    ASSERT_THAT(watches_, SizeIs(1));
  }
  ~GossipPayloadsTest() override {
    stream_.reset();
    dispatch();
  }
  void push(std::uint64_t n) {
    std::exchange(watches_.back()->asked, nullptr)(payload(n));
    dispatch();
  }
  void end_watch() {
    std::exchange(watches_.back()->asked, nullptr)(absl::UnavailableError("gone"));
    dispatch();
  }
  void open(std::uint64_t parent, std::uint64_t tip) {
    stream_ = open_({id(parent), id(tip), contract::PayloadOrigin::gossip});
    dispatch();
  }
  void want() {
    stream_->next([this](NextPayload::Answer a) {
      if (a.ok()) got_.push_back((*a)->ref.number);
      else errors_.push_back(a.status().code());
    });
    dispatch();
  }

  std::vector<std::shared_ptr<Source>> watches_, pulls_;
  std::vector<std::uint64_t> pulled_, got_;
  std::vector<absl::StatusCode> errors_;
  std::optional<gossip_payloads_actor> actor_;
  OpenPayloadStream open_;
  std::unique_ptr<PayloadStream> stream_;
};

TEST_F(GossipPayloadsTest, TheFirstRangeIsPulledAndOpensTheStreamThatPushes) {
  EXPECT_THAT(watches_, IsEmpty()) << "nobody may be there";
  open(0, 1);
  EXPECT_THAT(pulled_, ElementsAre(1));
  EXPECT_THAT(watches_, SizeIs(1));
  open(1, 2);
  EXPECT_THAT(watches_, SizeIs(1));
}

TEST_F(GossipPayloadsTest, WhatWasPushedIsNotPulled) {
  begin();
  push(1);
  push(2);
  open(0, 2);
  want();
  want();
  EXPECT_THAT(got_, ElementsAre(1, 2));
  want();
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(pulled_, IsEmpty());
}

TEST_F(GossipPayloadsTest, ACommandThatOvertakesItsPayloadWaitsForIt) {
  begin();
  push(1);
  open(1, 2);
  want();
  EXPECT_THAT(got_, IsEmpty());
  push(2);
  EXPECT_THAT(got_, ElementsAre(2));
  advance(gossip_payloads_state::kWait);
  EXPECT_THAT(pulled_, IsEmpty());
}

TEST_F(GossipPayloadsTest, APayloadThatIsNotPushedIsPulled) {
  begin();
  open(1, 2);
  want();
  EXPECT_THAT(pulled_, IsEmpty());
  advance(gossip_payloads_state::kWait);
  ASSERT_THAT(pulled_, ElementsAre(2));
  std::exchange(pulls_.back()->asked, nullptr)(payload(2));
  EXPECT_THAT(got_, ElementsAre(2));
  want();
  std::exchange(pulls_.back()->asked, nullptr)(absl::NotFoundError("evicted"));
  EXPECT_THAT(errors_, ElementsAre(absl::StatusCode::kNotFound)) << "the error is the writer's";
}

TEST_F(GossipPayloadsTest, ATipBelowTheNewestIsPulledAtOnce) {
  begin();
  push(5);
  open(3, 4);
  EXPECT_THAT(pulled_, ElementsAre(4));
  push(6);
  want();
  ASSERT_TRUE(pulls_.back()->asked) << "a push in the middle changes nothing";
}

TEST_F(GossipPayloadsTest, WithoutTheStreamAllIsPulledAndTheNextRangeOpensItAgain) {
  begin();
  open(1, 2);
  want();
  end_watch();
  EXPECT_THAT(pulled_, ElementsAre(2)) << "nobody pushes it any more";
  EXPECT_THAT(watches_, SizeIs(1));
  open(2, 3);
  EXPECT_THAT(pulled_, ElementsAre(2, 3));
  EXPECT_FALSE(pulls_.front()->open) << "the ranges before are over";
  ASSERT_THAT(watches_, SizeIs(2));
  push(4);
  open(3, 4);
  want();
  EXPECT_THAT(got_, ElementsAre(4));
}

TEST_F(GossipPayloadsTest, AClosedStreamGetsNothing) {
  begin();
  open(1, 2);
  want();
  stream_.reset();
  dispatch();
  advance(gossip_payloads_state::kWait);
  EXPECT_THAT(pulled_, IsEmpty());
  push(2);
  EXPECT_THAT(got_, IsEmpty());
}

}  // namespace
}  // namespace towline::driver
