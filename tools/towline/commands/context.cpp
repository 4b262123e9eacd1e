#include "tools/towline/commands/context.hpp"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>

#include "libs/wire/token.hpp"
#include "tools/towline/render.hpp"
#include "tools/towline/supervisor.hpp"

namespace towline::cli {
namespace {

constexpr const char* kFetcher = "127.0.0.1:7410";
constexpr const char* kGossip = "127.0.0.1:7440";

}  // namespace

int report(const grpc::Status& s, const std::string& target) {
  if (s.error_code() == grpc::StatusCode::UNAVAILABLE || s.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    std::cerr << "towline: " << target << " does not answer; is it running there?\n";
    return kUnreachable;
  }
  std::cerr << "towline: " << s.error_message() << '\n';
  return kFailed;
}

std::string read_all(std::istream& in) { return {std::istreambuf_iterator<char>{in}, {}}; }

void Context::add_flags(CLI::App& app) {
  app.add_option("--sync-coordinator", coordinator_, "gRPC address of the sync-coordinator")
      ->envname("TOWLINE_SYNC_COORDINATOR")
      ->capture_default_str();
  app.add_option("--p2p-gossip", gossip_, "gRPC target of p2p-gossip; the coordinator knows it")
      ->envname("TOWLINE_P2P_GOSSIP");
  app.add_option("--remote-fetcher", fetcher_, "gRPC target of the remote-fetcher; the coordinator knows it")
      ->envname("TOWLINE_REMOTE_FETCHER");
  app.add_option("--auth.token-file", token_file_,
                 "file with the services' shared token; default: what `towline up` made in towline-data")
      ->envname("TOWLINE_AUTH_TOKEN_FILE");
  app.add_flag("--json", json_, "print JSON, fields named as in the protos");
}

int Context::run() {
  for (const Verb& v : verbs_) {
    if (!*v.app) continue;
    return v.remote && !read_token() ? kUsage : v.run();
  }
  return kUsage;
}

bool Context::read_token() {
  const std::string by_default = absl::StrCat(kDefaultDataDir, "/", kTokenFile);
  if (token_file_.empty() && access(by_default.c_str(), R_OK) != 0) return true;
  auto token = wire::read_token(token_file_.empty() ? by_default : token_file_);
  if (!token.ok()) {
    std::cerr << "towline: --auth.token-file: " << token.status().message() << '\n';
    return false;
  }
  token_ = *std::move(token);
  return true;
}

void Context::print(const google::protobuf::Message& m, const std::string& text) const {
  std::cout << (json_ ? to_json(m) : text) << std::flush;
}

void Context::done(const std::string& text) const { std::cout << (json_ ? "{}" : text) << std::endl; }

std::string Context::target_of(const std::string& flag, const std::string& (v1::GetSyncStatusResponse::*known)() const,
                               const char* otherwise) const {
  if (!flag.empty()) return flag;
  const auto stub = v1::SyncCoordinator::NewStub(channel(coordinator_));
  Call call;
  v1::GetSyncStatusResponse response;
  const bool answered = stub->GetSyncStatus(&call.context, {}, &response).ok();
  return answered && !(response.*known)().empty() ? (response.*known)() : otherwise;
}

std::string Context::fetcher_target() const {
  return target_of(fetcher_, &v1::GetSyncStatusResponse::remote_fetcher, kFetcher);
}

std::string Context::gossip_target() const {
  return target_of(gossip_, &v1::GetSyncStatusResponse::p2p_gossip, kGossip);
}

std::string Context::fetcher_target(const std::string& known) const {
  return !fetcher_.empty() ? fetcher_ : !known.empty() ? known : kFetcher;
}

}  // namespace towline::cli
