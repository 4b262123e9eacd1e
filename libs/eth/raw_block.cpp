#include "libs/eth/raw_block.hpp"

#include "libs/base/status.hpp"
#include "libs/eth/header.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::eth {

absl::StatusOr<RawBlock> decode_raw_block(BytesView in) {
  rlp::Reader outer{in};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  RawBlock out;
  TOWLINE_ASSIGN_OR_RETURN(rlp::Item header, r.next());
  TOWLINE_ASSIGN_OR_RETURN(out.header, decode_header(header.encoding));
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader txs, r.list());
  while (!txs.empty()) {
    TOWLINE_ASSIGN_OR_RETURN(rlp::Item tx, txs.next());
    // Typed transactions are strings inside the list, legacy ones are lists.
    const BytesView raw = tx.kind == rlp::Kind::string ? tx.payload : tx.encoding;
    if (raw.empty()) return absl::InvalidArgumentError("transactions: an empty one");
    // EIP-2718: types are below 0x80, or a legacy transaction would have two encodings.
    if (tx.kind == rlp::Kind::string && raw[0] > 0x7f)
      return absl::InvalidArgumentError("transactions: not a transaction type");
    out.transactions.emplace_back(raw.begin(), raw.end());
  }
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader uncles, r.list());
  TOWLINE_RETURN_IF_ERROR(uncles.finish());
  if (!r.empty()) {
    TOWLINE_ASSIGN_OR_RETURN(rlp::Reader withdrawals, r.list());
    TOWLINE_RETURN_IF_ERROR(withdrawals.finish());
  }
  TOWLINE_RETURN_IF_ERROR(r.finish());
  return out;
}

Bytes encode_raw_block(const Header& h, std::span<const Bytes> transactions) {
  Bytes txs;
  for (const Bytes& tx : transactions) {
    // Typed transactions are strings inside the list, legacy ones are lists.
    if (!tx.empty() && tx[0] >= 0xc0) {
      txs.insert(txs.end(), tx.begin(), tx.end());
    } else {
      rlp::append_string(tx, txs);
    }
  }
  Bytes body = encode_header(h);
  rlp::append_list(txs, body);
  rlp::append_list({}, body);
  if (h.withdrawals_root) rlp::append_list({}, body);
  Bytes out;
  rlp::append_list(body, out);
  return out;
}

}  // namespace towline::eth
