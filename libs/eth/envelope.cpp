#include "libs/eth/envelope.hpp"

#include <absl/strings/str_cat.h>

#include "libs/base/status.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::eth {
namespace {

/// Integers have the largest width that a client accepts: a block that any client takes must pass.
enum class Kind { u64, u256, boolean, address, address_or_none, hash, bytes, hashes, access_list, authorizations };

struct Field {
  const char* name;
  Kind kind;
};

constexpr Field kChainId{"chainId", Kind::u256}, kNonce{"nonce", Kind::u64}, kGasPrice{"gasPrice", Kind::u256},
    kTip{"maxPriorityFeePerGas", Kind::u256}, kFee{"maxFeePerGas", Kind::u256}, kGas{"gas", Kind::u64},
    kTo{"to", Kind::address_or_none}, kToAddress{"to", Kind::address}, kValue{"value", Kind::u256},
    kInput{"input", Kind::bytes}, kAccessList{"accessList", Kind::access_list}, kV{"v", Kind::u256},
    kR{"r", Kind::u256}, kS{"s", Kind::u256};

constexpr Field kLegacy[] = {kNonce, kGasPrice, kGas, kTo, kValue, kInput, kV, kR, kS};
constexpr Field kAccessListTx[] = {kChainId, kNonce, kGasPrice, kGas, kTo, kValue, kInput, kAccessList, kV, kR, kS};
constexpr Field kDynamicFee[] = {kChainId, kNonce, kTip, kFee, kGas, kTo, kValue, kInput, kAccessList, kV, kR, kS};
constexpr Field kBlob[] = {kChainId,
                           kNonce,
                           kTip,
                           kFee,
                           kGas,
                           kToAddress,
                           kValue,
                           kInput,
                           kAccessList,
                           {"maxFeePerBlobGas", Kind::u256},
                           {"blobVersionedHashes", Kind::hashes},
                           kV,
                           kR,
                           kS};
constexpr Field kSetCode[] = {kChainId,   kNonce, kTip,   kFee,        kGas,
                              kToAddress, kValue, kInput, kAccessList, {"authorizationList", Kind::authorizations},
                              kV,         kR,     kS};
constexpr Field kAuthorization[] = {kChainId, {"address", Kind::address}, kNonce, kV, kR, kS};
constexpr Field kDeposit[] = {{"sourceHash", Kind::hash},
                              {"from", Kind::address},
                              kTo,
                              {"mint", Kind::u256},
                              kValue,
                              kGas,
                              {"isSystemTx", Kind::boolean},
                              kInput};

std::span<const Field> fields_of(std::uint8_t type) {
  switch (type) {
    case 0x01: return kAccessListTx;
    case 0x02: return kDynamicFee;
    case 0x03: return kBlob;
    case 0x04: return kSetCode;
    case 0x7e: return kDeposit;
    default: return {};
  }
}

absl::Status bad(const char* why) { return absl::InvalidArgumentError(why); }

absl::Status read_fields(rlp::Reader r, std::span<const Field> fields);

absl::Status integer(rlp::Reader& r, std::size_t most) {
  TOWLINE_ASSIGN_OR_RETURN(const BytesView s, r.string());
  if (s.size() > most) return bad("integer too large");
  if (!s.empty() && s[0] == 0) return bad("integer with leading zero");
  return absl::OkStatus();
}

absl::Status fixed(rlp::Reader& r, std::size_t size, bool or_empty = false) {
  TOWLINE_ASSIGN_OR_RETURN(const BytesView s, r.string());
  return s.size() == size || (or_empty && s.empty()) ? absl::OkStatus() : bad("wrong length");
}

absl::Status hashes(rlp::Reader& r) {
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader list, r.list());
  while (!list.empty()) TOWLINE_RETURN_IF_ERROR(fixed(list, 32));
  return absl::OkStatus();
}

absl::Status read_field(rlp::Reader& r, Kind kind) {
  switch (kind) {
    case Kind::u64: return integer(r, 8);
    case Kind::u256: return integer(r, 32);
    case Kind::boolean: {
      TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t n, r.u64());
      return n <= 1 ? absl::OkStatus() : bad("not a boolean");
    }
    case Kind::address: return fixed(r, 20);
    case Kind::address_or_none: return fixed(r, 20, true);
    case Kind::hash: return fixed(r, 32);
    case Kind::bytes: return r.string().status();
    case Kind::hashes: return hashes(r);
    case Kind::access_list: {
      TOWLINE_ASSIGN_OR_RETURN(rlp::Reader list, r.list());
      while (!list.empty()) {
        TOWLINE_ASSIGN_OR_RETURN(rlp::Reader entry, list.list());
        TOWLINE_RETURN_IF_ERROR(fixed(entry, 20));
        TOWLINE_RETURN_IF_ERROR(hashes(entry));
        TOWLINE_RETURN_IF_ERROR(entry.finish());
      }
      return absl::OkStatus();
    }
    case Kind::authorizations: {
      TOWLINE_ASSIGN_OR_RETURN(rlp::Reader list, r.list());
      while (!list.empty()) {
        TOWLINE_ASSIGN_OR_RETURN(const rlp::Reader one, list.list());
        TOWLINE_RETURN_IF_ERROR(read_fields(one, kAuthorization));
      }
      return absl::OkStatus();
    }
  }
  return bad("unknown field");
}

absl::Status read_fields(rlp::Reader r, std::span<const Field> fields) {
  for (const Field& f : fields)
    if (const auto st = read_field(r, f.kind); !st.ok())
      return absl::InvalidArgumentError(absl::StrCat(f.name, ": ", st.message()));
  return r.empty() ? absl::OkStatus() : bad("more fields than it has");
}

/// `raw` is one list of these fields, and nothing follows it.
absl::Status read_list(BytesView raw, std::span<const Field> fields) {
  rlp::Reader outer{raw};
  TOWLINE_ASSIGN_OR_RETURN(const rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  return read_fields(r, fields);
}

std::string hex_byte(std::uint8_t b) { return absl::StrCat("0x", absl::Hex(b, absl::kZeroPad2)); }

}  // namespace

absl::Status check_envelope(BytesView raw) {
  if (raw.empty()) return bad("it is empty");
  const std::uint8_t first = raw[0];
  if (first >= 0xc0) {
    const auto st = read_list(raw, kLegacy);
    return st.ok() ? st : absl::InvalidArgumentError(absl::StrCat("no legacy transaction: ", st.message()));
  }
  if (first == 0 || first >= 0x80)
    return absl::InvalidArgumentError(absl::StrCat("it begins with ", hex_byte(first), ", which is no type"));
  if (raw.size() == 1) return absl::InvalidArgumentError(absl::StrCat("type ", hex_byte(first), " without a body"));
  const auto fields = fields_of(first);
  if (fields.empty()) return absl::OkStatus();
  const auto st = read_list(raw.subspan(1), fields);
  return st.ok() ? st : absl::InvalidArgumentError(absl::StrCat("type ", hex_byte(first), ": ", st.message()));
}

absl::Status check_envelopes(std::span<const Bytes> transactions) {
  for (std::size_t i = 0; i < transactions.size(); ++i)
    if (const auto st = check_envelope(transactions[i]); !st.ok())
      return absl::InvalidArgumentError(absl::StrCat("transaction ", i, " is no envelope: ", st.message()));
  return absl::OkStatus();
}

}  // namespace towline::eth
