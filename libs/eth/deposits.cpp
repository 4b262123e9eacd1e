#include "libs/eth/deposits.hpp"

#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::eth {
namespace {

constexpr Address kDepositor{{0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad,
                              0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0xde, 0xad, 0x00, 0x01}};
constexpr Address kL1Block{{0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15}};

struct Layout {
  L1InfoLayout layout;
  std::uint32_t selector;
  std::size_t size;
  std::size_t time_at;
  std::size_t sequence_at;
};
constexpr Layout kLayouts[] = {
    {L1InfoLayout::bedrock, 0x015d8eb9, 260, 60, 156},
    {L1InfoLayout::ecotone, 0x440a5e20, 164, 20, 12},
    {L1InfoLayout::isthmus, 0x098999be, 176, 20, 12},
    {L1InfoLayout::jovian, 0x3db6be2b, 178, 20, 12},
};

std::uint64_t u64_at(BytesView data, std::size_t at) { return *ByteReader{data.subspan(at)}.be(8); }

/// keccak(u256(1) ++ keccak(l1Hash ++ u256(sequenceNumber))): domain 1 of the deposit specification.
Hash32 l1_info_source_hash(const Hash32& l1_hash, std::uint64_t sequence_number) {
  std::array<std::uint8_t, 64> inner{};
  std::memcpy(inner.data(), l1_hash.data(), 32);
  for (unsigned i = 0; i < 8; ++i) inner[63 - i] = static_cast<std::uint8_t>(sequence_number >> (8U * i));
  std::array<std::uint8_t, 64> outer{};
  outer[31] = 1;
  const Hash32 h = keccak256(inner);
  std::memcpy(outer.data() + 32, h.data(), 32);
  return keccak256(outer);
}

}  // namespace

const char* name(L1InfoLayout l) {
  switch (l) {
    case L1InfoLayout::bedrock: return "bedrock";
    case L1InfoLayout::ecotone: return "ecotone";
    case L1InfoLayout::isthmus: return "isthmus";
    case L1InfoLayout::jovian: return "jovian";
    case L1InfoLayout::unknown: break;
  }
  return "unknown";
}

absl::StatusOr<Deposit> decode_deposit(BytesView raw) {
  if (raw.empty() || raw[0] != 0x7e) return absl::InvalidArgumentError("not a deposit transaction");
  rlp::Reader outer{raw.subspan(1)};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  Deposit d;
  TOWLINE_ASSIGN_OR_RETURN(d.source_hash, r.fixed<32>());
  TOWLINE_ASSIGN_OR_RETURN(d.from, r.fixed<20>());
  TOWLINE_ASSIGN_OR_RETURN(BytesView to, r.string());
  if (!to.empty()) {
    d.to = Address::from(to);
    if (!d.to) return absl::InvalidArgumentError("deposit: `to` is not an address");
  }
  TOWLINE_ASSIGN_OR_RETURN(d.mint, r.u256());
  TOWLINE_ASSIGN_OR_RETURN(d.value, r.u256());
  TOWLINE_ASSIGN_OR_RETURN(d.gas, r.u64());
  TOWLINE_ASSIGN_OR_RETURN(std::uint64_t is_system, r.u64());
  if (is_system > 1) return absl::InvalidArgumentError("deposit: isSystemTx is not a boolean");
  d.is_system = is_system == 1;
  TOWLINE_ASSIGN_OR_RETURN(BytesView data, r.string());
  d.data.assign(data.begin(), data.end());
  TOWLINE_RETURN_IF_ERROR(r.finish());
  return d;
}

absl::StatusOr<L1Info> decode_l1_info(BytesView first_transaction) {
  TOWLINE_ASSIGN_OR_RETURN(Deposit d, decode_deposit(first_transaction));
  if (d.from != kDepositor || d.to != kL1Block)
    return absl::InvalidArgumentError("the first deposit is not the L1-info deposit");
  // The selector, and the fields that every layout has at the same place.
  if (d.data.size() < 164) return absl::InvalidArgumentError("L1-info deposit: too short");
  const BytesView data = d.data;
  const auto selector = static_cast<std::uint32_t>(*ByteReader{data}.be(4));
  const Layout* layout = nullptr;
  for (const Layout& l : kLayouts) {
    if (l.selector != selector) continue;
    if (l.size != data.size()) return absl::InvalidArgumentError("L1-info deposit: length does not fit its selector");
    layout = &l;
  }
  L1Info info;
  info.layout = layout != nullptr ? layout->layout : L1InfoLayout::unknown;
  info.origin.number = u64_at(data, 28);
  info.origin.hash = *Hash32::from(data.subspan(100, 32));
  info.origin_time = u64_at(data, layout != nullptr ? layout->time_at : 20);
  info.sequence_number = u64_at(data, layout != nullptr ? layout->sequence_at : 12);
  if (l1_info_source_hash(info.origin.hash, info.sequence_number) != d.source_hash) {
    return absl::DataLossError("L1-info deposit: source hash does not match its L1 origin and sequence number");
  }
  return info;
}

}  // namespace towline::eth
