#include "tools/towline/inspect/read_block.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"

namespace towline::inspect {
namespace {

using nlohmann::json;

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

absl::Status missing(absl::string_view field) { return absl::InvalidArgumentError(absl::StrCat(field, ": missing")); }

/// The member `key`; nullptr unless `obj` is an object that has it.
const json* find(const json& obj, const char* key) {
  if (!obj.is_object()) return nullptr;
  auto it = obj.find(key);
  return it == obj.end() || it->is_null() ? nullptr : &*it;
}

absl::StatusOr<std::string> string_at(const json& obj, const char* key) {
  const json* v = find(obj, key);
  if (v == nullptr) return missing(key);
  if (!v->is_string()) return absl::InvalidArgumentError(absl::StrCat(key, ": not a string"));
  return v->get<std::string>();
}

template <std::size_t N>
absl::StatusOr<FixedBytes<N>> fixed_at(const json& obj, const char* key) {
  TOWLINE_ASSIGN_OR_RETURN(std::string s, string_at(obj, key));
  auto v = parse_fixed_hex<N>(s);
  if (!v.ok()) return absl::InvalidArgumentError(absl::StrCat(key, ": ", v.status().message()));
  return v;
}

absl::StatusOr<std::uint64_t> number_at(const json& obj, const char* key) {
  TOWLINE_ASSIGN_OR_RETURN(std::string s, string_at(obj, key));
  auto v = parse_quantity(s);
  if (!v.ok()) return absl::InvalidArgumentError(absl::StrCat(key, ": ", v.status().message()));
  return v;
}

absl::StatusOr<std::vector<Bytes>> byte_strings(const json* list, absl::string_view field) {
  if (list == nullptr || !list->is_array()) return missing(field);
  std::vector<Bytes> out;
  for (const json& item : *list) {
    const std::string at = absl::StrCat(field, "[", out.size(), "]: ");
    if (!item.is_string()) return absl::InvalidArgumentError(absl::StrCat(at, "not a string"));
    auto raw = parse_hex(item.get<std::string>());
    if (!raw.ok()) return absl::InvalidArgumentError(absl::StrCat(at, raw.status().message()));
    out.push_back(*std::move(raw));
  }
  return out;
}

/// Reads a header object with eth_getBlock's field names; `hash` is beside it or inside.
absl::StatusOr<eth::JsonHeader> read_header(const json& object) {
  const std::string text = dump(object);
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(text).get(element) != simdjson::SUCCESS) return absl::InvalidArgumentError("header: not readable");
  return eth::header_from_json(element);
}

absl::StatusOr<Block> read_block_file(const json& doc) {
  json header = doc.at("header");
  if (!header.is_object()) return absl::InvalidArgumentError("header: not an object");
  header["hash"] = doc.at("hash");
  TOWLINE_ASSIGN_OR_RETURN(eth::JsonHeader h, read_header(header));
  Block b;
  b.header = h.header;
  b.hash = h.claimed_hash;
  TOWLINE_ASSIGN_OR_RETURN(b.transactions, byte_strings(find(doc, "raw_transactions"), "raw_transactions"));
  return b;
}

absl::StatusOr<Block> read_eth_block(const json& doc) {
  TOWLINE_ASSIGN_OR_RETURN(eth::JsonHeader h, read_header(doc));
  Block b;
  b.header = h.header;
  b.hash = h.claimed_hash;
  const std::string text = dump(doc);
  simdjson::dom::parser parser;
  TOWLINE_ASSIGN_OR_RETURN(b.transactions, eth::transactions_from_json(parser.parse(text).value()));
  return b;
}

/// EIP-4895: rlp [index, validator index, address, amount in gwei].
absl::StatusOr<std::vector<Bytes>> withdrawals(const json& list) {
  std::vector<Bytes> out;
  for (const json& w : list) {
    Bytes fields;
    TOWLINE_ASSIGN_OR_RETURN(auto index, number_at(w, "index"));
    TOWLINE_ASSIGN_OR_RETURN(auto validator, number_at(w, "validatorIndex"));
    TOWLINE_ASSIGN_OR_RETURN(auto address, fixed_at<20>(w, "address"));
    TOWLINE_ASSIGN_OR_RETURN(auto amount, number_at(w, "amount"));
    rlp::append_u64(index, fields);
    rlp::append_u64(validator, fields);
    rlp::append_string(address.view(), fields);
    rlp::append_u64(amount, fields);
    rlp::append_list(fields, out.emplace_back());
  }
  return out;
}

Hash32 sha256(BytesView v) {
  Hash32 out;
  SHA256(v.data(), v.size(), out.data());
  return out;
}

/// The requests hash of EIP-7685.
Hash32 requests_hash(const std::vector<Bytes>& requests) {
  Bytes all;
  for (const Bytes& r : requests) {
    if (r.size() < 2) continue;
    const Hash32 h = sha256(r);
    all.insert(all.end(), h.bytes.begin(), h.bytes.end());
  }
  return sha256(all);
}

absl::Status read_sidecar(const json& sidecar, Block& b) {
  const auto fields = [&](const char* fork) -> const json* {
    const json* f = find(sidecar, fork);
    return f == nullptr ? nullptr : find(*f, "fields");
  };
  if (const json* cancun = fields("cancun")) {
    TOWLINE_ASSIGN_OR_RETURN(b.header.parent_beacon_block_root, fixed_at<32>(*cancun, "parent_beacon_block_root"));
    TOWLINE_ASSIGN_OR_RETURN(auto hashes, byte_strings(find(*cancun, "versioned_hashes"), "versioned_hashes"));
    for (const Bytes& h : hashes) {
      auto hash = Hash32::from(h);
      if (!hash) return absl::InvalidArgumentError("versioned_hashes: not 32 bytes");
      b.versioned_hashes.push_back(*hash);
    }
  }
  if (const json* prague = fields("prague")) {
    TOWLINE_ASSIGN_OR_RETURN(auto requests, byte_strings(find(*prague, "requests"), "requests"));
    b.header.requests_hash = requests_hash(requests);
  }
  return absl::OkStatus();
}

absl::StatusOr<Block> read_new_payload(const json& doc) {
  const json* payload = find(doc, "payload");
  if (payload == nullptr) return missing("payload");
  Block b;
  eth::Header& h = b.header;
  TOWLINE_ASSIGN_OR_RETURN(b.hash, fixed_at<32>(*payload, "blockHash"));
  TOWLINE_ASSIGN_OR_RETURN(b.transactions, byte_strings(find(*payload, "transactions"), "transactions"));
  TOWLINE_ASSIGN_OR_RETURN(h.parent_hash, fixed_at<32>(*payload, "parentHash"));
  h.sha3_uncles = eth::kEmptyUncles;
  TOWLINE_ASSIGN_OR_RETURN(h.miner, fixed_at<20>(*payload, "feeRecipient"));
  TOWLINE_ASSIGN_OR_RETURN(h.state_root, fixed_at<32>(*payload, "stateRoot"));
  h.transactions_root = trie::ordered_root(b.transactions);
  TOWLINE_ASSIGN_OR_RETURN(h.receipts_root, fixed_at<32>(*payload, "receiptsRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.logs_bloom, fixed_at<256>(*payload, "logsBloom"));
  TOWLINE_ASSIGN_OR_RETURN(h.mix_hash, fixed_at<32>(*payload, "prevRandao"));
  TOWLINE_ASSIGN_OR_RETURN(h.number, number_at(*payload, "blockNumber"));
  TOWLINE_ASSIGN_OR_RETURN(h.gas_limit, number_at(*payload, "gasLimit"));
  TOWLINE_ASSIGN_OR_RETURN(h.gas_used, number_at(*payload, "gasUsed"));
  TOWLINE_ASSIGN_OR_RETURN(h.timestamp, number_at(*payload, "timestamp"));
  TOWLINE_ASSIGN_OR_RETURN(std::string extra, string_at(*payload, "extraData"));
  auto extra_data = parse_hex(extra);
  if (!extra_data.ok()) return absl::InvalidArgumentError(absl::StrCat("extraData: ", extra_data.status().message()));
  h.extra_data = *std::move(extra_data);
  TOWLINE_ASSIGN_OR_RETURN(std::string base_fee, string_at(*payload, "baseFeePerGas"));
  auto fee = parse_quantity256(base_fee);
  if (!fee.ok()) return absl::InvalidArgumentError(absl::StrCat("baseFeePerGas: ", fee.status().message()));
  h.base_fee_per_gas = *fee;
  std::size_t withdrawal_count = 0;
  if (const json* list = find(*payload, "withdrawals")) {
    auto w = withdrawals(*list);
    if (!w.ok()) return absl::InvalidArgumentError(absl::StrCat("withdrawals: ", w.status().message()));
    h.withdrawals_root = trie::ordered_root(*w);
    withdrawal_count = w->size();
  }
  if (find(*payload, "blobGasUsed") != nullptr) {
    TOWLINE_ASSIGN_OR_RETURN(h.blob_gas_used, number_at(*payload, "blobGasUsed"));
    TOWLINE_ASSIGN_OR_RETURN(h.excess_blob_gas, number_at(*payload, "excessBlobGas"));
  }
  if (const json* sidecar = find(doc, "sidecar")) TOWLINE_RETURN_IF_ERROR(read_sidecar(*sidecar, b));
  if (find(*payload, "withdrawalsRoot") != nullptr) {
    // Isthmus: the root of the message passer's storage, while the list stays empty.
    TOWLINE_ASSIGN_OR_RETURN(h.withdrawals_root, fixed_at<32>(*payload, "withdrawalsRoot"));
    if (withdrawal_count != 0) return absl::InvalidArgumentError("withdrawals: must be empty");
  } else {
    b.l1 = b.transactions.empty() || b.transactions[0].empty() || b.transactions[0][0] != 0x7e;
  }
  return b;
}

}  // namespace

ReadBlock read_block(absl::string_view text) {
  const auto wrong = [](absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("input: ", what)); };
  // simdjson bounds the nesting, nlohmann does not.
  simdjson::dom::parser bounded;
  json doc = json::value_t::discarded;
  if (bounded.parse(text.data(), text.size()).error() == simdjson::SUCCESS) doc = json::parse(text, nullptr, false);
  if (doc.is_discarded()) return {"unknown", wrong("not JSON")};
  if (const json* error = find(doc, "error"))
    return {"unknown", wrong(absl::StrCat("an error instead of a block: ", dump(*error).substr(0, 200)))};
  if (find(doc, "jsonrpc") != nullptr && doc.contains("result")) {
    json inner = std::move(doc["result"]);
    doc = std::move(inner);
  }
  if (doc.is_null()) return {"unknown", wrong("the source has no such block")};
  if (doc.is_object() && doc.contains("header") && doc.contains("hash")) return {"block file", read_block_file(doc)};
  if (const json* payload = find(doc, "newPayload")) return {"newPayload", read_new_payload(*payload)};
  if (doc.is_object() && doc.contains("parentHash") && doc.contains("transactions"))
    return {"eth_getBlock", read_eth_block(doc)};
  return {"unknown", wrong("neither a block file {hash, header, raw_transactions}, nor {newPayload}, nor a block of "
                           "eth_getBlockByNumber")};
}

std::optional<std::string> rollup_config_of(absl::string_view text) {
  const json doc = json::parse(text, nullptr, false);
  auto name = string_at(doc, "rollup_config");
  if (!name.ok()) return std::nullopt;
  return *name;
}

}  // namespace towline::inspect
