// The writer with simulated partners, in virtual time: what waits, what is interrupted, and what is refused.
#include <gmock/gmock.h>

#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <deque>

#include "libs/actor_kit/actor_fixture.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/sim/el_model.hpp"
#include "services/engine-driver/actors/writer.hpp"

namespace towline::driver {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using Result = absl::StatusOr<contract::CommandResult>;

Hash32 hash(std::uint64_t n) {
  Hash32 h;
  h.bytes[0] = static_cast<std::uint8_t>(n);
  h.bytes[1] = static_cast<std::uint8_t>(n >> 8U);
  h.bytes[31] = 1;
  return h;
}
eth::BlockRef ref(std::uint64_t n) { return {n, hash(n), n == 0 ? Hash32{} : hash(n - 1), 1000 + n * 2}; }

/// A payload stream that the test feeds.
class GivenPayloads final : public PayloadStream {
 public:
  explicit GivenPayloads(std::deque<Done>& asked) : asked_{asked} {}
  void next(Done done) override { asked_.push_back(std::move(done)); }

 private:
  std::deque<Done>& asked_;
};

class WriterActorTest : public towline::testing::ActorTest {
 protected:
  WriterActorTest() {
    for (std::uint64_t n = 1; n <= 300; ++n) {
      el_.new_payload(ref(n));
      el_.forkchoice_updated(hash(n), {}, {});
    }
    contract::EngineState ready;
    ready.status = contract::EngineStatus::ready;
    Published<Shown>* latest = &latest_;
    const auto hub = own(system.spawn(state_hub, latest));
    const auto calls = own(system.spawn([this](engine_actor::pointer self) -> engine_actor::behavior_type {
      return {[this, self](call_atom, const EffectPtr& e) -> caf::result<EventPtr> {
                if (hangs_) return self->make_response_promise<EventPtr>();
                return std::make_shared<Event>(answer(*e));
              },
              [](blocks_atom, const NumbersPtr&) -> BlocksPtr { return nullptr; }};
    }));
    const auto store = own(system.spawn([](state_store_actor::pointer) -> state_store_actor::behavior_type {
      return {[](save_atom, const PersistentPtr&) -> StatusPtr { return std::make_shared<const absl::Status>(); }};
    }));
    writer_ = own(system.spawn(
        writer, WriterConfig{{},
                             Gate{{}},
                             MinAge{},
                             ready,
                             calls,
                             store,
                             hub,
                             [this](const OpenPayloads&) { return std::make_unique<GivenPayloads>(asked_); },
                             &metrics_}));
    dispatch();
  }
  Event answer(const Effect& e) {
    if (const auto* p = std::get_if<SendPayload>(&e)) return valid(el_.new_payload(p->payload->ref));
    if (const auto* f = std::get_if<SendForkchoice>(&e))
      return valid(el_.forkchoice_updated(f->update.head.hash, {}, {}));
    if (const auto* b = std::get_if<ReadBlock>(&e)) return ReadBlock::Answer{el_.by_number(b->number)};
    ++labels_read_;
    return ReadLabels::Answer{labels()};
  }
  contract::Labels labels() const { return {el_.latest(), el_.safe(), el_.finalized()}; }
  /// A look that is fresh for as long as the test takes.
  void look(std::uint64_t writes) { look(writes, labels()); }
  void look(std::uint64_t writes, const contract::Labels& shown) {
    Look l;
    l.plan.identify = false;
    l.plan.writes = writes;
    l.began = steady_now() + absl::Hours(1);
    l.labels = shown;
    caf::anon_send(writer_, look_atom{}, std::make_shared<const Look>(std::move(l)));
    dispatch();
  }
  static EngineAnswer valid(const sim::ElAnswer& a) {
    EngineAnswer out;
    out.kind = EngineAnswer::Kind::status;
    out.status = a.status == sim::ElStatus::valid ? PayloadStatus::valid : PayloadStatus::syncing;
    return out;
  }
  /// Sends a command; its result appears in `results_` under its number.
  CommandPtr import(std::uint64_t term = 1) {
    return send({{"test", term, el_.latest().hash},
                 contract::ImportRange{el_.latest().id(), ref(400).id(), std::nullopt, std::nullopt},
                 {},
                 {}});
  }
  CommandPtr send(Command c) {
    const std::size_t n = results_.size();
    results_.emplace_back();
    c.on_done = [this, n](Result r) { results_[n] = std::move(r); };
    auto command = std::make_shared<const Command>(std::move(c));
    caf::anon_send(writer_, run_atom{}, command);
    dispatch();
    return command;
  }
  /// Answers the writer's request for a payload.
  void give(std::uint64_t n) {
    PreparedPayload p;
    p.ref = ref(n);
    const PayloadStream::Done done = std::exchange(asked_.front(), nullptr);
    asked_.pop_front();
    done(std::move(p));
    dispatch();
  }
  void to_writer_stop() {
    caf::anon_send(writer_, stop_atom{});
    dispatch();
  }

  Metrics metrics_;
  sim::ElModel el_{sim::ElProfile::op_reth, ref(0)};
  Published<Shown> latest_{Shown{{}, absl::InfinitePast()}};
  bool hangs_ = false;
  int labels_read_ = 0;
  std::deque<PayloadStream::Done> asked_;
  std::deque<std::optional<Result>> results_;
  writer_actor writer_;
};

TEST_F(WriterActorTest, AsksForOnePayloadAtATimeHoweverLongItTakes) {
  import();
  EXPECT_THAT(asked_, SizeIs(1));
  advance(std::chrono::seconds{2});
  EXPECT_THAT(asked_, SizeIs(1)) << "the question stays, whoever looks around meanwhile";
  give(301);
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_FALSE(results_[0]);
}

TEST_F(WriterActorTest, TheWaitsForManyBlocksHaveOneTimer) {
  import();
  const std::size_t timers = scheduler.clock().schedule().size();
  for (std::uint64_t n = 301; n < 320; ++n) give(n);
  EXPECT_EQ(scheduler.clock().schedule().size(), timers);
}

TEST_F(WriterActorTest, AFreshLookSavesTheNextCommandItsOwn) {
  look(0);
  import();
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(labels_read_, 0);
}

TEST_F(WriterActorTest, ALookThatAWriteOvertookSavesNothing) {
  look(1);
  import();
  EXPECT_THAT(asked_, SizeIs(1));
  EXPECT_EQ(labels_read_, 1);
}

TEST_F(WriterActorTest, ALookDuringACommandIsNotWhatTheNextOneStandsOn) {
  const CommandPtr first = import();
  look(0, {ref(399), {}, {}});
  caf::anon_send(writer_, cancel_atom{}, first);
  dispatch();
  ASSERT_TRUE(results_[0]);
  asked_.clear();
  import();
  EXPECT_THAT(asked_, SizeIs(1)) << "else it is refused for its head";
}

TEST_F(WriterActorTest, AnImportThatIsCancelledMakesTheHeadWhatItHas) {
  const auto c = import();
  give(301);
  give(302);
  caf::anon_send(writer_, cancel_atom{}, c);
  dispatch();
  ASSERT_TRUE(results_[0]);
  EXPECT_EQ((*results_[0])->outcome, contract::Outcome::cancelled);
  EXPECT_EQ(el_.latest(), ref(302));
}

TEST_F(WriterActorTest, ACommandOfANewerTermEndsAnImportAndComesNext) {
  import(1);
  give(301);
  import(2);
  ASSERT_TRUE(results_[0]);
  EXPECT_EQ((*results_[0])->outcome, contract::Outcome::cancelled);
  ASSERT_TRUE(results_[1]) << "its head was moved under it";
  EXPECT_EQ((*results_[1])->refusal, contract::Refusal::head_moved);
}

TEST_F(WriterActorTest, ACommandThatWillBeRefusedEndsNothing) {
  import(5);
  import(4);
  EXPECT_FALSE(results_[0]);
  EXPECT_FALSE(results_[1]) << "it waits for its turn";
}

TEST_F(WriterActorTest, TooManyThatWaitAreRefusedAtOnce) {
  for (int i = 0; i < 10; ++i) import();
  EXPECT_FALSE(results_[8]);
  ASSERT_TRUE(results_[9]);
  EXPECT_TRUE(absl::IsResourceExhausted(results_[9]->status()));
}

TEST_F(WriterActorTest, WhatWaitsIsCancelledWithoutBeginning) {
  import();
  const auto second = import();
  caf::anon_send(writer_, cancel_atom{}, second);
  dispatch();
  ASSERT_TRUE(results_[1]);
  EXPECT_TRUE(absl::IsCancelled(results_[1]->status()));
  EXPECT_FALSE(results_[0]);
}

TEST_F(WriterActorTest, AStopEndsAllOfThem) {
  import();
  give(301);
  import();
  to_writer_stop();
  import();
  ASSERT_TRUE(results_[0] && results_[1] && results_[2]);
  EXPECT_EQ((*results_[0])->outcome, contract::Outcome::cancelled);
  EXPECT_TRUE(absl::IsCancelled(results_[1]->status()));
  EXPECT_TRUE(absl::IsCancelled(results_[2]->status()));
  EXPECT_EQ(el_.latest(), ref(301));
}

TEST_F(WriterActorTest, AnEngineThatHangsHoldsNoQuestionOfOthersUp) {
  hangs_ = true;
  import();
  caf::scoped_actor self{system};
  self->send(writer_, plan_atom{});
  dispatch();
  bool answered = false;
  self->receive([&](const LookPlanPtr&) { answered = true; });
  EXPECT_TRUE(answered);
  to_writer_stop();
  EXPECT_FALSE(results_[0]) << "what the EL did with the call in flight is not known yet";
}

TEST_F(WriterActorTest, APayloadThatComesLateBelongsToNobody) {
  import();
  const PayloadStream::Done late = asked_.front();
  to_writer_stop();
  late(PreparedPayload{});
  dispatch();
  ASSERT_TRUE(results_[0]);
  EXPECT_THAT(el_.latest(), ref(300));
}

}  // namespace
}  // namespace towline::driver
