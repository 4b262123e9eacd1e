#include "libs/eth/header.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::eth {

std::string to_string(const BlockId& b) { return absl::StrCat(b.number, " (", short_hex(b.hash.view()), ")"); }

Bytes encode_header(const Header& h) {
  Bytes p;
  p.reserve(700);
  rlp::append_string(h.parent_hash.view(), p);
  rlp::append_string(h.sha3_uncles.view(), p);
  rlp::append_string(h.miner.view(), p);
  rlp::append_string(h.state_root.view(), p);
  rlp::append_string(h.transactions_root.view(), p);
  rlp::append_string(h.receipts_root.view(), p);
  rlp::append_string(h.logs_bloom.view(), p);
  rlp::append_u256(h.difficulty, p);
  rlp::append_u64(h.number, p);
  rlp::append_u64(h.gas_limit, p);
  rlp::append_u64(h.gas_used, p);
  rlp::append_u64(h.timestamp, p);
  rlp::append_string(h.extra_data, p);
  rlp::append_string(h.mix_hash.view(), p);
  rlp::append_string(h.nonce.view(), p);
  if (h.base_fee_per_gas) rlp::append_u256(*h.base_fee_per_gas, p);
  if (h.withdrawals_root) rlp::append_string(h.withdrawals_root->view(), p);
  if (h.blob_gas_used) rlp::append_u64(*h.blob_gas_used, p);
  if (h.excess_blob_gas) rlp::append_u64(*h.excess_blob_gas, p);
  if (h.parent_beacon_block_root) rlp::append_string(h.parent_beacon_block_root->view(), p);
  if (h.requests_hash) rlp::append_string(h.requests_hash->view(), p);
  if (h.block_access_list_hash) rlp::append_string(h.block_access_list_hash->view(), p);
  if (h.slot_number) rlp::append_u64(*h.slot_number, p);
  Bytes out;
  out.reserve(p.size() + 3);
  rlp::append_list(p, out);
  return out;
}

Hash32 hash_header(const Header& h) { return keccak256(encode_header(h)); }

absl::StatusOr<Header> decode_header(BytesView in) {
  rlp::Reader outer{in};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  Header h;
  TOWLINE_ASSIGN_OR_RETURN(h.parent_hash, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.sha3_uncles, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.miner, r.fixed<20>());
  TOWLINE_ASSIGN_OR_RETURN(h.state_root, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.transactions_root, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.receipts_root, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.logs_bloom, r.fixed<256>());
  TOWLINE_ASSIGN_OR_RETURN(h.difficulty, r.u256());
  TOWLINE_ASSIGN_OR_RETURN(h.number, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(h.gas_limit, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(h.gas_used, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(h.timestamp, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(BytesView extra, r.string());
  h.extra_data.assign(extra.begin(), extra.end());
  TOWLINE_ASSIGN_OR_RETURN(h.mix_hash, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.nonce, r.fixed<8>());
  if (r.empty()) return h;
  TOWLINE_ASSIGN_OR_RETURN(h.base_fee_per_gas, r.u256());
  if (r.empty()) return h;
  TOWLINE_ASSIGN_OR_RETURN(h.withdrawals_root, r.fixed<32>());
  if (r.empty()) return h;
  TOWLINE_ASSIGN_OR_RETURN(h.blob_gas_used, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(h.excess_blob_gas, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(h.parent_beacon_block_root, r.fixed<32>());
  if (r.empty()) return h;
  TOWLINE_ASSIGN_OR_RETURN(h.requests_hash, r.fixed<32>());
  if (r.empty()) return h;
  TOWLINE_ASSIGN_OR_RETURN(h.block_access_list_hash, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(h.slot_number, r.u64());
  TOWLINE_RETURN_IF_ERROR(r.finish());
  return h;
}

}  // namespace towline::eth
