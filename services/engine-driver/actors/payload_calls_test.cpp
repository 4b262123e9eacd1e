// payload_calls over real HTTP.
#include "services/engine-driver/actors/payload_calls.hpp"

#include <gtest/gtest.h>
#include <httplib.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <future>
#include <thread>

#include "libs/actor_kit/terminator.hpp"

namespace towline::driver {
namespace {

/// An EL that gets payloads and answers them when it is told to.
class PayloadCallsTest : public ::testing::Test {
 protected:
  PayloadCallsTest() {
    server_.Post("/", [this](const httplib::Request& req, httplib::Response& res) {
      got_.set_value(req.body);
      answer_.get_future().wait();
      res.set_content(R"({"jsonrpc":"2.0","id":0,"result":{"status":"VALID"}})", "application/json");
    });
    const int port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    while (!server_.is_running()) std::this_thread::yield();
    client_ = std::make_unique<EngineClient>(
        EngineClient::Options{"http://127.0.0.1:" + std::to_string(port), {}, "", absl::Minutes(2)}, metrics_);
    const auto blocking = actors_.add(system_.spawn<caf::detached>(engine, client_.get()));
    calls_ = actors_.add(system_.spawn(payload_calls, client_.get(), blocking));
  }
  ~PayloadCallsTest() override {
    client_->stop(absl::ZeroDuration());
    actors_.end(system_);
    calls_.reset();
    client_.reset();
    server_.stop();
    thread_.join();
  }
  /// Sends a payload, calls `meanwhile` when the EL has got it, and returns the answer.
  EngineAnswer send(const std::function<void()>& meanwhile) {
    auto payload = std::make_shared<PreparedPayload>();
    payload->body = "the request";
    caf::scoped_actor self{system_};
    auto answer =
        self->request(*calls_, caf::infinite, call_atom{}, std::make_shared<const Effect>(SendPayload{payload}));
    EXPECT_EQ(got_.get_future().get(), "the request");
    meanwhile();
    EngineAnswer out;
    answer.receive([&](const EventPtr& e) { out = std::get<EngineAnswer>(*e); }, [](const caf::error&) {});
    return out;
  }

  Metrics metrics_;
  httplib::Server server_;
  std::promise<std::string> got_;
  std::promise<void> answer_;
  std::thread thread_;
  std::unique_ptr<EngineClient> client_;
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  Terminator actors_;
  std::optional<engine_actor> calls_;
};

TEST_F(PayloadCallsTest, TheElsAnswerIsTheAnswer) {
  const EngineAnswer a = send([this] { answer_.set_value(); });
  EXPECT_EQ(a.kind, EngineAnswer::Kind::status);
  EXPECT_EQ(a.status, PayloadStatus::valid);
}

TEST_F(PayloadCallsTest, AnElThatDoesNotAnswerHoldsNoStopUp) {
  const EngineAnswer a = send([this] { client_->stop(absl::ZeroDuration()); });
  EXPECT_EQ(a.kind, EngineAnswer::Kind::transport);
  answer_.set_value();
}

TEST_F(PayloadCallsTest, NothingIsSentAfterAStop) {
  client_->stop(absl::ZeroDuration());
  caf::scoped_actor self{system_};
  EngineAnswer a;
  self->request(*calls_, caf::infinite, call_atom{},
                std::make_shared<const Effect>(SendPayload{std::make_shared<PreparedPayload>()}))
      .receive([&](const EventPtr& e) { a = std::get<EngineAnswer>(*e); }, [](const caf::error&) {});
  EXPECT_EQ(a.kind, EngineAnswer::Kind::transport);
}

}  // namespace
}  // namespace towline::driver
