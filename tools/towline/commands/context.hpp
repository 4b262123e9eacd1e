// The common part of the command line's verbs: the global flags, the exit codes, and calls to the services.
#pragma once
#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "libs/wire/channel.hpp"
#include "towline/v1/p2p_gossip.grpc.pb.h"
#include "towline/v1/remote_fetcher.grpc.pb.h"
#include "towline/v1/sync_coordinator.grpc.pb.h"

namespace CLI {
class App;
}

namespace towline::cli {

// Exit codes; --help and docs/errors.md list them, too.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;       // the answer is no: INVALID, no such name, a service that cannot run
inline constexpr int kUsage = 2;        // wrong flags
inline constexpr int kUnreachable = 3;  // the service does not answer
inline constexpr int kUnhealthy = 4;    // status --check: not ready; recover: a person is needed

/// A call with a deadline.
struct Call {
  explicit Call(std::chrono::milliseconds deadline = std::chrono::seconds{5}) {
    context.set_deadline(std::chrono::system_clock::now() + deadline);
  }
  grpc::ClientContext context;
};

/// Prints why a call failed. Returns the exit code.
int report(const grpc::Status& s, const std::string& target);

std::string read_all(std::istream& in);

class Context {
 public:
  Context(int argc, char** argv) : argc_{argc}, argv_{argv} {}

  /// The flags that every verb takes.
  void add_flags(CLI::App& app);

  /// Registers an action; `run` returns the exit code. A remote action calls services, so the token is read first.
  void local(CLI::App* verb, std::function<int()> run) { verbs_.push_back({verb, std::move(run), false}); }
  void remote(CLI::App* verb, std::function<int()> run) { verbs_.push_back({verb, std::move(run), true}); }
  /// Runs the chosen verb; call it after the parse.
  int run();

  int argc() const { return argc_; }
  const char* const* argv() const { return argv_; }
  bool json() const { return json_; }
  const std::string& coordinator() const { return coordinator_; }
  const std::string& token_file() const { return token_file_; }
  void print(const google::protobuf::Message& m, const std::string& text) const;
  void done(const std::string& text) const;

  std::shared_ptr<grpc::Channel> channel(const std::string& target) const { return wire::make_channel(target, token_); }
  /// The flag's value, else the coordinator's answer, else the default port on this host.
  std::string fetcher_target() const;
  std::string gossip_target() const;
  /// The same, if the coordinator was asked already.
  std::string fetcher_target(const std::string& known) const;

  // Each asks one service and calls `show` when it has answered. Returns the exit code.
  template <class Ask, class Show>
  int coordinator_call(Ask ask, Show show) const {
    return call<v1::SyncCoordinator>("sync-coordinator", coordinator_, Call{}, ask, show);
  }
  template <class Ask, class Show>
  int fetcher_call(Ask ask, Show show) const {
    return call<v1::RemoteFetcher>("remote-fetcher", fetcher_target(), Call{}, ask, show);
  }
  template <class Ask, class Show>
  int gossip_call(Ask ask, Show show) const {
    // A dial takes longer than a question.
    return call<v1::P2PGossip>("p2p-gossip", gossip_target(), Call{std::chrono::seconds{35}}, ask, show);
  }

 private:
  struct Verb {
    CLI::App* app;
    std::function<int()> run;
    bool remote;
  };

  template <class Service, class Ask, class Show>
  int call(const char* name, const std::string& target, Call&& call, Ask ask, Show show) const {
    const auto stub = Service::NewStub(channel(target));
    if (const grpc::Status s = ask(*stub, &call.context); !s.ok()) return report(s, name + (" at " + target));
    show();
    return kOk;
  }
  std::string target_of(const std::string& flag, const std::string& (v1::GetSyncStatusResponse::*known)() const,
                        const char* otherwise) const;
  bool read_token();

  const int argc_;
  char** const argv_;
  std::vector<Verb> verbs_;
  std::string coordinator_ = "127.0.0.1:7420";
  std::string fetcher_, gossip_;
  std::string token_file_, token_;
  bool json_ = false;
};

}  // namespace towline::cli
