// The actor between the writer and simulated remote-fetchers, in virtual time.
#include "services/engine-driver/actors/shared_payloads.hpp"

#include <gmock/gmock.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_fixture.hpp"

namespace towline::driver {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Hash32 hash(std::uint64_t n) {
  Hash32 h;
  h.bytes[0] = static_cast<std::uint8_t>(n);
  h.bytes[1] = static_cast<std::uint8_t>(n >> 8U);
  h.bytes[31] = 1;
  return h;
}

/// Replicas that answer when the test says so.
class FakeFetchers final : public FetcherCalls {
 public:
  struct Window {
    std::string replica;
    std::uint64_t next, to;
    PayloadStream::Done asked;
    bool open = true;
  };
  class Stream final : public PayloadStream {
   public:
    explicit Stream(std::shared_ptr<Window> w) : window_{std::move(w)} {}
    ~Stream() override { window_->open = false; }
    void next(Done done) override { window_->asked = std::move(done); }

   private:
    const std::shared_ptr<Window> window_;
  };
  std::unique_ptr<PayloadStream> open(const std::string& replica, const eth::BlockId& from,
                                      const eth::BlockId& to) override {
    windows.push_back(std::make_shared<Window>(Window{replica, from.number + 1, to.number, nullptr}));
    return std::make_unique<Stream>(windows.back());
  }
  void heights(const std::string& replica, const std::vector<std::uint64_t>& numbers,
               std::function<void(absl::StatusOr<Heights>)> done) override {
    borders_of.push_back(replica);
    Heights h(1);
    for (const std::uint64_t n : numbers) h[0][n] = hash(n);
    done(h);
  }
  void forget(const std::string& replica) override { forgotten.push_back(replica); }

  std::vector<std::shared_ptr<Window>> windows;
  std::vector<std::string> borders_of, forgotten;
};

class SharedPayloadsTest : public towline::testing::ActorTest {
 protected:
  SharedPayloadsTest() {
    actor_ = own(system.spawn(shared_payloads, SharedPayloadsConfig{"dns:///fetcher:1", &fetchers_, &metrics_,
                                                                    [this](const auto& r) { shown_ = r; }}));
    open_ = open_at(*actor_, *actor_);
    dispatch();
  }
  ~SharedPayloadsTest() override {
    // Closing the stream still makes the actor call back into the fixture.
    stream_.reset();
    dispatch();
  }
  void list(std::vector<std::string> addresses) {
    caf::anon_send(*actor_, listed_atom{},
                   AddressesPtr{std::make_shared<const std::vector<std::string>>(std::move(addresses))});
    dispatch();
  }
  void open(std::uint64_t parent, std::uint64_t tip) {
    stream_ = open_({{parent, hash(parent)}, {tip, hash(tip)}, contract::PayloadOrigin::remote});
    at_ = parent;
    dispatch();
  }
  /// Like the writer: requests the next payload after each answer.
  void want() {
    stream_->next([this](NextPayload::Answer a) {
      if (!a.ok()) {
        error_ = a.status();
        return;
      }
      EXPECT_EQ((*a)->ref.number, at_ + 1);
      at_ = (*a)->ref.number;
      again_ = true;
    });
    dispatch();
    while (std::exchange(again_, false)) want();
  }
  /// Delivers one payload of the window, if one was requested.
  bool give(FakeFetchers::Window& w) {
    if (!w.asked || !w.open) return false;
    const auto asked = std::exchange(w.asked, nullptr);
    if (w.next > w.to) {
      asked(absl::OutOfRangeError("the stream ended"));
    } else {
      PreparedPayload p;
      p.ref = {w.next, hash(w.next), hash(w.next - 1), 0};
      ++w.next;
      asked(std::move(p));
    }
    dispatch();
    while (std::exchange(again_, false)) want();
    return true;
  }
  void fail(FakeFetchers::Window& w) {
    const auto asked = std::exchange(w.asked, nullptr);
    asked(absl::UnavailableError("connection refused"));
    dispatch();
  }
  /// All serving replicas deliver as much as they can.
  void run() {
    for (bool any = true; any;) {
      any = false;
      for (std::size_t k = 0; k < fetchers_.windows.size(); ++k) {
        const auto w = fetchers_.windows[k];
        if (w->replica != dead_) any = give(*w) || any;
      }
    }
  }

  FakeFetchers fetchers_;
  Metrics metrics_;
  std::vector<contract::Replica> shown_;
  std::optional<shared_payloads_actor> actor_;
  OpenPayloadStream open_;
  std::unique_ptr<PayloadStream> stream_;
  std::uint64_t at_ = 0;
  bool again_ = false;
  std::string dead_;
  std::optional<absl::Status> error_;
};

TEST_F(SharedPayloadsTest, BeforeTheNameResolvesItIsTheReplica) {
  open(0, 500);
  ASSERT_THAT(fetchers_.windows, SizeIs(1));
  EXPECT_EQ(fetchers_.windows[0]->replica, "dns:///fetcher:1");
  want();
  run();
  EXPECT_EQ(at_, 500U);
}

TEST_F(SharedPayloadsTest, ReplicasShareARangeAndItIsShown) {
  list({"a", "b", "c"});
  open(0, 3000);
  ASSERT_THAT(fetchers_.windows, SizeIs(3));
  want();
  run();
  EXPECT_EQ(at_, 3000U);
  stream_.reset();
  dispatch();
  ASSERT_THAT(shown_, SizeIs(3));
  std::uint64_t sum = 0;
  for (const auto& r : shown_) {
    EXPECT_GE(r.blocks, 600U) << r.address;
    sum += r.blocks;
    EXPECT_THAT(metrics_.text(),
                HasSubstr("towline_driver_payloads_total{replica=\"" + r.address + "\"} " + std::to_string(r.blocks)));
  }
  EXPECT_EQ(sum, 3000U);
  for (const auto& w : fetchers_.windows) EXPECT_FALSE(w->open);
}

TEST_F(SharedPayloadsTest, AReplicaThatAppearsGetsThePartOfAnother) {
  list({"a"});
  open(0, 3000);
  want();
  give(*fetchers_.windows[0]);
  ASSERT_THAT(fetchers_.windows, SizeIs(1));
  list({"a", "b"});
  ASSERT_THAT(fetchers_.windows, SizeIs(2));
  EXPECT_EQ(fetchers_.windows[1]->replica, "b");
  run();
  EXPECT_EQ(at_, 3000U);
}

TEST_F(SharedPayloadsTest, AReplicaThatDiesLosesNothing) {
  list({"a", "b", "c"});
  open(0, 3000);
  want();
  for (int k = 0; k < 50; ++k)
    for (std::size_t w = 0; w < 3; ++w) give(*fetchers_.windows[w]);
  const auto window = fetchers_.windows[0];
  dead_ = window->replica;
  fail(*window);
  list({"b", "c"});
  run();
  EXPECT_EQ(at_, 3000U);
  EXPECT_TRUE(!error_ || absl::IsOutOfRange(*error_)) << *error_;
}

TEST_F(SharedPayloadsTest, WhoIsSilentLosesItsWindow) {
  list({"a", "b"});
  open(0, 1000);
  dead_ = "a";
  want();
  for (int k = 0; k < 100 && at_ < 1000; ++k) {
    run();
    advance(std::chrono::milliseconds{500}, std::chrono::milliseconds{100});
  }
  EXPECT_EQ(at_, 1000U);
  EXPECT_THAT(shown_[0].blocks, 0U);
  EXPECT_EQ(shown_[1].blocks, 1000U);
}

TEST_F(SharedPayloadsTest, WhatOneReplicaFailsIsToldAtOnce) {
  list({"a"});
  open(0, 1000);
  want();
  fail(*fetchers_.windows[0]);
  ASSERT_TRUE(error_);
  EXPECT_TRUE(absl::IsUnavailable(*error_));
}

TEST_F(SharedPayloadsTest, AStreamThatIsGoneHearsNothingAndOpensNothing) {
  list({"a", "b"});
  open(0, 3000);
  const auto before = fetchers_.windows;
  stream_.reset();
  dispatch();
  for (const auto& w : before) EXPECT_FALSE(w->open);
  list({"a", "b", "c"});
  advance(std::chrono::seconds{10}, std::chrono::milliseconds{500});
  EXPECT_EQ(fetchers_.windows, before);
}

TEST_F(SharedPayloadsTest, AReplicaThatIsGoneForLongIsForgotten) {
  list({"a", "b"});
  list({"a"});
  EXPECT_THAT(fetchers_.forgotten, ElementsAre());
  advance(std::chrono::minutes{11}, std::chrono::seconds{10});
  list({"a"});
  EXPECT_THAT(fetchers_.forgotten, ::testing::Contains("b"));
}

}  // namespace
}  // namespace towline::driver
