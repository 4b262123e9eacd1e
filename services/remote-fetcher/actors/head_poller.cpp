#include "services/remote-fetcher/actors/head_poller.hpp"

#include <absl/strings/str_cat.h>

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

const char* name_of(State s) { return name(s); }  // HeadPollerState::name hides it

jsonrpc::Call block_call(const std::string& label) {
  return {"eth_getBlockByNumber", absl::StrCat("[\"", label, "\",false]")};
}

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
    show_state();
    self_->delayed_send(self_, absl::ToChronoMilliseconds(config_.interval), poll_atom{});
  }};
}

absl::StatusOr<Reply> HeadPollerState::ask(const jsonrpc::Call& call) {
  return config_.pool->poll(config_.index, {call});
}

absl::Status HeadPollerState::check_genesis_of_el() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_ASSIGN_OR_RETURN(const auto reply, ask(block_call(to_quantity(c.l2_genesis.number))));
  const auto& answer = reply.answers.answers[0];
  // A pruned node has no header that old; its chain id has to do.
  if (answer.kind != jsonrpc::Answer::Kind::result || answer.result.is_null()) return absl::OkStatus();
  simdjson::dom::element hash;
  if (answer.result["hash"].get(hash) != simdjson::SUCCESS || text(hash) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError(
        absl::StrCat("another chain: its block ", c.l2_genesis.number, " is not the L2 genesis of the rollup config"));
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::check_genesis_of_cl() {
  const rollup::Config& c = *config_.rollup;
  TOWLINE_ASSIGN_OR_RETURN(const auto reply, ask({"optimism_rollupConfig", "[]"}));
  const auto& answer = reply.answers.answers[0];
  if (answer.kind != jsonrpc::Answer::Kind::result) return absl::OkStatus();
  simdjson::dom::element e;
  std::uint64_t id = 0;
  if (answer.result["l2_chain_id"].get(e) == simdjson::SUCCESS && e.get(id) == simdjson::SUCCESS &&
      id != c.l2_chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("another chain: it has chain id ", id, ", the rollup config says ", c.l2_chain_id));
  }
  if (answer.result["genesis"]["l2"]["hash"].get(e) == simdjson::SUCCESS &&
      text(e) != to_hex(c.l2_genesis.hash.view())) {
    return absl::FailedPreconditionError("another chain: its L2 genesis is not that of the rollup config");
  }
  return absl::OkStatus();
}

absl::Status HeadPollerState::probe() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const Kind before = pool.get(i).kind();
  TOWLINE_ASSIGN_OR_RETURN(const auto id, ask({"eth_chainId", "[]"}));
  const auto& chain = id.answers.answers[0];
  if (chain.kind == jsonrpc::Answer::Kind::result) {
    const auto n = parse_quantity(text(chain.result));
    if (!n.ok()) return absl::UnavailableError("eth_chainId: malformed");
    if (*n != config_.rollup->l2_chain_id) {
      return absl::FailedPreconditionError(absl::StrCat("another chain: it has chain id ", *n,
                                                        ", the rollup config says ", config_.rollup->l2_chain_id));
    }
    TOWLINE_RETURN_IF_ERROR(check_genesis_of_el());
    TOWLINE_ASSIGN_OR_RETURN(const auto raw, ask({"debug_getRawBlock", "[\"latest\"]"}));
    const auto& block = raw.answers.answers[0];
    const bool raw_methods = block.kind == jsonrpc::Answer::Kind::result && block.result.is_string();
    pool.update(i, [&](Endpoint& e) { e.on_probed(absl::Now(), Kind::el, raw_methods); });
    if (before != Kind::el)
      log::info("endpoint probed",
                {log::kv("endpoint", pool.name(i)), log::kv("kind", "el"), log::kv("raw_methods", raw_methods)});
    return absl::OkStatus();
  }
  TOWLINE_ASSIGN_OR_RETURN(const auto status, ask({"optimism_syncStatus", "[]"}));
  const auto& sync = status.answers.answers[0];
  if (sync.kind != jsonrpc::Answer::Kind::result) {
    return absl::UnavailableError(absl::StrCat("neither an EL (eth_chainId: ", chain.error.message,
                                               ") nor a CL (optimism_syncStatus: ", sync.error.message, ")"));
  }
  TOWLINE_RETURN_IF_ERROR(check_genesis_of_cl());
  pool.update(i, [](Endpoint& e) { e.on_probed(absl::Now(), Kind::cl, false); });
  if (before != Kind::cl) log::info("endpoint probed", {log::kv("endpoint", pool.name(i)), log::kv("kind", "cl")});
  return absl::OkStatus();
}

absl::Status HeadPollerState::identify() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  if (!pool.get(i).probe_due(absl::Now())) return absl::OkStatus();
  const absl::Status st = probe();
  if (st.ok() || absl::IsCancelled(st)) return st;
  const std::string why{st.message()};
  if (absl::IsFailedPrecondition(st)) {
    pool.update(i, [&](Endpoint& e) { e.refuse(why); });
    config_.metrics
        ->counter("towline_fetcher_refused_endpoints_total", "Endpoints of another chain.",
                  {{"endpoint", pool.name(i)}})
        .inc();
    log::error("endpoint refused; remove it or correct the rollup config",
               {log::kv("endpoint", pool.name(i)), log::kv("why", why)});
    return st;
  }
  // What failed on the way was counted there; an answer that says nothing is counted here.
  const absl::Time now = absl::Now();
  if (pool.get(i).allowed_at(now) <= now) pool.complain(i, why);
  log::warn("endpoint cannot be probed, trying on", {log::kv("endpoint", pool.name(i)), log::kv("why", why)});
  return st;
}

absl::StatusOr<HeadSnapshot> HeadPollerState::snapshot_one_by_one() {
  // The lowest label first: the chain may grow between the answers, and must not look out of order for it.
  TOWLINE_ASSIGN_OR_RETURN(const auto finalized, ask(block_call("finalized")));
  TOWLINE_ASSIGN_OR_RETURN(const auto safe, ask(block_call("safe")));
  TOWLINE_ASSIGN_OR_RETURN(const auto latest, ask(block_call("latest")));
  return snapshot_from_el(latest.answers.answers[0], safe.answers.answers[0], finalized.answers.answers[0]);
}

absl::StatusOr<HeadSnapshot> HeadPollerState::snapshot(AnchorView& anchor) {
  Pool& pool = *config_.pool;
  const Endpoint e = pool.get(config_.index);
  if (e.kind() == Kind::cl) {
    TOWLINE_ASSIGN_OR_RETURN(const auto reply, ask({"optimism_syncStatus", "[]"}));
    const auto& a = reply.answers.answers[0];
    if (a.kind != jsonrpc::Answer::Kind::result)
      return absl::UnavailableError(absl::StrCat("optimism_syncStatus: ", a.error.message));
    return snapshot_from_cl(a.result);
  }
  std::vector<jsonrpc::Call> calls = {block_call("latest"), block_call("safe"), block_call("finalized")};
  const auto final_here = config_.board->anchor();
  if (final_here) calls.push_back(block_call(to_quantity(final_here->number)));
  const auto view_of = [&](const jsonrpc::Answer& a) {
    simdjson::dom::element hash;
    if (a.kind != jsonrpc::Answer::Kind::result || a.result["hash"].get(hash) != simdjson::SUCCESS)
      return AnchorView::unknown;
    return text(hash) == to_hex(final_here->hash.view()) ? AnchorView::agrees : AnchorView::contradicts;
  };
  if (e.max_batch() < calls.size()) {
    if (final_here) {
      TOWLINE_ASSIGN_OR_RETURN(const auto reply, ask(calls.back()));
      anchor = view_of(reply.answers.answers[0]);
    }
    return snapshot_one_by_one();
  }
  TOWLINE_ASSIGN_OR_RETURN(const auto reply, pool.poll(config_.index, calls));
  const auto& a = reply.answers.answers;
  if (final_here) anchor = view_of(a[3]);
  return snapshot_from_el(a[0], a[1], a[2]);
}

void HeadPollerState::show(const HeadSnapshot& s) {
  const auto number = [&](const char* label, const std::optional<eth::BlockRef>& b) {
    config_.metrics
        ->gauge("towline_fetcher_head_number", "Heads as the endpoint tells them.",
                {{"endpoint", s.endpoint}, {"label", label}})
        .set(b ? static_cast<double>(b->number) : 0);
  };
  number("unsafe", s.unsafe);
  number("safe", s.safe);
  number("finalized", s.finalized);
}

void HeadPollerState::show_state() {
  const State now = config_.pool->get(config_.index).state(absl::Now());
  for (const State s :
       {State::probing, State::ready, State::backing_off, State::set_aside, State::cordoned, State::refused}) {
    config_.metrics
        ->gauge("towline_fetcher_endpoint_state", "1 for the state that the endpoint is in.",
                {{"endpoint", config_.pool->name(config_.index)}, {"state", name_of(s)}})
        .set(s == now ? 1 : 0);
  }
}

void HeadPollerState::poll() {
  Pool& pool = *config_.pool;
  const std::size_t i = config_.index;
  const std::string& endpoint = pool.name(i);
  const absl::Time now = absl::Now();
  const Endpoint e = pool.get(i);
  const State state = e.state(now);
  if (state == State::refused || state == State::cordoned || state == State::set_aside) {
    config_.board->drop(endpoint);
    return;
  }
  if (e.allowed_at(now) > now) return;  // backing off
  if (auto st = identify(); !st.ok()) {
    if (absl::IsFailedPrecondition(st)) config_.board->drop(endpoint);
    return;
  }
  AnchorView anchor = AnchorView::unknown;
  auto s = snapshot(anchor);
  if (absl::IsDataLoss(s.status())) {
    const std::string what{s.status().message()};
    if (config_.board->on_bad_header(endpoint, what)) pool.accuse(i, "hash", what);
  }
  if (s.ok()) {
    s->endpoint = endpoint;
    s->observed = absl::Now();
    if (auto st = check_order(*s); !st.ok()) s = st;
  }
  if (!s.ok()) {
    if (absl::IsCancelled(s.status())) return;
    config_.metrics
        ->counter("towline_fetcher_snapshots_dropped_total", "Answers for heads that were not used.",
                  {{"endpoint", endpoint}, {"reason", absl::IsDataLoss(s.status()) ? "out_of_order_or_lie" : "error"}})
        .inc();
    log::debug("no heads from endpoint", {log::kv("endpoint", endpoint), log::kv("why", s.status())});
    return;
  }
  show(*s);
  const auto contradicted = config_.board->anchor();
  if (config_.board->put(*std::move(s), anchor) || !contradicted) return;
  pool.accuse(i, "finalized",
              absl::StrCat("its block ", contradicted->number, " is not ", to_hex(contradicted->hash.view()),
                           ", which is final here and which another endpoint has"));
}

head_poller_actor::behavior_type head_poller(head_poller_actor::stateful_pointer<HeadPollerState> self,
                                             PollerConfig config) {
  return self->state.make_behavior(config);
}

}  // namespace towline::fetcher
