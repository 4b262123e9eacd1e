#include "libs/eth/block_json.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/payload.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::eth {
namespace {

using simdjson::dom::element;

absl::Status at_field(const char* name, const absl::Status& st) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", st.message()));
}

/// simdjson uses std::string_view, Debian's Abseil a string_view of its own.
std::optional<absl::string_view> text(element value) {
  std::string_view s;
  if (value.get(s) != simdjson::SUCCESS) return std::nullopt;
  return absl::string_view{s.data(), s.size()};
}

/// nullopt for a field that is absent or null.
absl::StatusOr<std::optional<absl::string_view>> optional_string(element obj, const char* name) {
  element value;
  if (obj[name].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  auto s = text(value);
  if (!s) return absl::InvalidArgumentError(absl::StrCat(name, ": not a string"));
  return s;
}

absl::StatusOr<absl::string_view> string_field(element obj, const char* name) {
  TOWLINE_ASSIGN_OR_RETURN(auto s, optional_string(obj, name));
  if (!s) return absl::InvalidArgumentError(absl::StrCat(name, ": missing"));
  return *s;
}

template <class Parse>
auto parsed(element obj, const char* name, Parse parse) -> decltype(parse(absl::string_view{})) {
  TOWLINE_ASSIGN_OR_RETURN(absl::string_view s, string_field(obj, name));
  auto v = parse(s);
  if (!v.ok()) return at_field(name, v.status());
  return v;
}

template <std::size_t N>
absl::StatusOr<FixedBytes<N>> fixed_field(element obj, const char* name) {
  return parsed(obj, name, parse_fixed_hex<N>);
}

/// Numbers are QUANTITY; some sources give JSON numbers.
absl::StatusOr<std::optional<std::uint64_t>> optional_u64(element obj, const char* name) {
  element value;
  if (obj[name].get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  std::uint64_t n = 0;
  if (value.get(n) == simdjson::SUCCESS) return n;
  const auto s = text(value);
  if (!s) return absl::InvalidArgumentError(absl::StrCat(name, ": not a quantity"));
  auto q = parse_quantity(*s);
  if (!q.ok()) return at_field(name, q.status());
  return *q;
}

absl::StatusOr<std::uint64_t> u64_field(element obj, const char* name) {
  TOWLINE_ASSIGN_OR_RETURN(auto n, optional_u64(obj, name));
  if (!n) return absl::InvalidArgumentError(absl::StrCat(name, ": missing"));
  return *n;
}

template <std::size_t N>
absl::StatusOr<std::optional<FixedBytes<N>>> optional_fixed(element obj, const char* name) {
  TOWLINE_ASSIGN_OR_RETURN(auto s, optional_string(obj, name));
  if (!s) return std::nullopt;
  auto v = parse_fixed_hex<N>(*s);
  if (!v.ok()) return at_field(name, v.status());
  return *v;
}

/// Appends the fields of one transaction to an RLP payload and keeps the first error.
class TxFields {
 public:
  explicit TxFields(element tx) : tx_{tx} {}

  TxFields& number(const char* name) {
    if (!status_.ok()) return *this;
    auto n = parsed(tx_, name, parse_quantity256);
    if (!n.ok()) return fail(n.status());
    rlp::append_u256(*n, payload_);
    return *this;
  }
  /// Absent, null and zero all encode as the empty string.
  TxFields& number_or_zero(const char* name) {
    if (!status_.ok()) return *this;
    auto s = optional_string(tx_, name);
    if (!s.ok()) return fail(s.status());
    if (*s) return number(name);
    rlp::append_string({}, payload_);
    return *this;
  }
  template <std::size_t N>
  TxFields& fixed(const char* name) {
    if (!status_.ok()) return *this;
    auto v = fixed_field<N>(tx_, name);
    if (!v.ok()) return fail(v.status());
    rlp::append_string(v->view(), payload_);
    return *this;
  }
  /// A contract creation has null or no recipient.
  TxFields& to() {
    if (!status_.ok()) return *this;
    auto v = optional_fixed<20>(tx_, "to");
    if (!v.ok()) return fail(v.status());
    rlp::append_string(*v ? (*v)->view() : BytesView{}, payload_);
    return *this;
  }
  TxFields& input() {
    if (!status_.ok()) return *this;
    auto s = optional_string(tx_, "input");
    if (s.ok() && !*s) s = optional_string(tx_, "data");
    if (!s.ok()) return fail(s.status());
    if (!*s) return fail(absl::InvalidArgumentError("input: missing"));
    scratch_.clear();
    if (auto st = parse_hex_into(**s, scratch_); !st.ok()) return fail(at_field("input", st));
    rlp::append_string(scratch_, payload_);
    return *this;
  }
  TxFields& boolean(const char* name) {
    if (!status_.ok()) return *this;
    bool b = false;
    element value;
    if (tx_[name].get(value) == simdjson::SUCCESS && !value.is_null() && value.get(b) != simdjson::SUCCESS) {
      return fail(absl::InvalidArgumentError(absl::StrCat(name, ": not a boolean")));
    }
    rlp::append_u64(b ? 1 : 0, payload_);
    return *this;
  }
  TxFields& y_parity() {
    if (!status_.ok()) return *this;
    auto s = optional_string(tx_, "yParity");
    if (!s.ok()) return fail(s.status());
    return number(*s ? "yParity" : "v");
  }
  /// Some sources leave out an empty list.
  TxFields& access_list() {
    if (!status_.ok()) return *this;
    Bytes list;
    simdjson::dom::array entries;
    if (tx_["accessList"].get(entries) == simdjson::SUCCESS) {
      for (element e : entries) {
        Bytes entry;
        auto address = fixed_field<20>(e, "address");
        if (!address.ok()) return fail(address.status());
        rlp::append_string(address->view(), entry);
        simdjson::dom::array keys;
        if (e["storageKeys"].get(keys) != simdjson::SUCCESS)
          return fail(absl::InvalidArgumentError("storageKeys: missing"));
        Bytes key_list;
        for (element k : keys) {
          const auto s = text(k);
          if (!s) return fail(absl::InvalidArgumentError("storageKeys: not strings"));
          auto key = parse_fixed_hex<32>(*s);
          if (!key.ok()) return fail(at_field("storageKeys", key.status()));
          rlp::append_string(key->view(), key_list);
        }
        rlp::append_list(key_list, entry);
        rlp::append_list(entry, list);
      }
    }
    rlp::append_list(list, payload_);
    return *this;
  }
  TxFields& authorization_list() {
    if (!status_.ok()) return *this;
    simdjson::dom::array entries;
    if (tx_["authorizationList"].get(entries) != simdjson::SUCCESS) {
      return fail(absl::InvalidArgumentError("authorizationList: missing"));
    }
    Bytes list;
    for (element e : entries) {
      TxFields f{e};
      f.number("chainId").fixed<20>("address").number("nonce").y_parity().number("r").number("s");
      if (!f.status_.ok()) return fail(f.status_);
      rlp::append_list(f.payload_, list);
    }
    rlp::append_list(list, payload_);
    return *this;
  }
  TxFields& blob_hashes() {
    if (!status_.ok()) return *this;
    simdjson::dom::array entries;
    if (tx_["blobVersionedHashes"].get(entries) != simdjson::SUCCESS) {
      return fail(absl::InvalidArgumentError("blobVersionedHashes: missing"));
    }
    Bytes list;
    for (element e : entries) {
      const auto s = text(e);
      if (!s) return fail(absl::InvalidArgumentError("blobVersionedHashes: not strings"));
      auto h = parse_fixed_hex<32>(*s);
      if (!h.ok()) return fail(at_field("blobVersionedHashes", h.status()));
      rlp::append_string(h->view(), list);
    }
    rlp::append_list(list, payload_);
    return *this;
  }

  absl::StatusOr<Bytes> finish(std::optional<std::uint8_t> type) const {
    if (!status_.ok()) return status_;
    Bytes out;
    out.reserve(payload_.size() + 10);
    if (type) out.push_back(*type);
    rlp::append_list(payload_, out);
    return out;
  }

 private:
  TxFields& fail(absl::Status st) {
    status_ = std::move(st);
    return *this;
  }
  element tx_;
  Bytes payload_;
  Bytes scratch_;
  absl::Status status_;
};

absl::StatusOr<Bytes> encode_transaction(element tx) {
  TOWLINE_ASSIGN_OR_RETURN(auto type, optional_u64(tx, "type"));
  TxFields f{tx};
  switch (type.value_or(0)) {
    case 0x00:
      return f.number("nonce")
          .number("gasPrice")
          .number("gas")
          .to()
          .number("value")
          .input()
          .number("v")
          .number("r")
          .number("s")
          .finish(std::nullopt);
    case 0x01:
      return f.number("chainId")
          .number("nonce")
          .number("gasPrice")
          .number("gas")
          .to()
          .number("value")
          .input()
          .access_list()
          .y_parity()
          .number("r")
          .number("s")
          .finish(0x01);
    case 0x02:
      return f.number("chainId")
          .number("nonce")
          .number("maxPriorityFeePerGas")
          .number("maxFeePerGas")
          .number("gas")
          .to()
          .number("value")
          .input()
          .access_list()
          .y_parity()
          .number("r")
          .number("s")
          .finish(0x02);
    case 0x03:
      return f.number("chainId")
          .number("nonce")
          .number("maxPriorityFeePerGas")
          .number("maxFeePerGas")
          .number("gas")
          .to()
          .number("value")
          .input()
          .access_list()
          .number("maxFeePerBlobGas")
          .blob_hashes()
          .y_parity()
          .number("r")
          .number("s")
          .finish(0x03);
    case 0x04:
      return f.number("chainId")
          .number("nonce")
          .number("maxPriorityFeePerGas")
          .number("maxFeePerGas")
          .number("gas")
          .to()
          .number("value")
          .input()
          .access_list()
          .authorization_list()
          .y_parity()
          .number("r")
          .number("s")
          .finish(0x04);
    case 0x7e:
      return f.fixed<32>("sourceHash")
          .fixed<20>("from")
          .to()
          .number_or_zero("mint")
          .number("value")
          .number("gas")
          .boolean("isSystemTx")
          .input()
          .finish(0x7e);
    case 0x7d: {
      // Lagoon's post-exec transaction: `input` is the payload itself.
      TOWLINE_ASSIGN_OR_RETURN(Bytes payload, parsed(tx, "input", parse_hex));
      payload.insert(payload.begin(), 0x7d);
      return payload;
    }
    default: return absl::UnimplementedError(absl::StrCat("type: 0x", absl::Hex(*type), " can only be had raw"));
  }
}

absl::Status check_claimed_hash(element tx, BytesView raw) {
  TOWLINE_ASSIGN_OR_RETURN(Hash32 claimed, fixed_field<32>(tx, "hash"));
  const Hash32 hash = keccak256(raw);
  if (hash == claimed) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("hash: the transaction hashes to ", to_hex(hash.view()), ", not to ", to_hex(claimed.view())));
}

absl::StatusOr<std::vector<Bytes>> read_transactions(element block, bool check_hashes) {
  simdjson::dom::array withdrawals;
  if (block["withdrawals"].get(withdrawals) == simdjson::SUCCESS && withdrawals.size() != 0) {
    return absl::DataLossError("withdrawals: must be empty");
  }
  simdjson::dom::array txs;
  if (block["transactions"].get(txs) != simdjson::SUCCESS) return absl::InvalidArgumentError("transactions: missing");
  std::vector<Bytes> out;
  out.reserve(txs.size());
  for (element tx : txs) {
    if (!tx.is_object()) {
      return absl::InvalidArgumentError(absl::StrCat("transactions[", out.size(), "]: not a full transaction object"));
    }
    auto raw = encode_transaction(tx);
    absl::Status st = raw.status();
    if (st.ok() && check_hashes) st = check_claimed_hash(tx, *raw);
    if (!st.ok()) return absl::Status{st.code(), absl::StrCat("transactions[", out.size(), "].", st.message())};
    out.push_back(*std::move(raw));
  }
  return out;
}

}  // namespace

absl::StatusOr<JsonHeader> header_from_json(element block) {
  if (!block.is_object()) return absl::InvalidArgumentError("block: not an object");
  JsonHeader out;
  Header& h = out.header;
  TOWLINE_ASSIGN_OR_RETURN(out.claimed_hash, fixed_field<32>(block, "hash"));
  TOWLINE_ASSIGN_OR_RETURN(h.parent_hash, fixed_field<32>(block, "parentHash"));
  TOWLINE_ASSIGN_OR_RETURN(h.sha3_uncles, fixed_field<32>(block, "sha3Uncles"));
  TOWLINE_ASSIGN_OR_RETURN(h.miner, fixed_field<20>(block, "miner"));
  TOWLINE_ASSIGN_OR_RETURN(h.state_root, fixed_field<32>(block, "stateRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.transactions_root, fixed_field<32>(block, "transactionsRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.receipts_root, fixed_field<32>(block, "receiptsRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.logs_bloom, fixed_field<256>(block, "logsBloom"));
  TOWLINE_ASSIGN_OR_RETURN(h.difficulty, parsed(block, "difficulty", parse_quantity256));
  TOWLINE_ASSIGN_OR_RETURN(h.number, u64_field(block, "number"));
  TOWLINE_ASSIGN_OR_RETURN(h.gas_limit, u64_field(block, "gasLimit"));
  TOWLINE_ASSIGN_OR_RETURN(h.gas_used, u64_field(block, "gasUsed"));
  TOWLINE_ASSIGN_OR_RETURN(h.timestamp, u64_field(block, "timestamp"));
  TOWLINE_ASSIGN_OR_RETURN(h.extra_data, parsed(block, "extraData", parse_hex));
  TOWLINE_ASSIGN_OR_RETURN(h.mix_hash, fixed_field<32>(block, "mixHash"));
  TOWLINE_ASSIGN_OR_RETURN(h.nonce, fixed_field<8>(block, "nonce"));
  TOWLINE_ASSIGN_OR_RETURN(auto base_fee, optional_string(block, "baseFeePerGas"));
  if (base_fee) {
    TOWLINE_ASSIGN_OR_RETURN(h.base_fee_per_gas, parsed(block, "baseFeePerGas", parse_quantity256));
  }
  TOWLINE_ASSIGN_OR_RETURN(h.withdrawals_root, optional_fixed<32>(block, "withdrawalsRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.blob_gas_used, optional_u64(block, "blobGasUsed"));
  TOWLINE_ASSIGN_OR_RETURN(h.excess_blob_gas, optional_u64(block, "excessBlobGas"));
  TOWLINE_ASSIGN_OR_RETURN(h.parent_beacon_block_root, optional_fixed<32>(block, "parentBeaconBlockRoot"));
  TOWLINE_ASSIGN_OR_RETURN(h.requests_hash, optional_fixed<32>(block, "requestsHash"));
  TOWLINE_ASSIGN_OR_RETURN(h.block_access_list_hash, optional_fixed<32>(block, "blockAccessListHash"));
  // Both belong to the header or neither: a source may tell a slot beside a header without one.
  if (h.block_access_list_hash) {
    TOWLINE_ASSIGN_OR_RETURN(h.slot_number, optional_u64(block, "slotNumber"));
  }
  return out;
}

absl::StatusOr<Bytes> transaction_from_json(element tx) {
  if (!tx.is_object()) return absl::InvalidArgumentError("not a full transaction object");
  TOWLINE_ASSIGN_OR_RETURN(Bytes raw, encode_transaction(tx));
  TOWLINE_RETURN_IF_ERROR(check_claimed_hash(tx, raw));
  return raw;
}

absl::StatusOr<std::vector<Bytes>> transactions_from_json(element block) { return read_transactions(block, true); }

absl::StatusOr<std::vector<Bytes>> verified_transactions_from_json(element block, const Header& verified) {
  TOWLINE_ASSIGN_OR_RETURN(auto out, read_transactions(block, false));
  absl::Status body = verify_body(verified, out);
  if (body.ok()) return out;
  // Either a transaction differs from its JSON object, or these are not the block's transactions.
  TOWLINE_RETURN_IF_ERROR(read_transactions(block, true).status());
  return body;
}

}  // namespace towline::eth
