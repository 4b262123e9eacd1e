#include "services/p2p-gossip/actors/backfiller.hpp"

#include <absl/time/clock.h>

#include <caf/typed_event_based_actor.hpp>

#include "libs/eth/payload.hpp"
#include "libs/gossip_block/payload_by_number.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/core/backfill.hpp"

namespace towline::gossip {
namespace {

/// How long blocks are waited for before it is looked whether something can be asked again.
constexpr auto kWait = std::chrono::milliseconds{200};

const char* name(Backfill::Outcome o) {
  switch (o) {
    case Backfill::Outcome::got: return "got";
    case Backfill::Outcome::missing: return "missing";
    case Backfill::Outcome::failed: return "failed";
    case Backfill::Outcome::lied: return "lied";
  }
  return "?";
}

class Filler {
 public:
  explicit Filler(const BackfillerConfig& config) : c_{config} {}

  void step() {
    for (const auto& b : c_.board->wait(next_, kWait)) core_.on_block(b->payload->ref());
    if (core_.missing() == 0) return;
    if (const auto ask = core_.next(c_.network->servers(), absl::Now())) run(*ask);
  }

 private:
  void run(const Backfill::Ask& ask) {
    const auto bytes = c_.network->request(ask.peer, gossip_block::encode_payload_request(ask.block.number));
    absl::StatusOr<eth::Payload> payload =
        bytes.ok() ? gossip_block::decode_payload_answer(*c_.config, *bytes) : bytes.status();
    Backfill::Outcome outcome = Backfill::Outcome::got;
    if (absl::IsNotFound(payload.status())) outcome = Backfill::Outcome::missing;
    else if (bytes.ok() && (absl::IsInvalidArgument(payload.status()) ||
                            (payload.ok() && eth::hash_of(*payload) != payload->block_hash)))
      outcome = Backfill::Outcome::lied;
    // A good block of another branch is no lie.
    else if (!payload.ok() || payload->block_hash != ask.block.hash) outcome = Backfill::Outcome::failed;
    core_.on_outcome(ask, outcome, absl::Now());
    c_.metrics
        ->counter("towline_gossip_backfill_total", "Blocks that peers were asked for, by what became of it.",
                  {{"outcome", name(outcome)}})
        .inc();
    log::debug("asked a peer for a block", {log::kv("block", ask.block), log::kv("peer", ask.peer.to_string()),
                                            log::kv("outcome", name(outcome)), log::kv("status", payload.status())});
    if (outcome != Backfill::Outcome::got) return;
    ValidBlock block;
    block.payload = std::make_shared<const eth::Payload>(*std::move(payload));
    block.received = absl::Now();
    block.peer = ask.peer.to_string();
    c_.board->put(std::make_shared<const ValidBlock>(std::move(block)));
  }

  const BackfillerConfig c_;
  Backfill core_;
  std::uint64_t next_ = 0;
};

}  // namespace

backfiller_actor::behavior_type backfiller(backfiller_actor::pointer self, const BackfillerConfig& config) {
  auto filler = std::make_shared<Filler>(config);
  self->send(self, fill_atom{});
  return {[=](fill_atom) {
    filler->step();
    if (!config.board->stopped()) self->send(self, fill_atom{});
  }};
}

}  // namespace towline::gossip
