#include "services/engine-driver/core/twin.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"

namespace towline::driver {
namespace {

constexpr absl::string_view kMethod = "engine_newPayloadV";

absl::string_view text(simdjson::dom::element object, const char* key) {
  std::string_view s;
  if (object[key].get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

/// extraData holds a version byte, Holocene's base fee parameters (8 bytes) and, from Jovian on, the minimum base fee
/// (8 bytes).
absl::StatusOr<std::string> fee_attributes(absl::string_view extra_data) {
  TOWLINE_ASSIGN_OR_RETURN(const Bytes extra, parse_hex(extra_data));
  if (extra.size() < 9) return std::string{};
  std::string out = absl::StrCat(R"(,"eip1559Params":")", to_hex(BytesView{extra}.subspan(1, 8)), "\"");
  if (extra.size() >= 17) {
    std::uint64_t min_base_fee = 0;
    for (std::size_t i = 9; i < 17; ++i) min_base_fee = min_base_fee << 8U | extra[i];
    absl::StrAppend(&out, ",\"minBaseFee\":", min_base_fee);
  }
  return out;
}

}  // namespace

TwinNeed::Look TwinNeed::on_look(const Hash32& head, const std::optional<Hash32>& above, absl::Time now) {
  if (!head_) {
    head_ = head;
    above_ = above;
  }
  if (head_ != head || above_ != above || !above) return Look::not_needed;
  return now - since_ >= kStands ? Look::lead : Look::wait;
}

bool is_op_geth(absl::string_view client_version) {
  // "go-ethereum" is op-geth's name in engine_getClientVersionV1.
  constexpr absl::string_view kNames[] = {"geth/", "op-geth/", "go-ethereum/"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](absl::string_view name) { return absl::StartsWithIgnoreCase(client_version, name); });
}

bool asks_for_newer_get_payload(const TwinPlan& plan, std::int64_t error_code) {
  constexpr std::int64_t kUnsupportedFork = -38005;
  return plan.version == 4 && error_code == kUnsupportedFork;
}

absl::StatusOr<TwinPlan> plan_twin(const std::string& new_payload) {
  simdjson::dom::parser parser;
  simdjson::dom::element request;
  simdjson::dom::array params;
  simdjson::dom::array transactions;
  if (parser.parse(new_payload).get(request) != simdjson::SUCCESS ||
      request["params"].get(params) != simdjson::SUCCESS || params.size() == 0 ||
      params.at(0)["transactions"].get(transactions) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("not a newPayload request");
  }
  const absl::string_view method = text(request, "method");
  if (!absl::StartsWith(method, kMethod) || method.size() != kMethod.size() + 1)
    return absl::InvalidArgumentError("not a newPayload request");
  TwinPlan plan;
  plan.version = method.back() - '0';

  const simdjson::dom::element payload = params.at(0);
  TOWLINE_ASSIGN_OR_RETURN(Hash32 prev_randao, parse_fixed_hex<32>(text(payload, "prevRandao")));
  prev_randao.bytes[0] ^= 1U;
  TOWLINE_ASSIGN_OR_RETURN(const std::string fees, fee_attributes(text(payload, "extraData")));
  simdjson::dom::element withdrawals;
  plan.attributes = absl::StrCat(
      R"({"timestamp":")", text(payload, "timestamp"), R"(","prevRandao":")", to_hex(prev_randao.view()),
      R"(","suggestedFeeRecipient":")", text(payload, "feeRecipient"), "\"",
      payload["withdrawals"].get(withdrawals) == simdjson::SUCCESS ? R"(,"withdrawals":[])" : "", R"(,"transactions":)",
      simdjson::minify(transactions), R"(,"noTxPool":true,"gasLimit":")", text(payload, "gasLimit"), "\"", fees);
  if (plan.version >= 3) {
    std::string_view root;
    if (params.size() < 3 || params.at(2).get(root) != simdjson::SUCCESS)
      return absl::InvalidArgumentError("no parent beacon block root");
    plan.parent_beacon_block_root = absl::StrCat("\"", std::string{root}, "\"");
    absl::StrAppend(&plan.attributes, ",\"parentBeaconBlockRoot\":", plan.parent_beacon_block_root);
  }
  plan.attributes += '}';
  return plan;
}

absl::StatusOr<Twin> read_twin(const TwinPlan& plan, const std::string& built) {
  simdjson::dom::parser parser;
  simdjson::dom::element result;
  simdjson::dom::element payload;
  if (parser.parse(built).get(result) != simdjson::SUCCESS ||
      result["executionPayload"].get(payload) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("engine_getPayload: no payload");
  }
  Twin twin;
  TOWLINE_ASSIGN_OR_RETURN(twin.hash, parse_fixed_hex<32>(text(payload, "blockHash")));
  std::string params = absl::StrCat("[", simdjson::minify(payload));
  if (plan.version >= 3) absl::StrAppend(&params, ",[],", plan.parent_beacon_block_root);
  if (plan.version >= 4) params += ",[]";
  params += ']';
  twin.new_payload = jsonrpc::request({absl::StrCat(kMethod, plan.version), std::move(params)});
  return twin;
}

}  // namespace towline::driver
