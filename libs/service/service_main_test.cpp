#include "libs/service/service_main.hpp"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "libs/base/exit_code.hpp"

namespace towline::service {
namespace {

class Hanging final : public Program {
 public:
  void add_flags(CLI::App&) override {}
  absl::Status start(Context& ctx) override {
    ctx.watchdog.watch("deaf", [](const std::function<void()>&) {});
    return absl::OkStatus();
  }
  std::vector<grpc::Service*> services() override { return {}; }
  Readiness readiness() override { return {}; }
  void stop() override {}
  void release() override {}
};

int run(Program& program, std::vector<std::string> flags) {
  flags.insert(flags.begin(), "test");
  flags.push_back("--http.addr=127.0.0.1:0");
  std::vector<char*> argv;
  for (auto& f : flags) argv.push_back(f.data());
  Info info{"test", "A test.", "127.0.0.1:0", "127.0.0.1:0"};
  info.watchdog_turn = std::chrono::milliseconds{20};
  return service_main(info, program, static_cast<int>(argv.size()), argv.data());
}

class ServiceMain : public ::testing::Test {
 protected:
  // The child process starts from main(): gRPC does not survive fork().
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ServiceMain, EndsByItselfWhenALoopHangsAndNamesIt) {
  EXPECT_EXIT(
      {
        Hanging program;
        exit(run(program, {}));
      },
      ::testing::ExitedWithCode(kExitBroken), "a loop hangs.*loop=deaf");
}

TEST_F(ServiceMain, DoesNotListenBeyondLoopbackWithoutAToken) {
  EXPECT_EXIT(
      {
        Hanging program;
        exit(run(program, {"--grpc.addr=0.0.0.0:0"}));
      },
      ::testing::ExitedWithCode(1), "--auth.token-file FILE, or say --insecure");
}

}  // namespace
}  // namespace towline::service
