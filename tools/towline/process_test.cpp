#include "tools/towline/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>

#include "tests/support/hang.hpp"

namespace towline::cli {
namespace {

class ProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "process-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  ProcessSpec shell(const std::string& script) {
    return {"sh", "/bin", {"-c", script}, {{"ADDED", "here"}}, dir_ + "/log"};
  }
  std::string log() {
    std::ifstream in{dir_ + "/log"};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  int wait_for_end(Process& p) {
    std::optional<int> status;
    until([&] { return (status = p.poll()).has_value(); });
    return status.value_or(-1);
  }
  static void until(const std::function<bool()>& condition) {
    for (const std::int64_t end = now_ms() + absl::ToInt64Milliseconds(towline::testing::kHang); !condition();) {
      if (now_ms() > end) return void(ADD_FAILURE() << "never");
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
  }
  std::string dir_;
};

TEST_F(ProcessTest, KeepsOurVariablesFromTheChild) {
  setenv("TOWLINE_CONFIG", "/some/file", 1);
  Process p{shell("echo \"[$TOWLINE_CONFIG] [$ADDED]\"; exit 3")};
  p.start();
  EXPECT_EQ(describe_exit(wait_for_end(p)), "with exit code 3");
  unsetenv("TOWLINE_CONFIG");
  EXPECT_EQ(p.last_words(), "[] [here]");
  EXPECT_FALSE(p.running());
}

TEST_F(ProcessTest, LastLineIsOfThisStartOnly) {
  Process loud{shell("echo first")};
  loud.start();
  wait_for_end(loud);
  Process quiet{shell("exit 1")};
  quiet.start();
  wait_for_end(quiet);
  EXPECT_EQ(quiet.last_words(), "");
  EXPECT_EQ(log(), "first\n");
}

TEST_F(ProcessTest, MissingProgramSaysSo) {
  Process p{{"no-such-program", dir_, {}, {}, dir_ + "/log"}};
  p.start();
  EXPECT_EQ(describe_exit(wait_for_end(p)), "with exit code 127");
  EXPECT_NE(p.last_words().find("no-such-program: cannot start " + dir_), std::string::npos) << p.last_words();
  EXPECT_NE(p.last_words().find("make build"), std::string::npos) << p.last_words();
}

TEST_F(ProcessTest, StopKillsWhatDoesNotListen) {
  Process p{shell("trap '' TERM; echo up; while :; do sleep 0.05; done")};
  p.start();
  until([&] { return p.last_words() == "up"; });
  const std::int64_t start = now_ms();
  p.terminate();
  p.wait_or_kill(start + 200);
  EXPECT_FALSE(p.running());
  EXPECT_GE(now_ms() - start, 200);
}

}  // namespace
}  // namespace towline::cli
