// Blocks from eth_getBlockBy* JSON. Nothing is trusted: verify_header() and verify_body() recompute the hashes, and
// each re-encoded transaction must have the hash that the source claims. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <simdjson.h>

#include <vector>

#include "libs/eth/types.hpp"

namespace towline::eth {

struct JsonHeader {
  Header header;
  Hash32 claimed_hash;
};

/// INVALID_ARGUMENT names the field that is missing or malformed.
absl::StatusOr<JsonHeader> header_from_json(simdjson::dom::element block);

/// Raw transactions from full transaction objects; `withdrawals` must be absent or empty. UNIMPLEMENTED: a transaction
/// of an unknown type, which must be fetched raw. DATA_LOSS: a transaction does not have its claimed hash.
/// INVALID_ARGUMENT: malformed.
absl::StatusOr<std::vector<Bytes>> transactions_from_json(simdjson::dom::element block);

/// The same for a header that is already verified, in half the time: only the transactions root is computed. Single
/// hashes are checked when the root does not match, to name the transaction. The result needs no verify_body().
absl::StatusOr<std::vector<Bytes>> verified_transactions_from_json(simdjson::dom::element block,
                                                                   const Header& verified);

/// One transaction object, re-encoded; errors as above.
absl::StatusOr<Bytes> transaction_from_json(simdjson::dom::element tx);

}  // namespace towline::eth
