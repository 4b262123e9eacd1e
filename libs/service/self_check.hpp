// Asks the process's own gRPC server for its health, over a new connection each time, because a server that no longer
// accepts connections still answers on its open ones.
#pragma once
#include <grpcpp/security/credentials.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace grpc {
class ClientContext;
}

namespace towline::service {

class SelfCheck {
 public:
  SelfCheck(std::string address, std::shared_ptr<grpc::ChannelCredentials> credentials);
  ~SelfCheck();

  /// Calls `done` when the server has answered. One question at a time, as a watchdog asks.
  void ask(std::function<void()> done);

 private:
  void run();
  bool answers();

  const std::string address_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::function<void()> done_;
  grpc::ClientContext* call_ = nullptr;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace towline::service
