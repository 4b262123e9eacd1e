#include "libs/service/auth.hpp"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "libs/wire/channel.hpp"
#include "libs/wire/token.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/payload_source.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace towline::service {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kToken(32, 'a');

TEST(Access, KnowsEveryMethodOfTheProtos) {
  // Using a message registers the descriptor of its proto file.
  v1::GetStateRequest::descriptor();
  v1::GetNodeRequest::descriptor();
  v1::GetPayloadRequest::descriptor();
  v1::GetHeadersRequest::descriptor();
  v1::GetSyncStatusRequest::descriptor();
  std::set<std::string> in_protos, in_list;
  for (const char* name : {"EngineDriver", "P2PGossip", "PayloadSource", "RemoteFetcher", "SyncCoordinator"}) {
    const auto* s =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string{"towline.v1."} + name);
    ASSERT_NE(s, nullptr) << name;
    for (int i = 0; i < s->method_count(); ++i) {
      const auto* m = s->method(i);
      const std::string path = "/" + s->full_name() + "/" + m->name();
      in_protos.insert(path);
      const auto at = access_of_methods().find(path);
      ASSERT_NE(at, access_of_methods().end()) << path << " is in no list: does it change anything?";
      if (m->server_streaming()) {
        EXPECT_NE(at->second, Access::read) << path << " is a stream";
      }
    }
  }
  for (const auto& [path, access] : access_of_methods())
    if (path.starts_with("/towline.")) in_list.insert(path);
  EXPECT_EQ(in_list, in_protos);
  // No service of the protos is missing above.
  for (const auto& entry : std::filesystem::directory_iterator{TOWLINE_SOURCE_DIR "/proto/towline/v1"}) {
    std::ifstream in{entry.path()};
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("service ")) continue;
      const std::string name = line.substr(8, line.find(' ', 8) - 8);
      EXPECT_TRUE(in_protos.lower_bound("/towline.v1." + name + "/") != in_protos.end() &&
                  in_protos.lower_bound("/towline.v1." + name + "/")->starts_with("/towline.v1." + name + "/"))
          << name;
    }
  }
}

TEST(Guard, AsksForTheTokenWhereItMust) {
  const char* const read = "/towline.v1.EngineDriver/GetState";
  const char* const watch = "/towline.v1.EngineDriver/WatchState";
  const char* const change = "/towline.v1.EngineDriver/Rewind";
  const char* const unknown = "/towline.v9.Any/Thing";
  const std::string good = "Bearer " + kToken, wrong = "Bearer " + std::string(32, 'b');
  struct Row {
    bool loopback;
    const char* path;
    std::string authorization;
    bool allowed;
  };
  const Row rows[] = {
      {true, read, "", true},       {true, watch, "", true},           {true, change, "", false},
      {true, unknown, "", false},   {true, change, wrong, false},      {true, change, kToken, false},
      {true, change, good, true},   {true, change, good + "a", false}, {true, change, "bearer " + kToken, false},
      {true, unknown, good, true},  {false, read, "", true},           {false, watch, "", false},
      {false, watch, wrong, false}, {false, watch, good, true},        {false, change, "", false},
      {false, change, good, true},  {false, change, "Bearer ", false},
  };
  for (const Row& r : rows) {
    const absl::Status s = Guard{kToken, r.loopback}.check(r.path, r.authorization);
    EXPECT_EQ(s.ok(), r.allowed) << r.loopback << r.path << r.authorization;
    if (!s.ok()) {
      EXPECT_EQ(s.code(), absl::StatusCode::kUnauthenticated);
      EXPECT_THAT(std::string{s.message()}, Not(HasSubstr(kToken)));
    }
    EXPECT_TRUE((Guard{"", r.loopback}.check(r.path, r.authorization).ok()));
  }
}

TEST(Loopback, IsWhatThisHostAloneReaches) {
  for (const char* yes : {"127.0.0.1:1", "127.9.9.9:0", "localhost:1", "[::1]:1", "unix:/tmp/x"})
    EXPECT_TRUE(is_loopback(yes)) << yes;
  for (const char* no : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", ":1", "localhost.example:1"})
    EXPECT_FALSE(is_loopback(no)) << no;
}

class TokenFile : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = ::testing::TempDir() + "/towline_token_" + std::to_string(getpid());
    std::filesystem::remove(file_);
  }
  void TearDown() override { std::filesystem::remove(file_); }
  absl::StatusOr<std::string> read(const std::string& content) {
    std::ofstream{file_} << content;
    return wire::read_token(file_);
  }
  std::string file_;
};

TEST_F(TokenFile, IsMadeOnceForItsOwner) {
  ASSERT_TRUE(wire::make_token(file_).ok());
  struct stat st {};
  ASSERT_EQ(stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
  const auto first = wire::read_token(file_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size(), 64U);
  ASSERT_TRUE(wire::make_token(file_).ok());
  EXPECT_EQ(*wire::read_token(file_), *first) << "a token that is there stays";
}

TEST_F(TokenFile, HoldsOneTokenOfSomeLength) {
  EXPECT_EQ(*read(kToken + "\n"), kToken);
  for (const std::string& bad :
       {std::string{}, std::string{"short"}, kToken + " " + kToken, kToken + "\x01", std::string(5000, 'a')}) {
    const auto r = read(bad);
    ASSERT_FALSE(r.ok()) << bad.size();
    EXPECT_THAT(std::string{r.status().message()}, HasSubstr(file_));
    EXPECT_THAT(std::string{r.status().message()}, Not(HasSubstr("aaaa")));
  }
  EXPECT_FALSE(wire::read_token(file_ + ".not").ok());
}

TEST_F(TokenFile, OrInsecureIsWhatListeningBeyondLoopbackNeeds) {
  const auto refused = AuthFlags{}.token_for("0.0.0.0:7410");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string{refused.status().message()}, HasSubstr("--auth.token-file"));
  EXPECT_THAT(std::string{refused.status().message()}, HasSubstr("--insecure"));
  EXPECT_EQ((*AuthFlags{"", true}.token_for("0.0.0.0:7410")), "");
  EXPECT_EQ((*AuthFlags{}.token_for("127.0.0.1:7410")), "");
  ASSERT_TRUE(wire::make_token(file_).ok());
  EXPECT_EQ((*AuthFlags{file_, false}.token_for("0.0.0.0:7410")), *wire::read_token(file_));
  EXPECT_FALSE((AuthFlags{file_ + ".not", true}.token_for("127.0.0.1:7410")).ok());
}

class Fake final : public v1::SyncCoordinator::Service {
 public:
  grpc::Status GetSyncStatus(grpc::ServerContext*, const v1::GetSyncStatusRequest*,
                             v1::GetSyncStatusResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status WatchSyncStatus(grpc::ServerContext*, const v1::WatchSyncStatusRequest*,
                               grpc::ServerWriter<v1::WatchSyncStatusResponse>*) override {
    ++watched;
    return grpc::Status::OK;
  }
  grpc::Status Pause(grpc::ServerContext*, const v1::PauseRequest*, v1::PauseResponse*) override {
    ++paused;
    return grpc::Status::OK;
  }
  std::atomic<int> paused{0}, watched{0};
};

TEST(GuardedServer, LetsNobodyChangeAnythingWithoutTheToken) {
  for (const bool loopback : {true, false}) {
    Fake fake;
    Metrics metrics;
    grpc::ServerBuilder b;
    int port = 0;
    b.AddListeningPort("127.0.0.1:0", guarded_credentials({kToken, loopback}, metrics.counter("refused", "Help.")),
                       &port);
    b.RegisterService(&fake);
    const auto server = b.BuildAndStart();
    ASSERT_TRUE(server);
    const std::string target = "127.0.0.1:" + std::to_string(port);
    const auto call = [&](const std::string& token, auto what) {
      const auto stub = v1::SyncCoordinator::NewStub(wire::make_channel(target, token));
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      return what(*stub, &context).error_code();
    };
    const auto read = [](auto& s, auto* c) {
      v1::GetSyncStatusResponse r;
      return s.GetSyncStatus(c, {}, &r);
    };
    const auto watch = [](auto& s, auto* c) { return s.WatchSyncStatus(c, {})->Finish(); };
    const auto change = [](auto& s, auto* c) {
      v1::PauseResponse r;
      return s.Pause(c, {}, &r);
    };
    EXPECT_EQ(call("", read), grpc::StatusCode::OK);
    EXPECT_EQ(call("", watch), loopback ? grpc::StatusCode::OK : grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(fake.watched, loopback ? 1 : 0);
    EXPECT_EQ(call("", change), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(call(std::string(32, 'b'), change), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_EQ(fake.paused, 0);
    EXPECT_EQ(call(kToken, change), grpc::StatusCode::OK);
    EXPECT_EQ(fake.paused, 1);
    EXPECT_EQ(call(kToken, watch), grpc::StatusCode::OK);
    EXPECT_THAT(metrics.text(), HasSubstr(loopback ? "refused 2\n" : "refused 3\n"));
  }
}

}  // namespace
}  // namespace towline::service
