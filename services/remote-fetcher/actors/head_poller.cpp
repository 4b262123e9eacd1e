#include "services/remote-fetcher/actors/head_poller.hpp"

#include <absl/strings/str_cat.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

jsonrpc::Call block_call(const std::string& label) { return {"eth_getBlockByNumber", absl::StrCat("[\"", label, "\",false]")}; }

absl::string_view text(simdjson::dom::element e) {
  std::string_view s;
  if (e.get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

}  // namespace

head_poller_actor::behavior_type HeadPollerState::make_behavior(PollerConfig config) {
  config_ = config;
  self_->send(self_, poll_atom{});
  return {[this](poll_atom) {
    if (config_.pool->stopped()) return;
    poll();
    self_->delayed_send(self_, absl::ToChronoMilliseconds(config_.interval), poll_atom{});
  }};
}

absl::Status HeadPollerState::check_genesis_of_el() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_ASSIGN_OR_RETURN(auto a, config_.pool->poll_single(config_.index, block_call(to_quantity(c.l2_genesis.number))));
  const auto& answer = a.answers[0];
  // A pruned node has no header that old; its chain id has to do.
  if (answer.kind != jsonrpc::Answer::Kind::result || answer.result.is_null()) return absl::OkStatus();
  simdjson::dom::element hash;
  if (answer.result["hash"].get(hash) != simdjson::SUCCESS || text(hash) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError(absl::StrCat("another chain: its block ", c.l2_genesis.number, " is not the L2 genesis of the rollup config"));
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::check_genesis_of_cl() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_ASSIGN_OR_RETURN(auto a, config_.pool->poll_single(config_.index, {"optimism_rollupConfig", "[]"}));
  if (a.answers[0].kind != jsonrpc::Answer::Kind::result) return absl::OkStatus();
  simdjson::dom::element e;
  std::uint64_t id = 0;
  if (a.answers[0].result["l2_chain_id"].get(e) == simdjson::SUCCESS && e.get(id) == simdjson::SUCCESS && id != c.l2_chain_id) {
    return absl::FailedPreconditionError(absl::StrCat("another chain: it has chain id ", id, ", the rollup config says ", c.l2_chain_id));
  }
  if (a.answers[0].result["genesis"]["l2"]["hash"].get(e) == simdjson::SUCCESS && text(e) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError("another chain: its L2 genesis is not that of the rollup config");
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::probe() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  TOWLINE_ASSIGN_OR_RETURN(auto id, pool.poll_single(i, {"eth_chainId", "[]"}));
  if (id.answers[0].kind == jsonrpc::Answer::Kind::result) {
    auto n = parse_quantity(text(id.answers[0].result));
    if (!n.ok()) return absl::UnavailableError("eth_chainId: malformed");
    if (*n != config_.rollup->l2_chain_id) {
      return absl::FailedPreconditionError(absl::StrCat("another chain: it has chain id ", *n, ", the rollup config says ", config_.rollup->l2_chain_id));
    }
    TOWLINE_RETURN_IF_ERROR(check_genesis_of_el());
    auto raw = pool.poll_single(i, {"debug_getRawBlock", "[\"latest\"]"});
    const bool raw_methods = raw.ok() && raw->answers[0].kind == jsonrpc::Answer::Kind::result && raw->answers[0].result.is_string();
    pool.update(i, [&](Endpoint& e) { e.on_probed(Kind::el, raw_methods); });
    log::info("endpoint probed", {log::kv("endpoint", pool.name(i)), log::kv("kind", "el"), log::kv("raw_methods", raw_methods)});
    return absl::OkStatus();
  }
  TOWLINE_ASSIGN_OR_RETURN(auto status, pool.poll_single(i, {"optimism_syncStatus", "[]"}));
  if (status.answers[0].kind != jsonrpc::Answer::Kind::result) {
    return absl::UnavailableError(absl::StrCat("neither an EL (eth_chainId: ", id.answers[0].error.message, ") nor a CL (optimism_syncStatus: ",
                                               status.answers[0].error.message, ")"));
  }
  TOWLINE_RETURN_IF_ERROR(check_genesis_of_cl());
  pool.update(i, [](Endpoint& e) { e.on_probed(Kind::cl, false); });
  log::info("endpoint probed", {log::kv("endpoint", pool.name(i)), log::kv("kind", "cl")});
  return absl::OkStatus();
}

absl::StatusOr<HeadSnapshot> HeadPollerState::snapshot(bool& contradicts_anchor) {
  Pool& pool = *config_.pool;
  const Endpoint e = pool.get(config_.index);
  if (e.kind() == Kind::cl) {
    TOWLINE_ASSIGN_OR_RETURN(auto a, pool.poll_single(config_.index, {"optimism_syncStatus", "[]"}));
    if (a.answers[0].kind != jsonrpc::Answer::Kind::result) return absl::UnavailableError(absl::StrCat("optimism_syncStatus: ", a.answers[0].error.message));
    return snapshot_from_cl(a.answers[0].result);
  }
  std::vector<jsonrpc::Call> calls = {block_call("latest"), block_call("safe"), block_call("finalized")};
  const auto anchor = config_.board->anchor();
  if (anchor) calls.push_back(block_call(to_quantity(anchor->number)));
  TOWLINE_ASSIGN_OR_RETURN(auto a, pool.poll(config_.index, calls));
  if (anchor && a.answers[3].kind == jsonrpc::Answer::Kind::result && !a.answers[3].result.is_null()) {
    simdjson::dom::element hash;
    contradicts_anchor = a.answers[3].result["hash"].get(hash) == simdjson::SUCCESS && text(hash) != to_hex(anchor->hash.view());
  }
  return snapshot_from_el(a);
}

void HeadPollerState::poll() {
  Pool& pool = *config_.pool;
  const std::string& endpoint = pool.name(config_.index);
  const absl::Time now = absl::Now();
  const Endpoint e = pool.get(config_.index);
  const State state = e.state(now);
  if (state == State::refused || state == State::cordoned || state == State::set_aside) {
    config_.board->drop(endpoint);
    return;
  }
  if (e.next_slot(now) > now) return;  // backing off
  if (e.kind() == Kind::unknown) {
    if (auto st = probe(); !st.ok()) {
      if (absl::IsFailedPrecondition(st)) {
        pool.update(config_.index, [&](Endpoint& x) { x.refuse(std::string{st.message()}); });
        config_.metrics->counter("towline_fetcher_refused_endpoints_total", "Endpoints of another chain.", {{"endpoint", endpoint}}).inc();
        log::error("endpoint refused; remove it or correct the rollup config", {log::kv("endpoint", endpoint), log::kv("why", st)});
      } else if (!absl::IsCancelled(st)) {
        log::warn("endpoint cannot be probed, trying on", {log::kv("endpoint", endpoint), log::kv("why", st)});
      }
      return;
    }
  }
  bool contradicts = false;
  auto s = snapshot(contradicts);
  if (s.ok()) {
    s->endpoint = endpoint;
    s->observed = absl::Now();
    if (auto st = check_order(*s); !st.ok()) s = st;
  }
  if (!s.ok()) {
    if (absl::IsCancelled(s.status())) return;
    config_.metrics->counter("towline_fetcher_snapshots_dropped_total", "Answers for heads that were not used.",
                             {{"endpoint", endpoint}, {"reason", absl::IsDataLoss(s.status()) ? "out_of_order_or_lie" : "error"}}).inc();
    log::debug("no heads from endpoint", {log::kv("endpoint", endpoint), log::kv("why", s.status())});
    return;
  }
  const auto number = [&](const char* label, const std::optional<eth::BlockRef>& b) {
    config_.metrics->gauge("towline_fetcher_head_number", "Heads as the endpoint tells them.", {{"endpoint", endpoint}, {"label", label}})
        .set(b ? static_cast<double>(b->number) : 0);
  };
  number("unsafe", s->unsafe);
  number("safe", s->safe);
  number("finalized", s->finalized);
  config_.board->put(*std::move(s), contradicts);
}

head_poller_actor::behavior_type head_poller(head_poller_actor::stateful_pointer<HeadPollerState> self, PollerConfig config) {
  return self->state.make_behavior(config);
}

}  // namespace towline::fetcher
