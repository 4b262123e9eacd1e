#include "tools/devnet/engine.hpp"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <openssl/hmac.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/payload.hpp"
#include "tools/devnet/sources.hpp"

namespace towline::devnet {
namespace {

absl::string_view text(simdjson::dom::element object, const char* key) {
  std::string_view s;
  if (object[key].get(s) != simdjson::SUCCESS) return {};
  return {s.data(), s.size()};
}

bool has(simdjson::dom::element object, const char* key) {
  simdjson::dom::element e;
  return object[key].get(e) == simdjson::SUCCESS && !e.is_null();
}

/// Reads an ExecutionPayload of any version. Errors name the key.
absl::StatusOr<eth::Payload> parse_payload(simdjson::dom::element e) {
  absl::Status bad;
  const auto fail = [&](const char* key, const absl::Status& why) {
    if (bad.ok()) bad = absl::InvalidArgumentError(absl::StrCat(key, ": ", why.message()));
  };
  const auto fixed = [&](const char* key, auto& out) {
    if (auto st = parse_hex_exact(text(e, key), out.bytes); !st.ok()) fail(key, st);
  };
  const auto number = [&](const char* key, std::uint64_t& out) {
    if (auto n = parse_quantity(text(e, key)); n.ok()) out = *n;
    else fail(key, n.status());
  };
  eth::Payload p;
  fixed("parentHash", p.parent_hash);
  fixed("feeRecipient", p.fee_recipient);
  fixed("stateRoot", p.state_root);
  fixed("receiptsRoot", p.receipts_root);
  fixed("logsBloom", p.logs_bloom);
  fixed("prevRandao", p.prev_randao);
  fixed("blockHash", p.block_hash);
  number("blockNumber", p.number);
  number("gasLimit", p.gas_limit);
  number("gasUsed", p.gas_used);
  number("timestamp", p.timestamp);
  if (auto st = parse_hex_into(text(e, "extraData"), p.extra_data); !st.ok()) fail("extraData", st);
  if (auto n = parse_quantity256(text(e, "baseFeePerGas")); n.ok()) p.base_fee_per_gas = *n;
  else fail("baseFeePerGas", n.status());
  simdjson::dom::array list;
  if (e["transactions"].get(list) != simdjson::SUCCESS) return absl::InvalidArgumentError("transactions: missing");
  for (simdjson::dom::element t : list) {
    std::string_view s;
    if (t.get(s) != simdjson::SUCCESS) s = {};
    auto raw = parse_hex({s.data(), s.size()});
    if (!raw.ok()) return absl::InvalidArgumentError("transactions: not DATA");
    p.transactions.push_back(*std::move(raw));
  }
  p.has_withdrawals = has(e, "withdrawals");
  if (has(e, "blobGasUsed")) number("blobGasUsed", p.blob_gas_used.emplace());
  if (has(e, "excessBlobGas")) number("excessBlobGas", p.excess_blob_gas.emplace());
  if (has(e, "withdrawalsRoot")) fixed("withdrawalsRoot", p.withdrawals_root.emplace());
  if (!bad.ok()) return bad;
  return p;
}

std::string status_json(const sim::ElAnswer& a) {
  return absl::StrCat(R"({"status":")", sim::name(a.status), R"(","latestValidHash":)",
                      a.latest_valid_hash ? absl::StrCat("\"", to_hex(a.latest_valid_hash->view()), "\"") : "null",
                      R"(,"validationError":)", a.message.empty() ? "null" : json_string(a.message), "}");
}

std::string outcome(const sim::ElAnswer& a) {
  return a.error_code != 0 ? absl::StrCat("error ", a.error_code) : sim::name(a.status);
}

}  // namespace

Engine::Engine(World& world, Options options) : world_{world}, options_{std::move(options)} {
  if (!options_.trace_path.empty()) trace_.open(options_.trace_path, std::ios::app);
}

void Engine::trace(const std::string& kind, const std::string& fields) {
  if (!trace_.is_open()) return;
  const std::lock_guard lock{trace_mutex_};
  trace_ << absl::StrCat(R"({"t":)", absl::ToUnixMicros(absl::Now()), R"(,"kind":")", kind, "\"", fields, "}\n")
         << std::flush;
}

void Engine::kill() {
  std::uint64_t latest = 0;
  std::string finalized = "null";
  {
    const std::lock_guard lock{world_.mutex};
    world_.el.kill();
    latest = world_.el.latest().number;
    if (world_.el.finalized()) finalized = absl::StrCat(world_.el.finalized()->number);
  }
  trace("mark", absl::StrCat(R"(,"what":"engine restarted","latest":)", latest, R"(,"finalized":)", finalized));
}

void Engine::set_peers(std::uint64_t blocks_per_s) {
  const std::lock_guard lock{world_.mutex};
  go_on();
  peers_blocks_per_s_ = blocks_per_s;
  if (blocks_per_s == 0) return world_.el.set_peers({});
  world_.el.set_peers([this](const Hash32& hash) -> std::optional<eth::BlockRef> {
    const auto block = world_.chain.by_hash(hash);
    return block ? std::optional{block->ref()} : std::nullopt;
  });
}

void Engine::go_on() {
  const absl::Time now = absl::Now();
  if (!world_.el.sync_target() || peers_blocks_per_s_ == 0) {
    synced_at_ = now;
    return;
  }
  const auto blocks =
      static_cast<std::uint64_t>(absl::ToDoubleSeconds(now - synced_at_) * static_cast<double>(peers_blocks_per_s_));
  if (blocks == 0) return;
  world_.el.sync(blocks);
  synced_at_ = now;
}

RpcServer::Gate Engine::gate() const {
  return [secret = options_.jwt_secret](const std::string& authorization) -> std::string {
    if (!absl::StartsWith(authorization, "Bearer ")) return "missing token";
    const std::vector<std::string> parts = absl::StrSplit(authorization.substr(7), '.');
    std::string signature;
    std::string claims;
    if (parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[1], &claims) ||
        !absl::WebSafeBase64Unescape(parts[2], &signature))
      return "token is malformed";
    const std::string signed_text = absl::StrCat(parts[0], ".", parts[1]);
    unsigned char mac[32];
    unsigned int size = sizeof mac;
    HMAC(EVP_sha256(), secret.data(), 32, as_bytes(signed_text).data(), signed_text.size(), mac, &size);
    if (signature != towline::to_string(BytesView{mac, size})) return "signature is invalid";
    simdjson::dom::parser parser;
    simdjson::dom::element doc;
    std::int64_t iat = 0;
    if (parser.parse(claims).get(doc) != simdjson::SUCCESS || doc["iat"].get(iat) != simdjson::SUCCESS)
      return "missing issued-at";
    if (std::abs(absl::ToUnixSeconds(absl::Now()) - iat) > 60) return "stale token";
    return {};
  };
}

std::string Engine::block_json(const eth::BlockRef& ref, bool full) {
  if (const auto b = world_.chain.by_hash(ref.hash)) return block_result(*b, full);
  return absl::StrCat(R"({"hash":")", to_hex(ref.hash.view()), R"(","parentHash":")", to_hex(ref.parent_hash.view()),
                      R"(","number":")", to_quantity(ref.number), R"(","timestamp":")", to_quantity(ref.timestamp),
                      R"("})");
}

Reply Engine::read(std::string_view method, simdjson::dom::element params) {
  if (method == "web3_clientVersion")
    return {world_.el.profile() == sim::ElProfile::op_geth ? R"("Geth/v1.101702.3-devnet")"
                                                           : R"("reth/v1.10.2-devnet")"};
  if (method == "eth_chainId") return {absl::StrCat("\"", to_quantity(options_.config.l2_chain_id), "\"")};
  const std::lock_guard lock{world_.mutex};
  go_on();
  const sim::ElModel& el = world_.el;
  if (method == "eth_syncing") {
    if (!el.sync_target()) return {"false"};
    // As op-geth: unknown numbers are 0.
    return {absl::StrCat(R"({"startingBlock":"0x0","currentBlock":")",
                         to_quantity(peers_blocks_per_s_ > 0 ? el.latest().number : 0), R"(","highestBlock":")",
                         to_quantity(peers_blocks_per_s_ > 0 ? el.sync_target()->number : 0), R"("})")};
  }
  if (method == "eth_blockNumber") return {absl::StrCat("\"", to_quantity(el.latest().number), "\"")};
  const std::string_view which = text_param(params, 0);
  std::optional<eth::BlockRef> found;
  if (method == "eth_getBlockByHash") {
    if (const auto hash = parse_fixed_hex<32>({which.data(), which.size()}); hash.ok()) found = el.by_hash(*hash);
  } else if (method == "eth_getBlockByNumber") {
    if (which == "safe" || which == "finalized") {
      found = which == "safe" ? el.safe() : el.finalized();
      if (!found && el.profile() == sim::ElProfile::op_geth)
        return {absl::StrCat(std::string{which}, " block not found"), -32000};
    } else if (which == "latest" || which == "pending") {
      found = el.latest();
    } else if (which == "earliest") {
      found = el.by_number(0);
    } else if (const auto n = parse_quantity({which.data(), which.size()}); n.ok()) {
      found = el.by_number(*n);
    }
  } else {
    return method_not_found(method);
  }
  bool full = false;
  if (!params.is_array() || simdjson::dom::array{params}.at(1).get(full) != simdjson::SUCCESS) full = false;
  return {found ? block_json(*found, full) : "null"};
}

Reply Engine::new_payload(int version, simdjson::dom::element params) {
  simdjson::dom::element first;
  if (!params.is_array() || simdjson::dom::array{params}.at(0).get(first) != simdjson::SUCCESS || !first.is_object())
    return {"invalid params", -32602};
  auto p = parse_payload(first);
  if (!p.ok()) return {absl::StrCat("invalid params: ", std::string{p.status().message()}), -32602};
  if (version >= 3) {
    const std::string_view beacon = text_param(params, 2);
    const auto root = parse_fixed_hex<32>({beacon.data(), beacon.size()});
    if (!root.ok()) return {"invalid params: parentBeaconBlockRoot", -32602};
    p->parent_beacon_block_root = *root;
  }
  sim::PayloadFacts facts;
  facts.version_fits = version == rollup::new_payload_version(options_.config, p->timestamp);
  facts.hash_matches = eth::hash_of(*p) == p->block_hash;
  bool is_new = false;
  sim::ElAnswer a;
  {
    const std::lock_guard lock{world_.mutex};
    go_on();
    is_new = !world_.el.by_hash(p->block_hash);
    a = world_.el.new_payload(p->ref(), facts);
  }
  if (is_new && a.error_code == 0 && a.status == sim::ElStatus::valid && options_.exec_us > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds{options_.exec_us});
  }
  ++payloads_;
  trace("newPayload", absl::StrCat(R"(,"method":"engine_newPayloadV)", version, R"(","number":)", p->number,
                                   R"(,"hash":")", to_hex(p->block_hash.view()), R"(","parent":")",
                                   to_hex(p->parent_hash.view()), R"(","status":")", outcome(a), "\""));
  if (a.error_code != 0) return {a.message, a.error_code};
  return {status_json(a)};
}

Reply Engine::forkchoice_updated(simdjson::dom::element params) {
  simdjson::dom::element state;
  if (!params.is_array() || simdjson::dom::array{params}.at(0).get(state) != simdjson::SUCCESS || !state.is_object())
    return {"invalid params", -32602};
  const auto head = parse_fixed_hex<32>(text(state, "headBlockHash"));
  const auto safe = parse_fixed_hex<32>(text(state, "safeBlockHash"));
  const auto finalized = parse_fixed_hex<32>(text(state, "finalizedBlockHash"));
  if (!head.ok() || !safe.ok() || !finalized.ok()) return {"invalid params", -32602};
  simdjson::dom::element attributes;
  const bool attributed =
      simdjson::dom::array{params}.at(1).get(attributes) == simdjson::SUCCESS && !attributes.is_null();
  sim::ElAnswer a;
  {
    const std::lock_guard lock{world_.mutex};
    go_on();
    a = world_.el.forkchoice_updated(*head, *safe, *finalized);
  }
  ++forkchoice_updates_;
  trace("forkchoice",
        absl::StrCat(R"(,"method":"engine_forkchoiceUpdatedV3","head":")", to_hex(head->view()), R"(","safe":")",
                     to_hex(safe->view()), R"(","finalized":")", to_hex(finalized->view()), R"(","status":")",
                     outcome(a), R"(","attributes":)", attributed ? "true" : "false"));
  if (a.error_code != 0) return {a.message, a.error_code};
  return {absl::StrCat(R"({"payloadStatus":)", status_json(a), R"(,"payloadId":null})")};
}

RpcServer::Handler Engine::engine_api() {
  return [this](std::string_view method, simdjson::dom::element params) -> Reply {
    if (method == "engine_newPayloadV2") return new_payload(2, params);
    if (method == "engine_newPayloadV3") return new_payload(3, params);
    if (method == "engine_newPayloadV4") return new_payload(4, params);
    if (method == "engine_forkchoiceUpdatedV3") return forkchoice_updated(params);
    if (method == "engine_exchangeCapabilities") {
      return {
          R"(["engine_newPayloadV2","engine_newPayloadV3","engine_newPayloadV4","engine_forkchoiceUpdatedV3","engine_getClientVersionV1"])"};
    }
    if (method == "engine_getClientVersionV1") {
      return {world_.el.profile() == sim::ElProfile::op_geth
                  ? R"([{"code":"GE","name":"op-geth","version":"v1.101702.3-devnet","commit":"0x00000000"}])"
                  : R"([{"code":"RH","name":"op-reth","version":"v1.10.2-devnet","commit":"0x00000000"}])"};
    }
    return read(method, params);
  };
}

RpcServer::Handler Engine::ordinary_rpc() {
  return [this](std::string_view method, simdjson::dom::element params) -> Reply {
    if (method == "net_peerCount") {
      const std::lock_guard lock{world_.mutex};
      return {peers_blocks_per_s_ > 0 ? "\"0x1\"" : "\"0x0\""};
    }
    if (method != "debug_setHead") return read(method, params);
    const std::string_view to = text_param(params, 0);
    const auto number = parse_quantity({to.data(), to.size()});
    if (!number.ok()) return {"invalid argument 0", -32602};
    {
      const std::lock_guard lock{world_.mutex};
      if (world_.el.profile() != sim::ElProfile::op_geth) return method_not_found(method);
      world_.el.set_head(*number);
    }
    trace("mark", absl::StrCat(R"(,"what":"rewound","latest":)", *number));
    return {"null"};
  };
}

}  // namespace towline::devnet
