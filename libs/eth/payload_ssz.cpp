#include "libs/eth/payload_ssz.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::eth {
namespace {

constexpr std::size_t kMaxExtraData = 32;
constexpr std::size_t kMaxTransactions = 1U << 20U;
constexpr std::size_t kWithdrawalSize = 44, kMaxWithdrawals = 16;

std::size_t fixed_size(PayloadVersion v) {
  switch (v) {
    case PayloadVersion::v1: return 508;
    case PayloadVersion::v2: return 512;
    case PayloadVersion::v3: return 528;
    case PayloadVersion::v4: return 560;
  }
  return 0;
}

std::uint64_t little_endian(BytesView v) {
  std::uint64_t n = 0;
  for (std::size_t i = v.size(); i-- > 0;) n = n << 8U | v[i];
  return n;
}

void append_le(std::uint64_t n, std::size_t size, Bytes& out) {
  for (; size > 0; --size, n >>= 8U) out.push_back(static_cast<std::uint8_t>(n));
}

template <std::size_t N>
void append(const FixedBytes<N>& f, Bytes& out) {
  out.insert(out.end(), f.bytes.begin(), f.bytes.end());
}

absl::Status bad_field(absl::string_view field) {
  return absl::InvalidArgumentError(absl::StrCat("ssz: ", field, " does not fit"));
}

absl::Status read_transactions(BytesView in, std::vector<Bytes>& out) {
  if (in.empty()) return absl::OkStatus();
  if (in.size() < 4) return bad_field("transactions");
  const std::uint64_t first = little_endian(in.first(4));
  if (first == 0 || first % 4 != 0 || first > in.size() || first / 4 > kMaxTransactions)
    return bad_field("transactions");
  out.reserve(first / 4);
  for (std::size_t i = 0; i < first / 4; ++i) {
    const std::uint64_t begin = little_endian(in.subspan(4 * i, 4));
    const std::uint64_t end = i + 1 < first / 4 ? little_endian(in.subspan(4 * i + 4, 4)) : in.size();
    if (begin > end || end > in.size() || begin < first) return bad_field("transactions");
    out.emplace_back(in.begin() + static_cast<std::ptrdiff_t>(begin), in.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SszPayload> decode_ssz(PayloadVersion version, BytesView in) {
  const std::size_t fixed = fixed_size(version);
  if (in.size() < fixed) return bad_field("the fixed part");
  ByteReader r{in.first(fixed)};
  SszPayload out;
  Payload& p = out.payload;
  const auto take = [&](auto& field) {
    const BytesView v = *r.take(field.bytes.size());
    std::copy(v.begin(), v.end(), field.bytes.begin());
  };
  const auto number = [&](std::size_t n) { return little_endian(*r.take(n)); };
  take(p.parent_hash);
  take(p.fee_recipient);
  take(p.state_root);
  take(p.receipts_root);
  take(p.logs_bloom);
  take(p.prev_randao);
  p.number = number(8);
  p.gas_limit = number(8);
  p.gas_used = number(8);
  p.timestamp = number(8);
  const std::uint64_t extra_at = number(4);
  take(p.base_fee_per_gas);
  std::reverse(p.base_fee_per_gas.bytes.begin(), p.base_fee_per_gas.bytes.end());
  take(p.block_hash);
  const std::uint64_t transactions_at = number(4);
  std::uint64_t withdrawals_at = in.size();
  p.has_withdrawals = version >= PayloadVersion::v2;
  if (p.has_withdrawals) withdrawals_at = number(4);
  if (version >= PayloadVersion::v3) {
    p.blob_gas_used = number(8);
    p.excess_blob_gas = number(8);
  }
  if (version >= PayloadVersion::v4) take(p.withdrawals_root.emplace());
  if (extra_at != fixed) return bad_field("extraData");
  if (transactions_at < extra_at || transactions_at > in.size() || transactions_at - extra_at > kMaxExtraData)
    return bad_field("extraData");
  if (withdrawals_at < transactions_at || withdrawals_at > in.size()) return bad_field("transactions");
  const auto part = [&](std::uint64_t from, std::uint64_t to) { return in.subspan(from, to - from); };
  const BytesView extra = part(extra_at, transactions_at);
  p.extra_data.assign(extra.begin(), extra.end());
  if (auto st = read_transactions(part(transactions_at, withdrawals_at), p.transactions); !st.ok()) return st;
  const std::uint64_t rest = in.size() - withdrawals_at;
  if (rest % kWithdrawalSize != 0 || rest / kWithdrawalSize > kMaxWithdrawals) return bad_field("withdrawals");
  out.withdrawals = rest / kWithdrawalSize;
  return out;
}

void encode_ssz(PayloadVersion version, const Payload& p, Bytes& out) {
  const std::size_t fixed = fixed_size(version);
  std::size_t transactions = 0;
  for (const auto& t : p.transactions) transactions += 4 + t.size();
  out.reserve(out.size() + fixed + p.extra_data.size() + transactions);
  append(p.parent_hash, out);
  append(p.fee_recipient, out);
  append(p.state_root, out);
  append(p.receipts_root, out);
  append(p.logs_bloom, out);
  append(p.prev_randao, out);
  append_le(p.number, 8, out);
  append_le(p.gas_limit, 8, out);
  append_le(p.gas_used, 8, out);
  append_le(p.timestamp, 8, out);
  append_le(fixed, 4, out);
  out.insert(out.end(), p.base_fee_per_gas.bytes.rbegin(), p.base_fee_per_gas.bytes.rend());
  append(p.block_hash, out);
  append_le(fixed + p.extra_data.size(), 4, out);
  if (version >= PayloadVersion::v2) append_le(fixed + p.extra_data.size() + transactions, 4, out);
  if (version >= PayloadVersion::v3) {
    append_le(p.blob_gas_used.value_or(0), 8, out);
    append_le(p.excess_blob_gas.value_or(0), 8, out);
  }
  if (version >= PayloadVersion::v4) append(p.withdrawals_root.value_or(Hash32{}), out);
  out.insert(out.end(), p.extra_data.begin(), p.extra_data.end());
  std::size_t at = 4 * p.transactions.size();
  for (const auto& t : p.transactions) {
    append_le(at, 4, out);
    at += t.size();
  }
  for (const auto& t : p.transactions) out.insert(out.end(), t.begin(), t.end());
}

}  // namespace towline::eth
