// Asks services by HTTP whether they live, on a thread of its own.
#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace towline::cli {

/// `address`, host:port of a status server, answers /livez with 200 in time.
bool lives(const std::string& address, std::chrono::milliseconds patience);

class Liveness {
 public:
  /// `addresses`: host:port of the status servers. Each of them is asked once in a turn; answers have `patience`.
  Liveness(std::vector<std::string> addresses, std::chrono::milliseconds turn, std::chrono::milliseconds patience);
  ~Liveness();

  /// Turns in a row in which /livez of this service was not 200, since forget().
  int missed(std::size_t service) const;
  /// It is being started: what was missed does not count.
  void forget(std::size_t service);

 private:
  void run();

  const std::vector<std::string> addresses_;
  const std::chrono::milliseconds turn_, patience_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<int> missed_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace towline::cli
