// Asks services for /livez, on a thread of its own.
#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace towline::cli {

/// Whether the status server at `address` (host:port) answers /livez with 200 within `patience`.
bool lives(const std::string& address, std::chrono::milliseconds patience);

class Liveness {
 public:
  /// `addresses`: host:port of the status servers. All are asked at once in each turn; an answer may take `patience`.
  Liveness(std::vector<std::string> addresses, std::chrono::milliseconds turn, std::chrono::milliseconds patience);
  ~Liveness();

  /// The turns in a row, since forget(), in which /livez of this service was not 200.
  int missed(std::size_t service) const;
  /// Resets the count of a service that is being started.
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
