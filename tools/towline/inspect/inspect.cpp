#include "tools/towline/inspect/inspect.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <openssl/sha.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/deposits.hpp"
#include "libs/eth/engine_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tools/towline/inspect/read_block.hpp"

namespace towline::inspect {
namespace {

using nlohmann::json;

/// The versioned hashes in the blob transactions (type 3).
absl::StatusOr<std::vector<Hash32>> blob_hashes(const std::vector<Bytes>& transactions) {
  std::vector<Hash32> out;
  for (const Bytes& tx : transactions) {
    if (tx.empty() || tx[0] != 0x03) continue;
    rlp::Reader outer{BytesView{tx}.subspan(1)};
    TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
    for (int skip = 0; skip < 10; ++skip) TOWLINE_RETURN_IF_ERROR(r.next().status());
    TOWLINE_ASSIGN_OR_RETURN(rlp::Reader hashes, r.list());
    while (!hashes.empty()) {
      TOWLINE_ASSIGN_OR_RETURN(Hash32 h, hashes.fixed<32>());
      out.push_back(h);
    }
  }
  return out;
}

int type_of(const Bytes& tx) { return tx.empty() || tx[0] >= 0xc0 ? 0 : tx[0]; }

/// The field that gives the claimed hash once corrected; only fields whose correct value is known are tried.
const char* culprit(const Block& b) {
  const auto fits = [&](auto change) {
    eth::Header h = b.header;
    change(h);
    return eth::hash_header(h) == b.hash;
  };
  if (fits([&](eth::Header& h) { h.transactions_root = trie::ordered_root(b.transactions); }))
    return "transactionsRoot";
  if (fits([](eth::Header& h) { h.sha3_uncles = eth::kEmptyUncles; })) return "sha3Uncles";
  if (fits([](eth::Header& h) { h.difficulty = {}; })) return "difficulty";
  if (fits([](eth::Header& h) { h.nonce = {}; })) return "nonce";
  if (fits([](eth::Header& h) { h.withdrawals_root = trie::kEmptyRoot; })) return "withdrawalsRoot";
  if (fits([](eth::Header& h) { h.blob_gas_used = 0; })) return "blobGasUsed";
  if (fits([](eth::Header& h) { h.excess_blob_gas = 0; })) return "excessBlobGas";
  if (fits([](eth::Header& h) { h.requests_hash = eth::kEmptyRequests; })) return "requestsHash";
  if (fits([](eth::Header& h) { h.requests_hash.reset(); })) return "requestsHash";
  return nullptr;
}

std::string fork_by_shape(const eth::Header& h) {
  if (!h.withdrawals_root) return "bedrock or regolith";
  if (!h.parent_beacon_block_root) return "canyon or delta";
  if (h.requests_hash) return h.extra_data.size() == 17 ? "jovian or later" : "isthmus";
  return h.extra_data.size() == 9 ? "holocene" : "ecotone, fjord or granite";
}

class Inspector {
 public:
  Inspector(const Block& b, const std::optional<rollup::Config>& config, InspectReport& report)
      : b_{b}, config_{config}, r_{report} {}

  void run() {
    r_.block = eth::ref_of(b_.header, b_.hash);
    for (const Bytes& tx : b_.transactions) ++r_.transactions_by_type[type_of(tx)];
    hash();
    transactions();
    b_.l1 ? l1_block() : l2_block();
  }

 private:
  void pass(std::string field, std::string detail) { r_.checks.push_back({std::move(field), true, std::move(detail)}); }
  void fail(std::string field, std::string detail) {
    r_.checks.push_back({std::move(field), false, std::move(detail)});
  }
  /// Records a status whose message starts with "<field>: ".
  void fail(const absl::Status& st) {
    const std::string m{st.message()};
    const auto colon = m.find(": ");
    colon == std::string::npos ? fail("block", m) : fail(m.substr(0, colon), m.substr(colon + 2));
  }

  void hash() {
    const Hash32 computed = eth::hash_header(b_.header);
    if (computed == b_.hash) return pass("hash", "keccak of the header's RLP");
    if (const char* field = culprit(b_)) {
      return fail(
          field, absl::StrCat("wrong: with the value that it must have the header hashes to ", to_hex(b_.hash.view())));
    }
    fail("hash", absl::StrCat("the header hashes to ", to_hex(computed.view()), ", not to ", to_hex(b_.hash.view())));
  }

  void transactions() {
    if (auto st = eth::verify_body(b_.header, b_.transactions); !st.ok()) return fail(st);
    pass("transactionsRoot", absl::StrCat("of ", b_.transactions.size(), " transactions"));
  }

  void l1_block() {
    const eth::Header& h = b_.header;
    r_.fork = h.slot_number                ? "L1 amsterdam"
              : h.requests_hash            ? "L1 prague"
              : h.parent_beacon_block_root ? "L1 cancun"
                                           : "L1 shanghai or earlier";
    const int version = h.slot_number ? 5 : h.requests_hash ? 4 : h.parent_beacon_block_root ? 3 : 2;
    r_.engine_method = absl::StrCat("engine_newPayloadV", version);
    if (config_) fail("transactions[0]", "not the L1-info deposit that opens every block of an OP Stack chain");
    auto hashes = blob_hashes(b_.transactions);
    if (!hashes.ok()) return fail("transactions", std::string{hashes.status().message()});
    if (*hashes != b_.versioned_hashes) return fail("versioned_hashes", "not those of the blob transactions");
    pass("versioned_hashes", absl::StrCat("of ", hashes->size(), " blobs"));
  }

  void l2_block() {
    const int by_shape = eth::new_payload_version_by_shape(eth::make_payload(b_.header, b_.hash, {}));
    r_.fork_by_config = config_.has_value();
    r_.fork = config_ ? rollup::name(config_->fork_at(b_.header.timestamp)) : fork_by_shape(b_.header);
    const int version = config_ ? rollup::new_payload_version(*config_, b_.header.timestamp) : by_shape;
    r_.engine_method = absl::StrCat("engine_newPayloadV", version);
    // The hash is checked above.
    if (auto st = eth::verify_header(b_.header, eth::hash_header(b_.header)); !st.ok()) {
      fail(st);
    } else {
      pass("header", "the rules that hold for every OP Stack block");
    }
    if (config_) {
      if (auto st = rollup::check_header_shape(*config_, b_.header); !st.ok()) {
        fail(st);
      } else {
        pass("fork", absl::StrCat("the fields of ", r_.fork));
      }
    }
    l1_origin();
  }

  void l1_origin() {
    if (config_ && b_.header.number == config_->l2_genesis.number) {
      if (b_.hash != config_->l2_genesis.hash) {
        return fail("hash", absl::StrCat("the rollup config has genesis ", to_hex(config_->l2_genesis.hash.view())));
      }
      r_.l1_origin = config_->l1_genesis;
      r_.l1_info_layout = "genesis";
      return pass("genesis", "that of the rollup config");
    }
    if (b_.transactions.empty()) return fail("transactions[0]", "missing: every block opens with the L1-info deposit");
    auto info = eth::decode_l1_info(b_.transactions[0]);
    if (!info.ok()) return fail("transactions[0]", std::string{info.status().message()});
    r_.l1_origin = info->origin;
    r_.sequence_number = info->sequence_number;
    r_.l1_info_layout = eth::name(info->layout);
    pass("transactions[0]", "the L1-info deposit; its source hash fits its L1 origin and sequence number");
  }

  const Block& b_;
  const std::optional<rollup::Config>& config_;
  InspectReport& r_;
};

std::string type_name(int type, std::size_t count) {
  switch (type) {
    case 0x00: return absl::StrCat(count, " legacy");
    case 0x01: return absl::StrCat(count, " access list");
    case 0x02: return absl::StrCat(count, " fee market");
    case 0x03: return absl::StrCat(count, " blob");
    case 0x04: return absl::StrCat(count, " set code");
    case 0x7d: return absl::StrCat(count, " post-exec");
    case 0x7e: return absl::StrCat(count, " deposit");
    default: return absl::StrCat(count, " of type 0x", absl::Hex(type));
  }
}

}  // namespace

InspectReport inspect_block(absl::string_view text, const std::optional<rollup::Config>& config) {
  InspectReport r;
  const ReadBlock read = read_block(text);
  r.kind = read.kind;
  if (read.block.ok()) {
    Inspector{*read.block, config, r}.run();
  } else {
    const std::string m{read.block.status().message()};
    const auto colon = m.find(": ");
    r.checks.push_back({m.substr(0, colon), false, colon == std::string::npos ? m : m.substr(colon + 2)});
  }
  r.valid = !r.checks.empty();
  for (const Check& c : r.checks) {
    if (c.ok) continue;
    r.valid = false;
    r.field = c.field;
    r.reason = c.detail;
    break;
  }
  return r;
}

std::string to_text(const InspectReport& r) {
  std::string out;
  const auto line = [&](const char* key, const std::string& value) {
    absl::StrAppendFormat(&out, "%-14s%s\n", key, value);
  };
  if (!r.block.hash.is_zero()) {
    line("block", absl::StrCat(r.block.number, "  ", to_hex(r.block.hash.view())));
    line("parent", to_hex(r.block.parent_hash.view()));
    line("time", absl::StrCat(r.block.timestamp, "  ",
                              absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                                               absl::FromUnixSeconds(static_cast<std::int64_t>(r.block.timestamp)),
                                               absl::UTCTimeZone())));
    line("fork",
         absl::StrCat(r.fork, r.fork_by_config ? "" : "  (by its shape; with a rollup config or network by its time)"));
    line("engine method", r.engine_method);
    std::string types;
    for (const auto& [type, count] : r.transactions_by_type)
      absl::StrAppend(&types, types.empty() ? "" : ", ", type_name(type, count));
    line("transactions", types.empty() ? "none" : types);
    if (r.l1_origin) {
      line("L1 origin", absl::StrCat(r.l1_origin->number, "  ", to_hex(r.l1_origin->hash.view())));
      line("sequence", absl::StrCat(r.sequence_number, "  (", r.l1_info_layout, " layout)"));
    }
    out += '\n';
  }
  for (const Check& c : r.checks)
    absl::StrAppendFormat(&out, "%-6s%-24s %s\n", c.ok ? "ok" : "FAIL", c.field, c.detail);
  absl::StrAppend(&out, r.valid ? "VALID" : absl::StrCat("INVALID ", r.field, ": ", r.reason), "\n");
  return out;
}

std::string to_json(const InspectReport& r) {
  json out;
  out["valid"] = r.valid;
  if (!r.valid) out["field"] = r.field;
  if (!r.valid) out["reason"] = r.reason;
  out["kind"] = r.kind;
  if (!r.block.hash.is_zero()) {
    out["block"] = {{"number", r.block.number},
                    {"hash", to_hex(r.block.hash.view())},
                    {"parent_hash", to_hex(r.block.parent_hash.view())},
                    {"timestamp", r.block.timestamp}};
    out["fork"] = r.fork;
    out["fork_by_config"] = r.fork_by_config;
    out["engine_method"] = r.engine_method;
    json types = json::object();
    for (const auto& [type, count] : r.transactions_by_type) types[absl::StrCat("0x", absl::Hex(type))] = count;
    out["transactions_by_type"] = types;
    if (r.l1_origin) {
      out["l1_origin"] = {{"number", r.l1_origin->number}, {"hash", to_hex(r.l1_origin->hash.view())}};
      out["sequence_number"] = r.sequence_number;
      out["l1_info_layout"] = r.l1_info_layout;
    }
  }
  out["checks"] = json::array();
  for (const Check& c : r.checks) out["checks"].push_back({{"field", c.field}, {"ok", c.ok}, {"detail", c.detail}});
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace towline::inspect
