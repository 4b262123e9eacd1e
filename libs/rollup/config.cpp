#include "libs/rollup/config.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/payload.hpp"
#include "libs/rollup/networks.hpp"

namespace towline::rollup {
namespace {

using nlohmann::json;

constexpr const char* kNames[kForkCount] = {"bedrock", "regolith", "canyon",  "delta",  "ecotone", "fjord",
                                            "granite", "holocene", "isthmus", "jovian", "karst",   "lagoon"};

constexpr std::size_t kMaxUnknownForks = 32;

/// Whether a "*_time" key of rollup.json names a fork of the execution rules.
bool is_fork_time(const std::string& key) {
  return absl::EndsWith(key, "_time") && key != "block_time" && key != "l2_time" && key != "pectra_blob_schedule_time";
}

absl::Status bad(absl::string_view key, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("rollup config: ", key, ": ", why));
}

absl::StatusOr<std::uint64_t> number(const json& obj, const char* key) {
  auto it = obj.find(key);
  if (it == obj.end()) return bad(key, "missing");
  if (!it->is_number_unsigned()) return bad(key, "not a whole number");
  return it->get<std::uint64_t>();
}

absl::StatusOr<eth::BlockId> block_id(const json& genesis, const char* key) {
  auto it = genesis.find(key);
  if (it == genesis.end() || !it->is_object()) return bad(absl::StrCat("genesis.", key), "missing");
  eth::BlockId id;
  TOWLINE_ASSIGN_OR_RETURN(id.number, number(*it, "number"));
  auto hash = it->find("hash");
  if (hash == it->end() || !hash->is_string()) return bad(absl::StrCat("genesis.", key, ".hash"), "missing");
  auto parsed = parse_fixed_hex<32>(hash->get<std::string>());
  if (!parsed.ok()) return bad(absl::StrCat("genesis.", key, ".hash"), parsed.status().message());
  id.hash = *parsed;
  return id;
}

/// Absent or null: nullopt.
absl::StatusOr<std::optional<Address>> address(const json& obj, const char* key) {
  const auto it = obj.find(key);
  if (it == obj.end() || it->is_null()) return std::nullopt;
  if (!it->is_string()) return bad(key, "not an address");
  const auto parsed = parse_fixed_hex<20>(it->get<std::string>());
  if (!parsed.ok()) return bad(key, parsed.status().message());
  return *parsed;
}

absl::Status read_fork(const std::string& key, const json& value, Forks& out) {
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_number_unsigned()) return bad(key, "not a whole number of seconds");
  const auto t = value.get<std::uint64_t>();
  for (std::size_t f = 1; f < kForkCount; ++f) {
    if (key != absl::StrCat(kNames[f], "_time") && !(key == "interop_time" && static_cast<Fork>(f) == Fork::lagoon))
      continue;
    auto& mine = out.times[f];
    if (mine && *mine != t) return bad(key, absl::StrCat("another time is given for ", kNames[f], " too"));
    mine = t;
    return absl::OkStatus();
  }
  if (out.unknown.size() == kMaxUnknownForks) return bad(key, "more forks that are not known than there can be");
  out.unknown.emplace_back(key, t);
  return absl::OkStatus();
}

/// A fork that comes before one that it builds on, and that other fork.
std::optional<std::pair<std::size_t, std::size_t>> out_of_order(const ForkTimes& times) {
  std::size_t last = 0;
  for (std::size_t f = 1; f < kForkCount; ++f) {
    if (!times[f]) continue;
    if (*times[f] < *times[last]) return std::pair{f, last};
    last = f;
  }
  return std::nullopt;
}

absl::StatusOr<Forks> read_forks(const json& from) {
  Forks out;
  out.times[0] = 0;
  for (auto it = from.begin(); it != from.end(); ++it) {
    if (is_fork_time(it.key())) TOWLINE_RETURN_IF_ERROR(read_fork(it.key(), it.value(), out));
  }
  if (auto base = from.find("base"); base != from.end() && base->is_object()) {
    for (auto it = base->begin(); it != base->end(); ++it) {
      TOWLINE_RETURN_IF_ERROR(read_fork(absl::StrCat("base.", it.key()), it.value(), out));
    }
  }
  if (const auto wrong = out_of_order(out.times)) {
    const auto [late, early] = *wrong;
    return bad(absl::StrCat(kNames[late], "_time"),
               absl::StrCat(*out.times[late], " is earlier than ", kNames[early], "_time ", *out.times[early]));
  }
  return out;
}

/// The rules for a config from a file or from the table.
absl::Status check(const Config& c) {
  if (c.block_time == 0) return bad("block_time", "must not be 0");
  if (c.l2_chain_id == 0) return bad("l2_chain_id", "must not be 0");
  if (c.l1_chain_id == c.l2_chain_id) return bad("l2_chain_id", "must not be the same as l1_chain_id");
  if (c.l2_genesis.hash.is_zero()) return bad("genesis.l2.hash", "must not be zero");
  if (c.l1_genesis.hash == c.l2_genesis.hash) return bad("genesis.l2.hash", "must not be the same as genesis.l1.hash");
  return absl::OkStatus();
}

}  // namespace

const char* name(Fork f) { return kNames[static_cast<std::size_t>(f)]; }

Fork Config::fork_at(std::uint64_t timestamp) const {
  for (std::size_t f = kForkCount; f-- > 1;) {
    if (fork_times[f] && timestamp >= *fork_times[f]) return static_cast<Fork>(f);
  }
  return Fork::bedrock;
}

absl::StatusOr<Config> parse_config(absl::string_view text) {
  const json doc = json::parse(text, nullptr, false);
  if (doc.is_discarded() || !doc.is_object()) return absl::InvalidArgumentError("rollup config: not a JSON object");
  Config c;
  TOWLINE_ASSIGN_OR_RETURN(c.l1_chain_id, number(doc, "l1_chain_id"));
  TOWLINE_ASSIGN_OR_RETURN(c.l2_chain_id, number(doc, "l2_chain_id"));
  TOWLINE_ASSIGN_OR_RETURN(c.block_time, number(doc, "block_time"));
  auto genesis = doc.find("genesis");
  if (genesis == doc.end() || !genesis->is_object()) return bad("genesis", "missing");
  TOWLINE_ASSIGN_OR_RETURN(c.l1_genesis, block_id(*genesis, "l1"));
  TOWLINE_ASSIGN_OR_RETURN(c.l2_genesis, block_id(*genesis, "l2"));
  TOWLINE_ASSIGN_OR_RETURN(c.l2_time, number(*genesis, "l2_time"));
  TOWLINE_ASSIGN_OR_RETURN(c.l1_system_config, address(doc, "l1_system_config_address"));
  TOWLINE_ASSIGN_OR_RETURN(Forks forks, read_forks(doc));
  c.fork_times = forks.times;
  c.unknown_forks = std::move(forks.unknown);
  TOWLINE_RETURN_IF_ERROR(check(c));
  return c;
}

absl::StatusOr<Forks> parse_forks(absl::string_view text) {
  const json doc = json::parse(text, nullptr, false);
  if (doc.is_discarded() || !doc.is_object()) return absl::InvalidArgumentError("rollup config: not a JSON object");
  return read_forks(doc);
}

absl::Status override_forks(const ForkTimes& overrides, absl::string_view flag, Config& c) {
  ForkTimes times = c.fork_times;
  for (std::size_t f = 1; f < kForkCount; ++f) {
    if (overrides[f]) times[f] = overrides[f];
  }
  if (const auto wrong = out_of_order(times)) {
    const auto [late, early] = *wrong;
    const auto says = [&](std::size_t f) {
      return absl::StrCat(kNames[f], " at ", *times[f], overrides[f] ? absl::StrCat(" (", flag, kNames[f], ")") : "");
    };
    return absl::InvalidArgumentError(absl::StrCat("forks come in order: ", says(late), " cannot come before ",
                                                   says(early), "; override that one, too, or neither"));
  }
  c.fork_times = times;
  return absl::OkStatus();
}

std::string describe_unknown(std::uint64_t fork_time, std::uint64_t now) {
  const std::string date = absl::FormatTime(
      "%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(static_cast<std::int64_t>(fork_time)), absl::UTCTimeZone());
  if (fork_time > now)
    return absl::StrCat("a fork that this version does not know comes at ", date, ": look for a newer one before");
  return absl::StrCat("a fork that this version does not know is active since ", date,
                      ": what it changes is not checked; all goes on while hashes verify");
}

std::vector<std::string> network_names() {
  std::vector<std::string> out;
  const json doc = json::parse(networks_json());
  for (const auto& chain : doc.at("chains")) out.push_back(chain.at("name").get<std::string>());
  return out;
}

absl::StatusOr<Config> network(absl::string_view wanted) {
  const json doc = json::parse(networks_json());
  for (const auto& chain : doc.at("chains")) {
    if (chain.at("name").get<std::string>() != wanted) continue;
    Config c;
    c.network = std::string{wanted};
    TOWLINE_ASSIGN_OR_RETURN(c.l1_chain_id, number(chain, "l1_chain_id"));
    TOWLINE_ASSIGN_OR_RETURN(c.l2_chain_id, number(chain, "chain_id"));
    TOWLINE_ASSIGN_OR_RETURN(c.block_time, number(chain, "block_time"));
    const json& genesis = chain.at("genesis");
    TOWLINE_ASSIGN_OR_RETURN(c.l1_genesis, block_id(genesis, "l1"));
    TOWLINE_ASSIGN_OR_RETURN(c.l2_genesis, block_id(genesis, "l2"));
    TOWLINE_ASSIGN_OR_RETURN(c.l2_time, number(genesis, "l2_time"));
    TOWLINE_ASSIGN_OR_RETURN(c.l1_system_config, address(chain, "system_config_proxy"));
    TOWLINE_ASSIGN_OR_RETURN(c.unsafe_block_signer, address(chain, "unsafe_block_signer"));
    TOWLINE_ASSIGN_OR_RETURN(Forks forks, read_forks(chain.at("hardforks")));
    c.fork_times = forks.times;
    c.unknown_forks = std::move(forks.unknown);
    // The registry does not list Regolith: all its chains have it from genesis.
    if (!c.fork_times[1]) c.fork_times[1] = 0;
    TOWLINE_RETURN_IF_ERROR(check(c));
    return c;
  }
  return absl::NotFoundError(
      absl::StrCat("unknown network \"", wanted, "\"; known: ", absl::StrJoin(network_names(), ", ")));
}

int new_payload_version(const Config& c, std::uint64_t timestamp) {
  const Fork f = c.fork_at(timestamp);
  if (f >= Fork::isthmus) return 4;
  return f >= Fork::ecotone ? 3 : 2;
}

absl::Status check_header_shape(const Config& c, const eth::Header& h) {
  const Fork f = c.fork_at(h.timestamp);
  const auto check = [&](const char* field, bool has, Fork since) -> absl::Status {
    if (has == (f >= since)) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(field, ": ", has ? "present" : "absent", " in block ", h.number, ", but the fork is ", name(f)));
  };
  TOWLINE_RETURN_IF_ERROR(check("withdrawalsRoot", h.withdrawals_root.has_value(), Fork::canyon));
  TOWLINE_RETURN_IF_ERROR(check("blobGasUsed", h.blob_gas_used.has_value(), Fork::ecotone));
  TOWLINE_RETURN_IF_ERROR(check("excessBlobGas", h.excess_blob_gas.has_value(), Fork::ecotone));
  TOWLINE_RETURN_IF_ERROR(check("parentBeaconBlockRoot", h.parent_beacon_block_root.has_value(), Fork::ecotone));
  TOWLINE_RETURN_IF_ERROR(check("requestsHash", h.requests_hash.has_value(), Fork::isthmus));
  // No OP Stack fork includes L1's Amsterdam yet.
  if (h.block_access_list_hash)
    return absl::DataLossError(
        absl::StrCat("blockAccessListHash: present in block ", h.number, ", but the fork is ", name(f)));
  return absl::OkStatus();
}

absl::Status verify_block(const Config& c, const eth::Header& h, const Hash32& expected_hash,
                          std::span<const Bytes> transactions) {
  TOWLINE_RETURN_IF_ERROR(eth::verify_header(h, expected_hash));
  TOWLINE_RETURN_IF_ERROR(check_header_shape(c, h));
  return eth::verify_body(h, transactions);
}

}  // namespace towline::rollup
