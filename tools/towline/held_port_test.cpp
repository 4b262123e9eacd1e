#include "tools/towline/held_port.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <thread>
#include <vector>

namespace towline::cli {
namespace {

/// Listens as a service does. The descriptor, or -1.
int listen_on(int port, bool reuse = true) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = reuse ? 1 : 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<std::uint16_t>(port));
  if (bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0 && listen(fd, 1) == 0) return fd;
  close(fd);
  return -1;
}

TEST(HeldPort, FortyStartsAtOnceNeverCollide) {
  constexpr int kStarts = 40;
  constexpr int kPorts = 25;
  std::vector<std::vector<HeldPort>> held(kStarts);
  std::vector<std::thread> starts;
  for (auto& mine : held) {
    starts.emplace_back([&mine] {
      for (int i = 0; i < kPorts; ++i) {
        auto port = HeldPort::take();
        ASSERT_TRUE(port.ok()) << port.status();
        mine.push_back(std::move(*port));
      }
    });
  }
  for (auto& t : starts) t.join();
  std::set<int> numbers;
  std::vector<int> listeners;
  for (const auto& mine : held) {
    for (const auto& port : mine) {
      numbers.insert(port.number());
      listeners.push_back(listen_on(port.number()));
      EXPECT_GE(listeners.back(), 0) << port.number();
    }
  }
  EXPECT_EQ(numbers.size(), std::size_t{kStarts * kPorts});
  for (const int fd : listeners) close(fd);
}

TEST(HeldPort, IsKeptFromOthersBetweenTwoLivesOfAChild) {
  const auto port = HeldPort::take();
  ASSERT_TRUE(port.ok());
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(listen_on(port->number(), false), -1) << "a stranger";
    const int child = listen_on(port->number());
    ASSERT_GE(child, 0);
    EXPECT_EQ(listen_on(port->number()), -1) << "a second server";
    close(child);
  }
}

TEST(HeldPort, IsGivenBackOnce) {
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, std::filesystem::directory_iterator{});
  };
  const auto before = descriptors();
  {
    auto port = HeldPort::take();
    ASSERT_TRUE(port.ok());
    const HeldPort moved = std::move(*port);
    EXPECT_EQ(descriptors(), before + 1);
  }
  EXPECT_EQ(descriptors(), before);
}

}  // namespace
}  // namespace towline::cli
