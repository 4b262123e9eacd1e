#include "services/engine-driver/io/engine_client.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/base/text.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/http/encoding.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"

namespace towline::driver {
namespace {

/// A write may take long. An EL that takes this long for a read hangs.
constexpr absl::Duration kReadTimeout = absl::Seconds(10);
constexpr std::int64_t kMethodNotFound = -32601;
constexpr std::int64_t kInvalidParams = -32602;

/// A block object of eth_getBlockBy*, with the fields needed here. The EL is trusted about its own chain.
absl::StatusOr<eth::BlockRef> ref_from(simdjson::dom::element e) {
  const auto text = [&](const char* key) {
    std::string_view s;
    if (e[key].get(s) != simdjson::SUCCESS) s = {};
    return absl::string_view{s.data(), s.size()};
  };
  eth::BlockRef r;
  TOWLINE_ASSIGN_OR_RETURN(r.hash, parse_fixed_hex<32>(text("hash")));
  TOWLINE_ASSIGN_OR_RETURN(r.parent_hash, parse_fixed_hex<32>(text("parentHash")));
  TOWLINE_ASSIGN_OR_RETURN(r.number, parse_quantity(text("number")));
  TOWLINE_ASSIGN_OR_RETURN(r.timestamp, parse_quantity(text("timestamp")));
  return r;
}

absl::Status transport_error(const http::Response& r) {
  if (!r.transport.ok())
    return absl::Status{r.transport.code(), absl::StrCat("the EL does not answer: ", r.transport.message())};
  if (r.status == 401 || r.status == 403) {
    const std::string said = r.body.substr(0, 80);
    return absl::UnauthenticatedError(absl::StrCat("the EL refuses the JWT (HTTP ", r.status, "): ",
                                                   absl::StrContains(said, "stale") || absl::StrContains(said, "future")
                                                       ? "the clocks of this host and the EL differ by more than 60 s"
                                                       : "--jwt-secret must be the file that the EL uses"));
  }
  if (r.status != 200) return absl::UnavailableError(absl::StrCat("the EL answers HTTP ", r.status));
  return absl::OkStatus();
}

/// nullopt: the EL has no such block.
absl::StatusOr<std::optional<eth::BlockRef>> block_from(const jsonrpc::Answer& a) {
  if (a.kind == jsonrpc::Answer::Kind::error) {
    if (jsonrpc::is_not_found(a.error)) return std::nullopt;
    return absl::UnavailableError(absl::StrCat("eth_getBlockByNumber: error ", a.error.code, " ", a.error.message));
  }
  if (a.result.is_null()) return std::nullopt;
  auto ref = ref_from(a.result);
  if (!ref.ok())
    return absl::UnavailableError(absl::StrCat("eth_getBlockByNumber: malformed block: ", ref.status().message()));
  return *ref;
}

std::string quoted_number(std::uint64_t n) { return absl::StrCat("[\"", to_quantity(n), "\",false]"); }

}  // namespace

/// A parsed answer, which keeps its body alive.
struct EngineClient::Reply {
  absl::Status status;  // transport error, HTTP error, or no JSON-RPC
  bool not_json_rpc = false;
  jsonrpc::Answers answers;
  const jsonrpc::Answer& answer() const { return answers.answers[0]; }
};

EngineClient::EngineClient(Options options, Metrics& metrics) : options_{std::move(options)} {
  for (const Call call : {Call::new_payload, Call::forkchoice_updated}) {
    const char* const method = call == Call::new_payload ? "newPayload" : "forkchoiceUpdated";
    Write& w = writes_[static_cast<std::size_t>(call)];
    w.seconds =
        metrics.histogram("towline_driver_engine_call_seconds", "Duration of writes to the EL.",
                          {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}, {{"method", method}});
    for (int r = 0; r <= static_cast<int>(Reaction::unsupported); ++r) {
      w.answers.push_back(metrics.counter("towline_driver_engine_answers_total",
                                          "Answers of the EL to writes, by the reaction to them.",
                                          {{"method", method}, {"reaction", name(static_cast<Reaction>(r))}}));
    }
  }
}

http::Request EngineClient::make_request(const std::string& url, std::string body, bool token,
                                         absl::Duration timeout) const {
  http::Request r;
  r.url = url;
  r.body = std::move(body);
  r.gzip = false;
  r.timeout = timeout;
  if (token && options_.jwt) {
    r.headers.push_back(
        absl::StrCat("Authorization: Bearer ", make_jwt(*options_.jwt, absl::ToUnixSeconds(absl::Now()))));
  }
  return r;
}

void EngineClient::stop(absl::Duration grace) {
  const std::lock_guard lock{mutex_};
  stop_.at = std::min(stop_.at, steady_now());
  stop_.by = std::min(stop_.by, steady_now() + grace);
}

bool EngineClient::is_over(absl::Time begun) {
  const std::lock_guard lock{mutex_};
  return steady_now() >= (begun < stop_.at ? stop_.at + (stop_.by - stop_.at) / 2 : stop_.by);
}

http::Response EngineClient::post(http::Request request) {
  const absl::Time begun = steady_now();
  if (is_over(begun)) return http::cancelled("shutting down");
  return http_.post_and_wait(std::move(request), [&] { return is_over(begun); });
}

EngineClient::Reply EngineClient::send(const std::string& url, const std::string& body, std::size_t calls, bool batch,
                                       absl::Duration timeout) {
  const http::Response r = post(make_request(url, body, url == options_.url, timeout));
  Reply out;
  out.status = transport_error(r);
  if (out.status.ok()) {
    auto parsed = jsonrpc::Answers::parse(r.body, calls, batch);
    out.not_json_rpc = !parsed.ok();
    if (parsed.ok()) out.answers = *std::move(parsed);
    else out.status = absl::UnavailableError(parsed.status().message());
  }
  return out;
}

EngineClient::Reply EngineClient::ask(const std::string& body, std::size_t calls, bool batch) {
  const absl::Duration timeout = std::min(options_.timeout, kReadTimeout);
  Reply r = send(options_.url, body, calls, batch, timeout);
  // A single lost read is no outage: the connection may have been closed while idle.
  if (absl::IsUnavailable(r.status) && !r.not_json_rpc) r = send(options_.url, body, calls, batch, timeout);
  return r;
}

EngineClient::Reply EngineClient::ask(const std::string& method, const std::string& params) {
  Reply out = ask(jsonrpc::request({method, params}), 1, false);
  if (out.not_json_rpc)
    out.status = absl::UnavailableError(absl::StrCat("the EL's answer to ", method, ": ", out.status.message()));
  return out;
}

EngineAnswer EngineClient::answer_of(Call call, absl::Time begun, const http::Response& r) {
  EngineAnswer a;
  if (!r.transport.ok()) {
    a.kind = absl::IsDeadlineExceeded(r.transport) ? EngineAnswer::Kind::timeout : EngineAnswer::Kind::transport;
    a.message = std::string{r.transport.message()};
  } else if (r.status != 200) {
    a.kind = EngineAnswer::Kind::http;
    a.code = r.status;
    if (r.status == 401 || r.status == 403) a.message = std::string{transport_error(r).message()};
  } else if (auto parsed = jsonrpc::Answers::parse(r.body, 1, false); !parsed.ok()) {
    a.kind = EngineAnswer::Kind::malformed;
    a.message = std::string{parsed.status().message()};
  } else if (const auto& answer = parsed->answers[0]; answer.kind == jsonrpc::Answer::Kind::error) {
    a.kind = EngineAnswer::Kind::error;
    a.code = answer.error.code;
    a.message = answer.error.detail.empty() ? answer.error.message
                                            : absl::StrCat(answer.error.message, ": ", answer.error.detail);
  } else {
    simdjson::dom::element status = answer.result;
    std::string_view text;
    if (call == Call::forkchoice_updated && status["payloadStatus"].get(status) != simdjson::SUCCESS) text = {};
    if (status["status"].get(text) != simdjson::SUCCESS) text = {};
    a.kind = EngineAnswer::Kind::status;
    if (text == "VALID") a.status = PayloadStatus::valid;
    else if (text == "INVALID" || text == "INVALID_BLOCK_HASH") a.status = PayloadStatus::invalid;
    else if (text == "SYNCING") a.status = PayloadStatus::syncing;
    else if (text == "ACCEPTED") a.status = PayloadStatus::accepted;
    else {
      a.kind = EngineAnswer::Kind::malformed;
      a.message = "no payload status";
    }
    std::string_view detail;
    if (status["validationError"].get(detail) == simdjson::SUCCESS)
      a.message = cut_text({detail.data(), detail.size()}, 300);
  }
  Write& w = writes_[static_cast<std::size_t>(call)];
  w.seconds.observe(absl::ToDoubleSeconds(steady_now() - begun));
  w.answers[static_cast<std::size_t>(react(a))].inc();
  return a;
}

EngineClient::Sent EngineClient::send_new_payload(std::string body, std::function<void(http::Response)> done) {
  Sent sent{0, steady_now()};
  if (is_over(sent)) done(http::cancelled("shutting down"));
  else sent.id = http_.post(make_request(options_.url, std::move(body), true, options_.timeout), std::move(done));
  return sent;
}

EngineAnswer EngineClient::new_payload_answer(const Sent& sent, http::Response response) {
  return answer_of(Call::new_payload, sent.begun,
                   http::decoded(std::move(response), http::Request{}.max_response_bytes));
}

EngineAnswer EngineClient::forkchoice_updated(const contract::Forkchoice& f) {
  std::string params;
  eth::append_forkchoice_params(f.head.hash, f.safe ? f.safe->hash : Hash32{},
                                f.finalized ? f.finalized->hash : Hash32{}, params);
  const absl::Time begun = steady_now();
  const http::Response r = post(make_request(
      options_.url, jsonrpc::request({"engine_forkchoiceUpdatedV3", std::move(params)}), true, options_.timeout));
  return answer_of(Call::forkchoice_updated, begun, r);
}

absl::Status EngineClient::result_of(const std::string& method, const Reply& r) {
  TOWLINE_RETURN_IF_ERROR(r.status);
  const jsonrpc::Answer& a = r.answer();
  if (a.kind != jsonrpc::Answer::Kind::error) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(method, ": error ", a.error.code, " ", a.error.message,
                                                    a.error.detail.empty() ? "" : ": ", a.error.detail));
}

absl::StatusOr<EngineClient::Reply> EngineClient::send_once(const std::string& url, const std::string& method,
                                                            const std::string& params) {
  Reply r = send(url, jsonrpc::request({method, params}), 1, false, options_.timeout);
  TOWLINE_RETURN_IF_ERROR(result_of(method, r));
  return r;
}

absl::StatusOr<std::string> EngineClient::build(const eth::BlockId& parent, const TwinPlan& plan) {
  std::string params;
  eth::append_forkchoice_params(parent.hash, {}, {}, params, plan.attributes);
  TOWLINE_ASSIGN_OR_RETURN(
      const Reply update,
      send_once(options_.url, absl::StrCat("engine_forkchoiceUpdatedV", plan.version >= 3 ? 3 : 2), params));
  std::string_view id;
  if (update.answer().result["payloadId"].get(id) != simdjson::SUCCESS)
    return absl::FailedPreconditionError("the EL builds no block");
  const auto get = [&](int version) {
    return send(
        options_.url,
        jsonrpc::request({absl::StrCat("engine_getPayloadV", version), absl::StrCat("[\"", std::string{id}, "\"]")}), 1,
        false, options_.timeout);
  };
  Reply built = get(plan.version);
  if (built.status.ok() && built.answer().kind == jsonrpc::Answer::Kind::error &&
      asks_for_newer_get_payload(plan, built.answer().error.code))
    built = get(5);
  TOWLINE_RETURN_IF_ERROR(result_of("engine_getPayload", built));
  return simdjson::minify(built.answer().result);
}

absl::StatusOr<std::uint64_t> EngineClient::chain_id() {
  Reply r = ask("eth_chainId", "[]");
  TOWLINE_RETURN_IF_ERROR(r.status);
  if (r.answer().kind != jsonrpc::Answer::Kind::result)
    return absl::UnavailableError(absl::StrCat("eth_chainId: ", r.answer().error.message));
  std::string_view s;
  if (r.answer().result.get(s) != simdjson::SUCCESS) return absl::UnavailableError("eth_chainId: not a string");
  return parse_quantity({s.data(), s.size()});
}

absl::StatusOr<std::optional<eth::BlockRef>> EngineClient::block(const std::string& method, const std::string& params) {
  Reply r = ask(method, params);
  TOWLINE_RETURN_IF_ERROR(r.status);
  return block_from(r.answer());
}

absl::StatusOr<std::optional<eth::BlockRef>> EngineClient::block_by_number(std::uint64_t number) {
  return block("eth_getBlockByNumber", quoted_number(number));
}

absl::StatusOr<std::vector<eth::BlockRef>> EngineClient::blocks_by_number(const std::vector<std::uint64_t>& numbers) {
  std::vector<eth::BlockRef> out;
  constexpr std::size_t kBatch = 100;
  for (std::size_t at = 0; at < numbers.size(); at += kBatch) {
    std::vector<jsonrpc::Call> calls;
    for (std::size_t i = at; i < std::min(numbers.size(), at + kBatch); ++i)
      calls.push_back({"eth_getBlockByNumber", quoted_number(numbers[i])});
    const Reply r = ask(jsonrpc::batch(calls), calls.size(), true);
    TOWLINE_RETURN_IF_ERROR(r.status);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto& a = r.answers.answers[i];
      if (a.kind == jsonrpc::Answer::Kind::result) {
        if (a.result.is_null()) continue;
        TOWLINE_ASSIGN_OR_RETURN(eth::BlockRef ref, ref_from(a.result));
        out.push_back(ref);
      } else {
        // Missing in the batch's answer, or the EL supports no batches: ask separately.
        TOWLINE_ASSIGN_OR_RETURN(auto ref, block_by_number(numbers[at + i]));
        if (ref) out.push_back(*ref);
      }
    }
  }
  return out;
}

absl::StatusOr<contract::Labels> EngineClient::labels() {
  // One request for all three: at the tip these reads add to the delay of each block.
  const std::vector<jsonrpc::Call> calls{{"eth_getBlockByNumber", "[\"latest\",false]"},
                                         {"eth_getBlockByNumber", "[\"safe\",false]"},
                                         {"eth_getBlockByNumber", "[\"finalized\",false]"}};
  const Reply r = ask(jsonrpc::batch(calls), calls.size(), true);
  TOWLINE_RETURN_IF_ERROR(r.not_json_rpc ? absl::OkStatus() : r.status);
  const auto label = [&](std::size_t i) -> absl::StatusOr<std::optional<eth::BlockRef>> {
    // Missing in the batch's answer, or the EL supports no batches: ask separately.
    if (r.not_json_rpc || r.answers.answers[i].kind == jsonrpc::Answer::Kind::missing)
      return block(calls[i].method, calls[i].params);
    return block_from(r.answers.answers[i]);
  };
  contract::Labels out;
  TOWLINE_ASSIGN_OR_RETURN(out.unsafe, label(0));
  TOWLINE_ASSIGN_OR_RETURN(out.safe, label(1));
  TOWLINE_ASSIGN_OR_RETURN(out.finalized, label(2));
  if (!out.unsafe) return absl::UnavailableError("the EL has no latest block");
  return out;
}

std::string EngineClient::client_version() {
  const auto ask_as = [this](const char* code) {
    return ask("engine_getClientVersionV1",
               absl::StrCat(R"([{"code":")", code,
                            R"(","name":"Towline","version":")" TOWLINE_VERSION R"(","commit":"0x00000000"}])"));
  };
  Reply r = ask_as("TL");
  // op-reth refuses codes outside the spec's list (execution-apis, engine/identification.md), and the list has none for
  // Towline. The name in the request still identifies us.
  if (r.status.ok() && r.answer().kind == jsonrpc::Answer::Kind::error && r.answer().error.code == kInvalidParams)
    r = ask_as("LH");
  if (r.status.ok() && r.answer().kind == jsonrpc::Answer::Kind::result) {
    simdjson::dom::array versions;
    if (r.answer().result.get(versions) == simdjson::SUCCESS) {
      for (simdjson::dom::element v : versions) {
        std::string_view n;
        std::string_view version;
        if (v["name"].get(n) == simdjson::SUCCESS && v["version"].get(version) == simdjson::SUCCESS) {
          return absl::StrCat(cut_text({n.data(), n.size()}, 64), "/", cut_text({version.data(), version.size()}, 64));
        }
      }
    }
  }
  Reply w = ask("web3_clientVersion", "[]");
  std::string_view s;
  if (w.status.ok() && w.answer().kind == jsonrpc::Answer::Kind::result &&
      w.answer().result.get(s) == simdjson::SUCCESS) {
    return cut_text({s.data(), s.size()}, 128);
  }
  return {};
}

absl::StatusOr<std::vector<std::string>> EngineClient::capabilities() {
  std::vector<std::string> out;
  const auto unknown = [](const Reply& r) {
    return r.status.ok() && r.answer().kind == jsonrpc::Answer::Kind::error && r.answer().error.code == kMethodNotFound;
  };
  const Reply reply =
      ask("engine_exchangeCapabilities",
          R"([["engine_newPayloadV2","engine_newPayloadV3","engine_newPayloadV4","engine_forkchoiceUpdatedV3"]])");
  TOWLINE_RETURN_IF_ERROR(reply.status);
  // Some ELs lack this method. forkchoiceUpdated without parameters changes nothing, so it is a safe test.
  if (unknown(reply) && unknown(ask("engine_forkchoiceUpdatedV3", "[]"))) {
    return absl::FailedPreconditionError(
        "no engine_ methods there: --engine must be the EL's Engine API (authrpc, port 8551), not its ordinary RPC");
  }
  simdjson::dom::array methods;
  if (!reply.status.ok() || reply.answer().kind != jsonrpc::Answer::Kind::result ||
      reply.answer().result.get(methods) != simdjson::SUCCESS) {
    return out;
  }
  for (simdjson::dom::element m : methods) {
    std::string_view name;
    if (m.get(name) == simdjson::SUCCESS) out.emplace_back(name);
  }
  return out;
}

std::optional<ElSyncing> EngineClient::syncing() {
  const Reply r = ask("eth_syncing", "[]");
  if (!r.status.ok() || r.answer().kind != jsonrpc::Answer::Kind::result) return std::nullopt;
  return el_syncing_from(r.answer().result);
}

std::optional<std::uint32_t> EngineClient::peer_count() {
  if (options_.admin_url.empty()) return std::nullopt;
  const Reply r = send(options_.admin_url, jsonrpc::request({"net_peerCount", "[]"}), 1, false,
                       std::min(options_.timeout, kReadTimeout));
  std::string_view text;
  if (!r.status.ok() || r.answer().kind != jsonrpc::Answer::Kind::result ||
      r.answer().result.get(text) != simdjson::SUCCESS)
    return std::nullopt;
  const auto n = parse_quantity({text.data(), text.size()});
  return n.ok() ? std::optional{static_cast<std::uint32_t>(std::min<std::uint64_t>(*n, 1'000'000))} : std::nullopt;
}

absl::Status EngineClient::set_head(std::uint64_t number) {
  return send_once(options_.admin_url, "debug_setHead", absl::StrCat("[\"", to_quantity(number), "\"]")).status();
}

}  // namespace towline::driver
