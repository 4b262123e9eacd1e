#include "libs/wire/convert.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/status.hpp"

namespace towline::wire {
namespace {

template <std::size_t N>
absl::Status read(const std::string& bytes, const char* field, FixedBytes<N>& out) {
  auto v = FixedBytes<N>::from(as_bytes(bytes));
  if (!v) return absl::InvalidArgumentError(absl::StrCat(field, ": ", bytes.size(), " bytes, not ", N));
  out = *v;
  return absl::OkStatus();
}

}  // namespace

v1::BlockId to_proto(const eth::BlockId& b) {
  v1::BlockId out;
  out.set_number(b.number);
  out.set_hash(to_string(b.hash.view()));
  return out;
}

v1::BlockRef to_proto(const eth::BlockRef& b) {
  v1::BlockRef out;
  out.set_number(b.number);
  out.set_hash(to_string(b.hash.view()));
  out.set_parent_hash(to_string(b.parent_hash.view()));
  out.set_timestamp(b.timestamp);
  return out;
}

v1::ExecutionPayload to_proto(const eth::Payload& p) {
  v1::ExecutionPayload out;
  out.set_parent_hash(to_string(p.parent_hash.view()));
  out.set_fee_recipient(to_string(p.fee_recipient.view()));
  out.set_state_root(to_string(p.state_root.view()));
  out.set_receipts_root(to_string(p.receipts_root.view()));
  out.set_logs_bloom(to_string(p.logs_bloom.view()));
  out.set_prev_randao(to_string(p.prev_randao.view()));
  out.set_block_number(p.number);
  out.set_gas_limit(p.gas_limit);
  out.set_gas_used(p.gas_used);
  out.set_timestamp(p.timestamp);
  out.set_extra_data(to_string(p.extra_data));
  out.set_base_fee_per_gas(to_string(p.base_fee_per_gas.view()));
  out.set_block_hash(to_string(p.block_hash.view()));
  for (const auto& tx : p.transactions) out.add_transactions(tx.data(), tx.size());
  out.set_has_withdrawals(p.has_withdrawals);
  if (p.blob_gas_used) out.set_blob_gas_used(*p.blob_gas_used);
  if (p.excess_blob_gas) out.set_excess_blob_gas(*p.excess_blob_gas);
  if (p.parent_beacon_block_root) out.set_parent_beacon_block_root(to_string(p.parent_beacon_block_root->view()));
  if (p.withdrawals_root) out.set_withdrawals_root(to_string(p.withdrawals_root->view()));
  if (p.block_access_list) out.set_block_access_list(to_string(*p.block_access_list));
  if (p.slot_number) out.set_slot_number(*p.slot_number);
  return out;
}

absl::StatusOr<Hash32> hash_from(const std::string& bytes, const char* field) {
  Hash32 out;
  TOWLINE_RETURN_IF_ERROR(read(bytes, field, out));
  return out;
}

absl::StatusOr<eth::BlockId> from_proto(const v1::BlockId& b) {
  eth::BlockId out{b.number(), {}};
  TOWLINE_RETURN_IF_ERROR(read(b.hash(), "hash", out.hash));
  return out;
}

absl::StatusOr<eth::BlockRef> from_proto(const v1::BlockRef& b) {
  eth::BlockRef out{b.number(), {}, {}, b.timestamp()};
  TOWLINE_RETURN_IF_ERROR(read(b.hash(), "hash", out.hash));
  TOWLINE_RETURN_IF_ERROR(read(b.parent_hash(), "parent_hash", out.parent_hash));
  return out;
}

absl::StatusOr<eth::Payload> from_proto(const v1::ExecutionPayload& p) {
  eth::Payload out;
  TOWLINE_RETURN_IF_ERROR(read(p.parent_hash(), "parent_hash", out.parent_hash));
  TOWLINE_RETURN_IF_ERROR(read(p.fee_recipient(), "fee_recipient", out.fee_recipient));
  TOWLINE_RETURN_IF_ERROR(read(p.state_root(), "state_root", out.state_root));
  TOWLINE_RETURN_IF_ERROR(read(p.receipts_root(), "receipts_root", out.receipts_root));
  TOWLINE_RETURN_IF_ERROR(read(p.logs_bloom(), "logs_bloom", out.logs_bloom));
  TOWLINE_RETURN_IF_ERROR(read(p.prev_randao(), "prev_randao", out.prev_randao));
  TOWLINE_RETURN_IF_ERROR(read(p.base_fee_per_gas(), "base_fee_per_gas", out.base_fee_per_gas));
  TOWLINE_RETURN_IF_ERROR(read(p.block_hash(), "block_hash", out.block_hash));
  out.number = p.block_number();
  out.gas_limit = p.gas_limit();
  out.gas_used = p.gas_used();
  out.timestamp = p.timestamp();
  const BytesView extra = as_bytes(p.extra_data());
  out.extra_data.assign(extra.begin(), extra.end());
  out.transactions.reserve(static_cast<std::size_t>(p.transactions_size()));
  for (const auto& tx : p.transactions()) {
    const BytesView raw = as_bytes(tx);
    out.transactions.emplace_back(raw.begin(), raw.end());
  }
  out.has_withdrawals = p.has_withdrawals();
  if (p.has_blob_gas_used()) out.blob_gas_used = p.blob_gas_used();
  if (p.has_excess_blob_gas()) out.excess_blob_gas = p.excess_blob_gas();
  if (p.has_parent_beacon_block_root()) {
    TOWLINE_RETURN_IF_ERROR(
        read(p.parent_beacon_block_root(), "parent_beacon_block_root", out.parent_beacon_block_root.emplace()));
  }
  if (p.has_withdrawals_root()) {
    TOWLINE_RETURN_IF_ERROR(read(p.withdrawals_root(), "withdrawals_root", out.withdrawals_root.emplace()));
  }
  if (p.has_block_access_list()) {
    const BytesView list = as_bytes(p.block_access_list());
    out.block_access_list.emplace(list.begin(), list.end());
  }
  if (p.has_slot_number()) out.slot_number = p.slot_number();
  return out;
}

std::uint64_t to_millis(absl::Time t) {
  return t == absl::InfinitePast() ? 0 : static_cast<std::uint64_t>(absl::ToUnixMillis(t));
}
absl::Time from_millis(std::uint64_t ms) {
  return ms == 0 ? absl::InfinitePast() : absl::FromUnixMillis(static_cast<std::int64_t>(ms));
}

grpc::Status to_grpc(const absl::Status& s) {
  return {static_cast<grpc::StatusCode>(s.raw_code()), std::string{s.message()}};
}

absl::Status from_grpc(const grpc::Status& s) {
  return {static_cast<absl::StatusCode>(s.error_code()), s.error_message()};
}

}  // namespace towline::wire
