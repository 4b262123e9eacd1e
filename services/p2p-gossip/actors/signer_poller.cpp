#include "services/p2p-gossip/actors/signer_poller.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/text.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/core/l1_signer.hpp"

namespace towline::gossip {
namespace {

constexpr auto kSignerEach = std::chrono::seconds{600};
constexpr auto kSignerSoon = std::chrono::seconds{10};
/// L1 makes a block every 12 s: endpoints this far behind might name a signer of long ago.
constexpr absl::Duration kOldest = absl::Hours(1);

struct Proven {
  Address signer;
  L1Block at;
};

/// One poll: calls to the endpoints, one after the other. core/l1_signer interprets them.
class Look {
 public:
  explicit Look(const SignerPollerConfig& config)
      : c_{config}, needed_{std::min<std::size_t>(2, config.l1_urls.size())} {}

  absl::StatusOr<Proven> run() {
    TOWLINE_ASSIGN_OR_RETURN(const L1Block at, block());
    if (const absl::Duration age = absl::Now() - absl::FromUnixSeconds(static_cast<std::int64_t>(at.timestamp));
        age > kOldest) {
      return absl::UnavailableError(absl::StrCat("the newest L1 block that is known there, ", eth::to_string(at.id),
                                                 ", is ", absl::ToInt64Hours(age), " h old"));
    }
    why_.clear();
    for (const auto& url : c_.l1_urls) {
      auto signer = signer_from(url, at);
      if (signer.ok()) return Proven{*signer, at};
      add(url, signer.status());
    }
    return absl::UnavailableError(absl::StrCat("no L1 endpoint proves it at block ", eth::to_string(at.id), why_));
  }

 private:
  absl::StatusOr<L1Block> block() {
    std::vector<std::optional<L1Block>> heads;
    std::vector<std::uint64_t> numbers;
    for (const auto& url : c_.l1_urls) {
      const auto head = block_from(url, "latest");
      if (!head.ok()) add(url, head.status());
      heads.push_back(head.ok() ? std::optional{*head} : std::nullopt);
      if (head.ok()) numbers.push_back(head->id.number);
    }
    const auto height = common_height(numbers, needed_);
    if (!height) {
      return absl::UnavailableError(absl::StrCat(numbers.size(), " of ", c_.l1_urls.size(),
                                                 " L1 endpoints give a block, ", needed_, " must agree on one", why_));
    }
    std::vector<L1Block> blocks;
    for (std::size_t i = 0; i < heads.size(); ++i) {
      if (!heads[i] || heads[i]->id.number < *height) continue;
      auto b = heads[i]->id.number == *height ? absl::StatusOr<L1Block>{*heads[i]}
                                              : block_from(c_.l1_urls[i], absl::StrCat("0x", absl::Hex(*height)));
      if (b.ok() && b->id.number != *height) b = absl::DataLossError("it gives another block than the one asked for");
      if (b.ok()) blocks.push_back(*b);
      else add(c_.l1_urls[i], b.status());
    }
    if (const auto agreed = agreed_block(blocks, needed_)) return *agreed;
    return absl::UnavailableError(absl::StrCat("no ", needed_, " L1 endpoints agree on block ", *height,
                                               " (or some are just switching branches)", why_));
  }

  absl::StatusOr<L1Block> block_from(const std::string& url, const std::string& which) {
    TOWLINE_ASSIGN_OR_RETURN(const auto answers,
                             ask(url, {"eth_getBlockByNumber", absl::StrCat("[\"", which, "\",false]")}));
    return read_l1_block(answers.answers[0].result);
  }

  absl::StatusOr<Address> signer_from(const std::string& url, const L1Block& at) {
    TOWLINE_ASSIGN_OR_RETURN(
        const auto answers,
        ask(url, {"eth_getProof", absl::StrCat("[\"", to_hex(c_.system_config.view()), "\",[\"", kSignerSlot,
                                               "\"],\"0x", absl::Hex(at.id.number), "\"]")}));
    return prove_signer(at, c_.system_config, answers.answers[0].result);
  }

  /// Returns an answer whose result is not null.
  absl::StatusOr<jsonrpc::Answers> ask(const std::string& url, const jsonrpc::Call& call) {
    http::Request request;
    request.url = url;
    request.proxy = std::nullopt;  // the proxy of the environment
    request.max_response_bytes = 1U << 20U;
    request.body = jsonrpc::request(call);
    const http::Response r = c_.client->post_and_wait(std::move(request));
    if (!r.transport.ok()) return r.transport;
    auto answers = jsonrpc::Answers::parse(r.body, 1, false);
    if (!answers.ok()) return absl::UnavailableError(absl::StrCat("HTTP ", r.status, ", not JSON-RPC"));
    const auto& a = answers->answers[0];
    if (a.kind == jsonrpc::Answer::Kind::error)
      return absl::UnavailableError(absl::StrCat(call.method, ": ", cut_text(a.error.message, 200)));
    if (a.kind != jsonrpc::Answer::Kind::result || a.result.is_null())
      return absl::NotFoundError(absl::StrCat(call.method, ": no result"));
    return answers;
  }

  void add(const std::string& url, const absl::Status& why) {
    absl::StrAppend(&why_, "; ", http::redact_url(url), ": ", why.message());
  }

  const SignerPollerConfig& c_;
  const std::size_t needed_;
  /// The failures of the endpoints.
  std::string why_;
};

}  // namespace

signer_poller_actor::behavior_type signer_poller(signer_poller_actor::pointer self, const SignerPollerConfig& config) {
  guard(self, "signer_poller");
  self->send(self, tick_atom{});
  auto next = std::make_shared<std::chrono::seconds>(kSignerSoon);
  return {[=](tick_atom) {
    const auto found = Look{config}.run();
    config.metrics
        ->counter("towline_gossip_signer_reads_total", "Looks at the signer on L1; ok: it was proven.",
                  {{"result", found.ok() ? "ok" : "error"}})
        .inc();
    if (!found.ok()) {
      const std::string why{found.status().message()};
      const auto before = config.evidence->get();
      config.evidence->set({before->proof, why});
      if (before->failure != why)
        log::warn("L1 does not prove the unsafe block signer; it stays what it was, trying on",
                  {log::kv("why", found.status())});
      self->delayed_send(self, *next, tick_atom{});
      *next = std::min(2 * *next, kSignerEach);
      return;
    }
    const char* const trust =
        config.l1_urls.size() == 1 ? "signer taken from one L1 endpoint" : "two L1 endpoints agree on that block";
    const auto last = config.evidence->get();
    config.evidence->set({absl::StrCat("proven at L1 block ", eth::to_string(found->at.id), ": ", trust), {}});
    const auto before = config.validator->signers();
    config.validator->set_signer(found->signer);
    if (before.empty() || before.front() != found->signer || last->proof.empty() || !last->failure.empty())
      log::info("unsafe block signer", {log::kv("address", to_hex(found->signer.view())), log::kv("source", "l1"),
                                        log::kv("l1_block", found->at.id), log::kv("evidence", trust)});
    *next = kSignerSoon;
    self->delayed_send(self, kSignerEach, tick_atom{});
  }};
}

}  // namespace towline::gossip
