#include "services/remote-fetcher/core/heads.hpp"

#include <absl/strings/str_cat.h>

#include <tuple>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"

namespace towline::fetcher {
namespace {

constexpr std::uint64_t kSyncedWithin = 32;

absl::StatusOr<std::optional<eth::BlockRef>> label(const jsonrpc::Answer& a, const char* what) {
  if (a.kind == jsonrpc::Answer::Kind::missing) return absl::UnavailableError(absl::StrCat("no answer for ", what));
  if (a.kind == jsonrpc::Answer::Kind::error) {
    if (jsonrpc::is_not_found(a.error)) return std::nullopt;
    return absl::UnavailableError(absl::StrCat(what, ": error ", a.error.code, " ", a.error.message));
  }
  if (a.result.is_null()) return std::nullopt;
  auto h = eth::header_from_json(a.result);
  if (!h.ok()) return absl::UnavailableError(absl::StrCat(what, ": ", h.status().message()));
  const Hash32 hash = eth::hash_header(h->header);
  if (hash != h->claimed_hash)
    return absl::DataLossError(
        absl::StrCat(what, ": hash: header ", h->header.number, " does not hash to what is claimed"));
  return eth::ref_of(h->header, hash);
}

/// op-node's L2BlockRef or L1BlockRef; all zero means unknown.
std::optional<eth::BlockRef> ref(simdjson::dom::element status, const char* key) {
  simdjson::dom::element e;
  if (status[key].get(e) != simdjson::SUCCESS || !e.is_object()) return std::nullopt;
  const auto hash = [&](const char* k) {
    std::string_view s;
    if (e[k].get(s) != simdjson::SUCCESS) return Hash32{};
    return parse_fixed_hex<32>({s.data(), s.size()}).value_or(Hash32{});
  };
  eth::BlockRef r;
  r.hash = hash("hash");
  if (r.hash.is_zero()) return std::nullopt;
  r.parent_hash = hash("parentHash");
  if (e["number"].get(r.number) != simdjson::SUCCESS || e["timestamp"].get(r.timestamp) != simdjson::SUCCESS)
    return std::nullopt;
  return r;
}

}  // namespace

absl::StatusOr<contract::HeadSnapshot> snapshot_from_el(const jsonrpc::Answer& latest, const jsonrpc::Answer& safe,
                                                        const jsonrpc::Answer& finalized) {
  contract::HeadSnapshot s;
  s.kind = contract::EndpointKind::el;
  TOWLINE_ASSIGN_OR_RETURN(s.unsafe, label(latest, "latest"));
  TOWLINE_ASSIGN_OR_RETURN(s.safe, label(safe, "safe"));
  TOWLINE_ASSIGN_OR_RETURN(s.finalized, label(finalized, "finalized"));
  if (!s.unsafe) return absl::UnavailableError("latest: not found");
  return s;
}

absl::StatusOr<contract::HeadSnapshot> snapshot_from_cl(simdjson::dom::element status) {
  contract::HeadSnapshot s;
  s.kind = contract::EndpointKind::cl;
  s.unsafe = ref(status, "unsafe_l2");
  s.local_safe = ref(status, "local_safe_l2");
  s.safe = ref(status, "safe_l2");
  s.finalized = ref(status, "finalized_l2");
  // A zero current_l1 means that the source starts or replays, which differs from a source without this field.
  s.current_l1 = ref(status, "current_l1").value_or(eth::BlockRef{});
  if (!s.unsafe) return absl::UnavailableError("optimism_syncStatus: no unsafe_l2 yet");
  return s;
}

jsonrpc::Call output_call(std::uint64_t number) {
  return {"optimism_outputAtBlock", absl::StrCat("[\"", to_quantity(number), "\"]")};
}

std::optional<Hash32> hash_of(const jsonrpc::Answer& a) {
  std::string_view hash;
  if (a.kind != jsonrpc::Answer::Kind::result) return std::nullopt;
  if (a.result["hash"].get(hash) != simdjson::SUCCESS && a.result["blockRef"]["hash"].get(hash) != simdjson::SUCCESS)
    return std::nullopt;
  const auto h = parse_fixed_hex<32>({hash.data(), hash.size()});
  return h.ok() ? std::optional{*h} : std::nullopt;
}

Trouble syncing_from(simdjson::dom::element status) {
  if (!status.is_object()) return {};
  const auto number = [&](const char* key) -> std::optional<std::uint64_t> {
    std::string_view text;
    if (status[key].get(text) != simdjson::SUCCESS) return std::nullopt;
    const auto n = parse_quantity({text.data(), text.size()});
    return n.ok() ? std::optional{*n} : std::nullopt;
  };
  const auto current = number("currentBlock");
  const auto highest = number("highestBlock");
  if (!current || !highest || *current + kSyncedWithin >= *highest) return {};
  return {Problem::syncing, absl::StrCat("the node is still syncing: block ", *current, " of ", *highest)};
}

absl::Status check_order(const contract::HeadSnapshot& s) {
  const auto check = [](const std::optional<eth::BlockRef>& low, const char* low_name,
                        const std::optional<eth::BlockRef>& high, const char* high_name) -> absl::Status {
    if (!low || !high || low->number < high->number || low->hash == high->hash) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(low_name, " ", eth::to_string(*low), " is not below ", high_name, " ", eth::to_string(*high)));
  };
  TOWLINE_RETURN_IF_ERROR(check(s.finalized, "finalized", s.safe, "safe"));
  TOWLINE_RETURN_IF_ERROR(check(s.finalized, "finalized", s.unsafe, "unsafe"));
  TOWLINE_RETURN_IF_ERROR(check(s.safe, "safe", s.local_safe, "local_safe"));
  return check(s.safe, "safe", s.unsafe, "unsafe");
}

absl::Status check_times(const contract::HeadSnapshot& s, const rollup::Config& chain, absl::Time now) {
  constexpr absl::Duration kAhead = absl::Minutes(1);
  for (const auto& b : {s.unsafe, s.local_safe, s.safe, s.finalized}) {
    if (!b || b->number < chain.l2_genesis.number) continue;
    const std::uint64_t due = chain.time_of(b->number);
    if (b->timestamp != due)
      return absl::FailedPreconditionError(
          absl::StrCat("time: block ", eth::to_string(*b), " is of second ", b->timestamp, ", its number says ", due));
    if (absl::FromUnixSeconds(static_cast<std::int64_t>(due)) > now + kAhead)
      return absl::OutOfRangeError(absl::StrCat("time: block ", eth::to_string(*b), " is of second ", due,
                                                ", the clock here says ", absl::ToUnixSeconds(now)));
  }
  return absl::OkStatus();
}

bool same_heads(const contract::HeadSnapshot& a, const contract::HeadSnapshot& b) {
  const auto all = [](const contract::HeadSnapshot& s) {
    return std::tie(s.endpoint, s.unsafe, s.local_safe, s.safe, s.finalized, s.current_l1, s.safe_hold,
                    s.finalized_hold, s.others, s.groups, s.agree, s.agreed, s.contradicts_finalized, s.unknown_rules,
                    s.blocks_trouble);
  };
  return all(a) == all(b);
}

}  // namespace towline::fetcher
