#include "tools/towline/liveness.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include "libs/telemetry/status_server.hpp"
#include "tests/support/hang.hpp"
#include "tools/towline/held_port.hpp"

namespace towline::cli {
namespace {

bool becomes_true(const std::function<bool()>& what) {
  for (const absl::Time end = absl::Now() + testing::kHang; absl::Now() < end; absl::SleepFor(absl::Milliseconds(5)))
    if (what()) return true;
  return false;
}

TEST(Liveness, CountsWhatMissesItsTurns) {
  Metrics metrics;
  std::atomic<bool> hangs{false};
  const auto server = StatusServer::start(
      "127.0.0.1:0", metrics, [] { return Readiness{}; }, [&] { return std::string{hangs ? "a loop hangs" : ""}; }, {});
  ASSERT_TRUE(server.ok()) << server.status();
  // A socket listens, but nobody answers.
  auto silent = HeldPort::take();
  ASSERT_TRUE(silent.ok()) << silent.status();
  Liveness l{{absl::StrCat("127.0.0.1:", (*server)->port()), absl::StrCat("127.0.0.1:", silent->number())},
             std::chrono::milliseconds{1},
             std::chrono::milliseconds{2000}};
  ASSERT_TRUE(becomes_true([&] { return l.missed(1) >= 2; }));
  EXPECT_EQ(l.missed(0), 0);
  hangs = true;
  ASSERT_TRUE(becomes_true([&] { return l.missed(0) >= 3; }));
  l.forget(0);
  EXPECT_LT(l.missed(0), 3);
  hangs = false;
  ASSERT_TRUE(becomes_true([&] { return l.missed(0) == 0; }));
}

}  // namespace
}  // namespace towline::cli
