#include "libs/eth/payload.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/header.hpp"
#include "libs/trie/ordered_root.hpp"

namespace towline::eth {

Header header_of(const Payload& p) {
  Header h;
  h.parent_hash = p.parent_hash;
  h.sha3_uncles = kEmptyUncles;
  h.miner = p.fee_recipient;
  h.state_root = p.state_root;
  h.transactions_root = trie::ordered_root(p.transactions);
  h.receipts_root = p.receipts_root;
  h.logs_bloom = p.logs_bloom;
  h.number = p.number;
  h.gas_limit = p.gas_limit;
  h.gas_used = p.gas_used;
  h.timestamp = p.timestamp;
  h.extra_data = p.extra_data;
  h.mix_hash = p.prev_randao;
  h.base_fee_per_gas = p.base_fee_per_gas;
  if (p.withdrawals_root) {
    h.withdrawals_root = p.withdrawals_root;
    h.requests_hash = kEmptyRequests;
  } else if (p.has_withdrawals) {
    h.withdrawals_root = trie::kEmptyRoot;
  }
  h.blob_gas_used = p.blob_gas_used;
  h.excess_blob_gas = p.excess_blob_gas;
  h.parent_beacon_block_root = p.parent_beacon_block_root;
  if (p.block_access_list) h.block_access_list_hash = keccak256(*p.block_access_list);
  h.slot_number = p.slot_number;
  return h;
}

Hash32 hash_of(const Payload& p) { return hash_header(header_of(p)); }

Payload make_payload(const Header& h, const Hash32& hash, std::vector<Bytes> transactions) {
  Payload p;
  p.parent_hash = h.parent_hash;
  p.fee_recipient = h.miner;
  p.state_root = h.state_root;
  p.receipts_root = h.receipts_root;
  p.logs_bloom = h.logs_bloom;
  p.prev_randao = h.mix_hash;
  p.number = h.number;
  p.gas_limit = h.gas_limit;
  p.gas_used = h.gas_used;
  p.timestamp = h.timestamp;
  p.extra_data = h.extra_data;
  p.base_fee_per_gas = h.base_fee_per_gas.value_or(Uint256{});
  p.block_hash = hash;
  p.transactions = std::move(transactions);
  p.has_withdrawals = h.withdrawals_root.has_value();
  p.blob_gas_used = h.blob_gas_used;
  p.excess_blob_gas = h.excess_blob_gas;
  p.parent_beacon_block_root = h.parent_beacon_block_root;
  // Before Isthmus the root is that of an empty list and is no field of the payload.
  if (h.requests_hash) p.withdrawals_root = h.withdrawals_root;
  // The header has only the hash of the access list; callers that need the list add it.
  p.slot_number = h.slot_number;
  return p;
}

absl::Status verify_header(const Header& h, const Hash32& expected_hash) {
  // A missing field before a present one would shift the encoding: the hash could match although the fields are wrong.
  const struct {
    const char* field;
    bool present;
  } trailing[] = {{"baseFeePerGas", h.base_fee_per_gas.has_value()},
                  {"withdrawalsRoot", h.withdrawals_root.has_value()},
                  {"blobGasUsed", h.blob_gas_used.has_value()},
                  {"excessBlobGas", h.excess_blob_gas.has_value()},
                  {"parentBeaconBlockRoot", h.parent_beacon_block_root.has_value()},
                  {"requestsHash", h.requests_hash.has_value()},
                  {"blockAccessListHash", h.block_access_list_hash.has_value()},
                  {"slotNumber", h.slot_number.has_value()}};
  const char* absent = nullptr;
  for (const auto& t : trailing) {
    if (t.present && absent != nullptr) {
      return absl::DataLossError(absl::StrCat(absent, ": absent in block ", h.number, ", which has ", t.field));
    }
    if (!t.present && absent == nullptr) absent = t.field;
  }
  // Cancun's three fields come together.
  if (h.blob_gas_used && !h.parent_beacon_block_root) {
    return absl::DataLossError(absl::StrCat(absent, ": absent in block ", h.number, ", which has blobGasUsed"));
  }
  // So do Amsterdam's two.
  if (h.block_access_list_hash && !h.slot_number) {
    return absl::DataLossError(absl::StrCat(absent, ": absent in block ", h.number, ", which has blockAccessListHash"));
  }
  const Hash32 hash = hash_header(h);
  if (hash != expected_hash) {
    return absl::DataLossError(absl::StrCat("hash: header ", h.number, " hashes to ", to_hex(hash.view()), ", not to ",
                                            to_hex(expected_hash.view())));
  }
  const auto fails = [&](const char* field, const char* rule) {
    return absl::DataLossError(absl::StrCat(field, ": ", rule, " in block ", h.number));
  };
  if (h.sha3_uncles != kEmptyUncles) return fails("sha3Uncles", "must be the hash of an empty list");
  if (!h.difficulty.is_zero()) return fails("difficulty", "must be 0");
  if (!h.nonce.is_zero()) return fails("nonce", "must be 0");
  if (h.extra_data.size() > 32) return fails("extraData", "must have at most 32 bytes");
  if (!h.base_fee_per_gas) return fails("baseFeePerGas", "must be present");
  if (h.requests_hash && *h.requests_hash != kEmptyRequests)
    return fails("requestsHash", "must be that of an empty list");
  if (h.withdrawals_root && !h.requests_hash && *h.withdrawals_root != trie::kEmptyRoot) {
    return fails("withdrawalsRoot", "must be that of an empty list before Isthmus");
  }
  return absl::OkStatus();
}

absl::Status verify_body(const Header& h, std::span<const Bytes> transactions) {
  const Hash32 root = trie::ordered_root(transactions);
  if (root != h.transactions_root) {
    return absl::DataLossError(absl::StrCat("transactionsRoot: the ", transactions.size(), " transactions of block ",
                                            h.number, " have root ", to_hex(root.view()), ", not ",
                                            to_hex(h.transactions_root.view())));
  }
  return absl::OkStatus();
}

}  // namespace towline::eth
