// Asks the process's own gRPC server for its health, over a new connection each time: a server that no longer accepts
// connections still answers on those it has.
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

  /// `done` is called when the server has answered. One question at a time, as a watchdog asks them.
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
