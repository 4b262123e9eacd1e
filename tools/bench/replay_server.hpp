// An HTTP server on loopback that lets each answer leave a given time after its request came. One thread.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>

namespace towline::bench {

using Clock = std::chrono::steady_clock;

struct Answer {
  std::string body;
  /// How long after its request it leaves.
  Clock::duration after;
};

class ReplayServer {
 public:
  using Answerer = std::function<Answer(std::string_view body)>;

  explicit ReplayServer(Answerer answerer) : answerer_(std::move(answerer)) {}

  /// Prints its port and serves until the process ends. Returns 1 if it cannot listen.
  int run();

 private:
  struct Connection {
    std::string in, out;
    std::size_t sent = 0;
  };

  struct Late {
    Clock::time_point due;
    std::uint64_t connection;
    std::shared_ptr<std::string> bytes;
    bool operator<(const Late& other) const { return due > other.due; }
  };

  void watch(int operation, int fd, std::uint32_t what, std::uint64_t id);
  int wait_ms() const;
  void accept_all(int listener);
  void close_connection(std::uint64_t id);
  void serve(std::uint64_t id, std::uint32_t events);
  void requests(std::uint64_t id, Connection& connection);
  void send_due();
  bool flush(std::uint64_t id, Connection& c);

  Answerer answerer_;
  int poll_ = -1;
  std::uint64_t count_ = 0;
  std::map<std::uint64_t, Connection> connections_;
  std::priority_queue<Late> late_;
};

}  // namespace towline::bench
