#include "services/p2p-gossip/actors/signer_watch.hpp"

#include <absl/strings/str_cat.h>

#include <caf/typed_event_based_actor.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/http/client.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::gossip {
namespace {

constexpr auto kEach = std::chrono::minutes{10};
constexpr auto kSoon = std::chrono::seconds{10};
/// keccak256("systemconfig.unsafeblocksigner"), where SystemConfig keeps it.
constexpr const char* kSlot = "0x65a7ed542fb37fe237fdfbdd70b31598523fe5b32879e307bae27a0bd9581c08";

absl::StatusOr<Address> read_signer(http::Client& client, const SignerWatchConfig& config) {
  http::Request request;
  request.url = config.l1_url;
  request.max_response_bytes = 1U << 20U;
  request.body = absl::StrCat(R"({"jsonrpc":"2.0","id":0,"method":"eth_getStorageAt","params":[")",
                              to_hex(config.system_config.view()), "\",\"", kSlot, R"(","latest"]})");
  const http::Response r = client.post_and_wait(std::move(request));
  if (!r.transport.ok()) return r.transport;
  TOWLINE_ASSIGN_OR_RETURN(const auto answers, jsonrpc::Answers::parse(r.body, 1, false));
  const auto& a = answers.answers[0];
  std::string_view text;
  if (a.kind != jsonrpc::Answer::Kind::result || a.result.get(text) != simdjson::SUCCESS)
    return absl::UnavailableError(absl::StrCat("HTTP ", r.status, ", ", a.error.message));
  TOWLINE_ASSIGN_OR_RETURN(const auto word, parse_fixed_hex<32>({text.data(), text.size()}));
  return *Address::from(word.view().subspan(12));
}

}  // namespace

signer_watch_actor::behavior_type signer_watch(signer_watch_actor::pointer self, const SignerWatchConfig& config) {
  self->send(self, look_atom{});
  auto client = std::make_shared<http::Client>();
  return {[=](look_atom) {
    const auto signer = read_signer(*client, config);
    config.metrics
        ->counter("towline_gossip_signer_reads_total", "Looks at the signer on L1.",
                  {{"result", signer.ok() ? "ok" : "error"}})
        .inc();
    if (!signer.ok()) {
      log::warn("the unsafe block signer cannot be read from L1, trying on",
                {log::kv("l1", http::redact_url(config.l1_url)), log::kv("why", signer.status())});
      self->delayed_send(self, kSoon, look_atom{});
      return;
    }
    const auto before = config.validator->signers();
    config.validator->set_signer(*signer);
    if (before.empty() || before.front() != *signer)
      log::info("unsafe block signer", {log::kv("address", to_hex(signer->view())), log::kv("source", "l1")});
    self->delayed_send(self, kEach, look_atom{});
  }};
}

}  // namespace towline::gossip
