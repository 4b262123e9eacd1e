#include "libs/service/auth.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <grpc/grpc_security.h>
#include <openssl/crypto.h>

#include <boost/asio/ip/address.hpp>

#include "libs/wire/token.hpp"

namespace towline::service {
namespace {

bool equal_in_constant_time(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::string_view view(const grpc_slice& s) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(s)), GRPC_SLICE_LENGTH(s)};
}

struct Checkpoint {
  Guard guard;
  Metrics::Counter refused;
};

void process(void* state, grpc_auth_context*, const grpc_metadata* md, std::size_t n,
             grpc_process_auth_metadata_done_cb done, void* user) {
  absl::string_view path, authorization;
  for (std::size_t i = 0; i < n; ++i) {
    if (view(md[i].key) == ":path") path = view(md[i].value);
    if (view(md[i].key) == "authorization") authorization = view(md[i].value);
  }
  auto& checkpoint = *static_cast<Checkpoint*>(state);
  const absl::Status s = checkpoint.guard.check(path, authorization);
  if (!s.ok()) checkpoint.refused.inc();
  done(user, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(s.code()), std::string{s.message()}.c_str());
}

class GuardedCredentials final : public grpc::ServerCredentials {
 public:
  explicit GuardedCredentials(Checkpoint checkpoint) : checkpoint_{std::move(checkpoint)} {}
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    grpc_server_credentials* c = grpc_insecure_server_credentials_create();
    grpc_server_credentials_set_auth_metadata_processor(
        c, {process, [](void* state) { delete static_cast<Checkpoint*>(state); }, new Checkpoint{checkpoint_}});
    const int port = grpc_server_add_http2_port(server, address.c_str(), c);
    grpc_server_credentials_release(c);
    return port;
  }
  const Checkpoint checkpoint_;
};

}  // namespace

const std::map<std::string, Access, std::less<>>& access_of_methods() {
  static const std::map<std::string, Access, std::less<>> kMethods{
      {"/grpc.health.v1.Health/Check", Access::read},
      {"/grpc.health.v1.Health/Watch", Access::watch},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::watch},
      {"/towline.v1.EngineDriver/GetState", Access::read},
      {"/towline.v1.EngineDriver/WatchState", Access::watch},
      {"/towline.v1.EngineDriver/GetCanonicalBlocks", Access::read},
      {"/towline.v1.EngineDriver/ImportRange", Access::change},
      {"/towline.v1.EngineDriver/SetForkchoice", Access::change},
      {"/towline.v1.EngineDriver/Rewind", Access::change},
      {"/towline.v1.EngineDriver/StartElSync", Access::change},
      {"/towline.v1.EngineDriver/LowerFinalized", Access::change},
      {"/towline.v1.P2PGossip/WatchBlocks", Access::watch},
      {"/towline.v1.P2PGossip/WatchPayloads", Access::watch},
      {"/towline.v1.P2PGossip/PublishBlock", Access::change},
      {"/towline.v1.P2PGossip/GetNode", Access::read},
      {"/towline.v1.P2PGossip/ListPeers", Access::read},
      {"/towline.v1.P2PGossip/BanPeer", Access::change},
      {"/towline.v1.P2PGossip/UnbanPeer", Access::change},
      {"/towline.v1.P2PGossip/ListBans", Access::read},
      {"/towline.v1.P2PGossip/ConnectPeer", Access::change},
      {"/towline.v1.PayloadSource/GetPayload", Access::read},
      {"/towline.v1.PayloadSource/StreamPayloads", Access::watch},
      // The caller's confirmed_finalized decides which branch of the sources is believed.
      {"/towline.v1.RemoteFetcher/WatchHeads", Access::change},
      {"/towline.v1.RemoteFetcher/GetHeaders", Access::read},
      {"/towline.v1.RemoteFetcher/GetHeaderByHash", Access::read},
      {"/towline.v1.RemoteFetcher/ListEndpoints", Access::read},
      {"/towline.v1.RemoteFetcher/CompareEndpoints", Access::read},
      {"/towline.v1.RemoteFetcher/CordonEndpoint", Access::change},
      {"/towline.v1.RemoteFetcher/UncordonEndpoint", Access::change},
      {"/towline.v1.SyncCoordinator/GetSyncStatus", Access::read},
      {"/towline.v1.SyncCoordinator/WatchSyncStatus", Access::watch},
      {"/towline.v1.SyncCoordinator/Pause", Access::change},
      {"/towline.v1.SyncCoordinator/Resume", Access::change},
      {"/towline.v1.SyncCoordinator/ListDecisions", Access::read},
  };
  return kMethods;
}

bool is_loopback(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return true;
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") return true;
  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(host, ec);
  return !ec && ip.is_loopback();
}

absl::Status Guard::check(absl::string_view path, absl::string_view authorization) const {
  if (token_.empty()) return absl::OkStatus();
  const auto& methods = access_of_methods();
  const auto at = methods.find(path);
  // A method that is not in the list counts as one that changes something.
  const Access access = at == methods.end() ? Access::change : at->second;
  if (access == Access::read || (access == Access::watch && loopback_)) return absl::OkStatus();
  if (authorization.empty())
    return absl::UnauthenticatedError("this call needs the services' token: give its file by --auth.token-file");
  if (!absl::ConsumePrefix(&authorization, "Bearer ") || !equal_in_constant_time(authorization, token_))
    return absl::UnauthenticatedError("this is not the services' token: --auth.token-file must be the same file");
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> guarded_credentials(Guard guard, Metrics::Counter refused) {
  return std::make_shared<GuardedCredentials>(Checkpoint{std::move(guard), refused});
}

absl::StatusOr<std::string> AuthFlags::token_for(const std::string& address) const {
  if (!token_file.empty()) {
    auto token = wire::read_token(token_file);
    if (!token.ok()) return absl::InvalidArgumentError(absl::StrCat("--auth.token-file: ", token.status().message()));
    return token;
  }
  if (!is_loopback(address) && !insecure)
    return absl::FailedPreconditionError(absl::StrCat(
        "--grpc.addr: whoever reaches ", address,
        " could command this service: give --auth.token-file FILE, or say --insecure if nobody else can reach it"));
  return std::string{};
}

}  // namespace towline::service
