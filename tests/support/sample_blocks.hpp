// Random transactions of every type, and blocks in eth_getBlockByNumber's form, made from raw bytes by code that shares
// nothing with the JSON reader under test. For unit tests and micro benchmarks.
#pragma once
#include <absl/strings/str_cat.h>

#include <random>
#include <string>
#include <vector>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/types.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"

namespace towline::testing {

using Random = std::mt19937_64;

inline Bytes random_bytes(Random& random, std::size_t n) {
  Bytes out(n);
  for (auto& b : out) b = static_cast<std::uint8_t>(random());
  return out;
}

template <std::size_t N>
FixedBytes<N> random_fixed(Random& random) {
  return *FixedBytes<N>::from(random_bytes(random, N));
}

/// Every type whose JSON can be read: legacy, access list, fee market, blob, set code, deposit, post-exec.
inline constexpr std::uint8_t kTransactionTypes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x7e, 0x7d};
/// A type of no chain: only the hash can be read from its JSON.
inline constexpr std::uint8_t kUnknownType = 0x5a;

/// A well-formed raw transaction with a random signature. Integers have random lengths, so leading zeros and zero
/// occur, and so do absent recipients.
inline Bytes random_transaction(Random& random, std::uint8_t type, std::size_t input_size) {
  Bytes p;
  const auto integer = [&](std::size_t max_bytes) {
    Bytes n = random_bytes(random, random() % (max_bytes + 1));
    Uint256 v;
    std::copy(n.begin(), n.end(), v.bytes.end() - static_cast<std::ptrdiff_t>(n.size()));
    return v;
  };
  const auto to = [&](Bytes& out) {
    // Blob and set-code transactions create no contracts.
    const bool none = random() % 8 == 0 && type != 3 && type != 4;
    rlp::append_string(none ? Bytes{} : random_bytes(random, 20), out);
  };
  const auto access_list = [&] {
    Bytes list;
    for (std::uint64_t n = random() % 3; n > 0; --n) {
      Bytes entry;
      Bytes keys;
      rlp::append_string(random_bytes(random, 20), entry);
      for (std::uint64_t k = random() % 4; k > 0; --k) rlp::append_string(random_bytes(random, 32), keys);
      rlp::append_list(keys, entry);
      rlp::append_list(entry, list);
    }
    rlp::append_list(list, p);
  };
  const Bytes input = random_bytes(random, input_size);
  if (type == 0x7d || type == kUnknownType) {
    rlp::append_string(input, p);
  } else if (type == 0x7e) {
    rlp::append_string(random_bytes(random, 32), p);
    rlp::append_string(random_bytes(random, 20), p);
    to(p);
    rlp::append_u256(integer(12), p);
    rlp::append_u256(integer(12), p);
    rlp::append_u256(integer(4), p);
    rlp::append_u64(random() % 2, p);
    rlp::append_string(input, p);
  } else {
    if (type != 0) rlp::append_u64(random() % 100'000, p);
    rlp::append_u256(integer(4), p);
    if (type >= 2) rlp::append_u256(integer(5), p);
    rlp::append_u256(integer(6), p);
    rlp::append_u256(integer(4), p);
    to(p);
    rlp::append_u256(integer(12), p);
    rlp::append_string(input, p);
    if (type != 0) access_list();
    if (type == 3) {
      rlp::append_u256(integer(8), p);
      Bytes hashes;
      for (std::uint64_t n = random() % 3; n > 0; --n) rlp::append_string(random_bytes(random, 32), hashes);
      rlp::append_list(hashes, p);
    }
    if (type == 4) {
      Bytes list;
      for (std::uint64_t n = random() % 3; n > 0; --n) {
        Bytes entry;
        rlp::append_u64(random() % 1000, entry);
        rlp::append_string(random_bytes(random, 20), entry);
        rlp::append_u64(random() % 1000, entry);
        rlp::append_u64(random() % 2, entry);
        rlp::append_u256(integer(32), entry);
        rlp::append_u256(integer(32), entry);
        rlp::append_list(entry, list);
      }
      rlp::append_list(list, p);
    }
    rlp::append_u64(type == 0 ? 35 + random() % 1000 : random() % 2, p);
    rlp::append_u256(integer(32), p);
    rlp::append_u256(integer(32), p);
  }
  Bytes out;
  if (type != 0) out.push_back(type);
  rlp::append_list(p, out);
  return out;
}

/// The type byte; 0 for a legacy transaction.
inline std::uint8_t type_of(const Bytes& raw) { return raw.at(0) >= 0xc0 ? 0 : raw[0]; }

/// The JSON object of eth_getBlockByNumber(.., true) for a raw transaction of kTransactionTypes or kUnknownType, with
/// the fields that nodes add.
inline std::string transaction_json(const Bytes& raw) {
  const std::uint8_t type = type_of(raw);
  std::string out =
      absl::StrCat(R"({"blockHash":")", to_hex(Hash32{}.view()), R"(","blockNumber":"0x10","type":")",
                   to_quantity(type), R"(","hash":")", to_hex(keccak256(raw).view()), R"(","transactionIndex":"0x0")");
  const auto data = [&](const char* key, BytesView v) { absl::StrAppend(&out, ",\"", key, "\":\"", to_hex(v), "\""); };
  const auto quantity = [&](const char* key, const Uint256& v) {
    absl::StrAppend(&out, ",\"", key, "\":\"", to_quantity(v), "\"");
  };
  const auto nothing = [&](const char* key) { absl::StrAppend(&out, ",\"", key, "\":null"); };
  const auto to = [&](BytesView v) { v.empty() ? nothing("to") : data("to", v); };
  if (type == kUnknownType) return out + R"(,"from":null,"feeToken":"0x01"})";
  if (type == 0x7d) {
    data("input", BytesView{raw}.subspan(1));
    return out + "}";
  }
  rlp::Reader outer{BytesView{raw}.subspan(type == 0 ? 0 : 1)};
  rlp::Reader r = *outer.list();
  if (type == 0x7e) {
    data("sourceHash", *r.string());
    data("from", *r.string());
    to(*r.string());
    const Uint256 mint = *r.u256();
    if (!mint.is_zero()) quantity("mint", mint);
    quantity("value", *r.u256());
    quantity("gas", *r.u256());
    if (*r.u64() == 1) out += R"(,"isSystemTx":true)";
    data("input", *r.string());
    out +=
        R"(,"nonce":"0x7","gasPrice":"0x0","v":"0x0","r":"0x0","s":"0x0","yParity":"0x0","depositReceiptVersion":"0x1")";
    return out + "}";
  }
  data("from", Address{}.view());
  if (type != 0) quantity("chainId", *r.u256());
  quantity("nonce", *r.u256());
  if (type >= 2) {
    quantity("maxPriorityFeePerGas", *r.u256());
    quantity("maxFeePerGas", *r.u256());
    out += R"(,"gasPrice":"0x77359400")";  // the effective price, which is not part of the transaction
  } else {
    quantity("gasPrice", *r.u256());
  }
  quantity("gas", *r.u256());
  to(*r.string());
  quantity("value", *r.u256());
  data("input", *r.string());
  const auto strings = [&](const char* key, rlp::Reader list) {
    absl::StrAppend(&out, "\"", key, "\":[");
    for (bool first = true; !list.empty(); first = false)
      absl::StrAppend(&out, first ? "\"" : ",\"", to_hex(*list.string()), "\"");
    out += "]";
  };
  if (type != 0) {
    out += R"(,"accessList":[)";
    rlp::Reader list = *r.list();
    for (bool first = true; !list.empty(); first = false) {
      rlp::Reader entry = *list.list();
      absl::StrAppend(&out, first ? "" : ",", R"({"address":")", to_hex(*entry.string()), "\",");
      strings("storageKeys", *entry.list());
      out += "}";
    }
    out += "]";
  }
  if (type == 3) {
    quantity("maxFeePerBlobGas", *r.u256());
    out += ",";
    strings("blobVersionedHashes", *r.list());
  }
  if (type == 4) {
    out += R"(,"authorizationList":[)";
    rlp::Reader list = *r.list();
    for (bool first = true; !list.empty(); first = false) {
      rlp::Reader e = *list.list();
      const std::string chain = to_quantity(*e.u256());
      const std::string address = to_hex(*e.string());
      const std::string nonce = to_quantity(*e.u256());
      const std::string parity = to_quantity(*e.u256());
      const std::string er = to_quantity(*e.u256());
      absl::StrAppend(&out, first ? "" : ",", R"({"chainId":")", chain, R"(","address":")", address, R"(","nonce":")",
                      nonce, R"(","yParity":")", parity, R"(","r":")", er, R"(","s":")", to_quantity(*e.u256()),
                      R"("})");
    }
    out += "]";
  }
  const Uint256 v = *r.u256();
  quantity("v", v);
  if (type != 0) quantity("yParity", v);
  quantity("r", *r.u256());
  quantity("s", *r.u256());
  return out + "}";
}

/// The header's fields without braces.
inline std::string header_fields_json(const eth::Header& h, const Hash32& hash) {
  std::string out = absl::StrCat("\"hash\":\"", to_hex(hash.view()), "\"");
  const auto data = [&](const char* key, BytesView v) { absl::StrAppend(&out, ",\"", key, "\":\"", to_hex(v), "\""); };
  const auto number = [&](const char* key, std::uint64_t n) {
    absl::StrAppend(&out, ",\"", key, "\":\"", to_quantity(n), "\"");
  };
  const auto number256 = [&](const char* key, const Uint256& n) {
    absl::StrAppend(&out, ",\"", key, "\":\"", to_quantity(n), "\"");
  };
  data("parentHash", h.parent_hash.view());
  data("sha3Uncles", h.sha3_uncles.view());
  data("miner", h.miner.view());
  data("stateRoot", h.state_root.view());
  data("transactionsRoot", h.transactions_root.view());
  data("receiptsRoot", h.receipts_root.view());
  data("logsBloom", h.logs_bloom.view());
  number256("difficulty", h.difficulty);
  number("number", h.number);
  number("gasLimit", h.gas_limit);
  number("gasUsed", h.gas_used);
  number("timestamp", h.timestamp);
  data("extraData", h.extra_data);
  data("mixHash", h.mix_hash.view());
  data("nonce", h.nonce.view());
  if (h.base_fee_per_gas) number256("baseFeePerGas", *h.base_fee_per_gas);
  if (h.withdrawals_root) data("withdrawalsRoot", h.withdrawals_root->view());
  if (h.blob_gas_used) number("blobGasUsed", *h.blob_gas_used);
  if (h.excess_blob_gas) number("excessBlobGas", *h.excess_blob_gas);
  if (h.parent_beacon_block_root) data("parentBeaconBlockRoot", h.parent_beacon_block_root->view());
  if (h.requests_hash) data("requestsHash", h.requests_hash->view());
  if (h.block_access_list_hash) data("blockAccessListHash", h.block_access_list_hash->view());
  if (h.slot_number) number("slotNumber", *h.slot_number);
  return out;
}

/// The result of eth_getBlockByNumber(.., true).
inline std::string block_json(const eth::Header& h, const Hash32& hash, const std::vector<Bytes>& transactions) {
  std::string out = absl::StrCat("{", header_fields_json(h, hash), R"(,"size":"0x1000","uncles":[])");
  if (h.withdrawals_root) out += R"(,"withdrawals":[])";
  out += R"(,"transactions":[)";
  for (std::size_t i = 0; i < transactions.size(); ++i)
    absl::StrAppend(&out, i == 0 ? "" : ",", transaction_json(transactions[i]));
  return out + "]}";
}

struct SampleBlock {
  eth::Header header;
  Hash32 hash;
  std::vector<Bytes> transactions;
};

/// A Jovian-shaped block of `count` fee market transactions with inputs of `input_size` bytes; header, roots and hash
/// are right.
inline SampleBlock sample_block(std::uint64_t seed, std::size_t count, std::size_t input_size) {
  Random random{seed};
  SampleBlock b;
  for (std::size_t i = 0; i < count; ++i) b.transactions.push_back(random_transaction(random, 0x02, input_size));
  eth::Header& h = b.header;
  h.parent_hash = random_fixed<32>(random);
  h.sha3_uncles = eth::kEmptyUncles;
  h.miner = random_fixed<20>(random);
  h.state_root = random_fixed<32>(random);
  h.transactions_root = trie::ordered_root(b.transactions);
  h.receipts_root = random_fixed<32>(random);
  h.logs_bloom = random_fixed<256>(random);
  h.number = 38'000'000;
  h.gas_limit = 400'000'000;
  h.gas_used = 37'000'000;
  h.timestamp = 1'764'700'000;
  h.extra_data = random_bytes(random, 17);
  h.mix_hash = random_fixed<32>(random);
  h.base_fee_per_gas = Uint256{};
  h.base_fee_per_gas->bytes[28] = 0x01;
  h.withdrawals_root = random_fixed<32>(random);
  h.blob_gas_used = 4'919'000;
  h.excess_blob_gas = 0;
  h.parent_beacon_block_root = random_fixed<32>(random);
  h.requests_hash = eth::kEmptyRequests;
  b.hash = eth::hash_header(h);
  return b;
}

}  // namespace towline::testing
