#include "libs/eth/engine_json.hpp"

#include "libs/base/hex.hpp"

namespace towline::eth {
namespace {

void append_data(BytesView v, std::string& out) {
  out += "\"0x";
  append_hex_digits(v, out);
  out += '"';
}

void data_field(const char* key, BytesView v, std::string& out) {
  out += key;
  append_data(v, out);
}

void quantity_field(const char* key, std::uint64_t n, std::string& out) {
  out += key;
  out += '"';
  out += to_quantity(n);
  out += '"';
}

}  // namespace

int new_payload_version_by_shape(const Payload& p) {
  if (p.slot_number) return 5;
  if (p.withdrawals_root) return 4;
  return p.parent_beacon_block_root ? 3 : 2;
}

void append_new_payload_params(const Payload& p, int version, std::string& out) {
  std::size_t tx_bytes = 0;
  for (const auto& tx : p.transactions) tx_bytes += tx.size() * 2 + 5;
  out.reserve(out.size() + tx_bytes + 2048);
  data_field("[{\"parentHash\":", p.parent_hash.view(), out);
  data_field(",\"feeRecipient\":", p.fee_recipient.view(), out);
  data_field(",\"stateRoot\":", p.state_root.view(), out);
  data_field(",\"receiptsRoot\":", p.receipts_root.view(), out);
  data_field(",\"logsBloom\":", p.logs_bloom.view(), out);
  data_field(",\"prevRandao\":", p.prev_randao.view(), out);
  quantity_field(",\"blockNumber\":", p.number, out);
  quantity_field(",\"gasLimit\":", p.gas_limit, out);
  quantity_field(",\"gasUsed\":", p.gas_used, out);
  quantity_field(",\"timestamp\":", p.timestamp, out);
  data_field(",\"extraData\":", p.extra_data, out);
  out += ",\"baseFeePerGas\":\"";
  out += to_quantity(p.base_fee_per_gas);
  data_field("\",\"blockHash\":", p.block_hash.view(), out);
  out += ",\"transactions\":[";
  bool first = true;
  for (const auto& tx : p.transactions) {
    if (!first) out += ',';
    first = false;
    append_data(tx, out);
  }
  out += ']';
  if (p.has_withdrawals) out += ",\"withdrawals\":[]";
  if (p.blob_gas_used) quantity_field(",\"blobGasUsed\":", *p.blob_gas_used, out);
  if (p.excess_blob_gas) quantity_field(",\"excessBlobGas\":", *p.excess_blob_gas, out);
  if (p.withdrawals_root) data_field(",\"withdrawalsRoot\":", p.withdrawals_root->view(), out);
  if (p.block_access_list) data_field(",\"blockAccessList\":", *p.block_access_list, out);
  if (p.slot_number) quantity_field(",\"slotNumber\":", *p.slot_number, out);
  out += '}';
  if (version >= 3) {
    // no blobs on OP Stack, hence no versioned hashes
    out += ",[],";
    append_data(p.parent_beacon_block_root.value_or(Hash32{}).view(), out);
  }
  if (version >= 4) out += ",[]";
  out += ']';
}

void append_forkchoice_params(const Hash32& head, const Hash32& safe, const Hash32& finalized, std::string& out,
                              const std::string& attributes) {
  data_field("[{\"headBlockHash\":", head.view(), out);
  data_field(",\"safeBlockHash\":", safe.view(), out);
  data_field(",\"finalizedBlockHash\":", finalized.view(), out);
  out += "},";
  out += attributes;
  out += ']';
}

}  // namespace towline::eth
