// Snapshots of remote heads: read from one answer, and checked. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/contract/heads.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/core/problem.hpp"

namespace towline::fetcher {

/// From the answers to eth_getBlockByNumber of latest, safe and finalized. Hashes are recomputed.
absl::StatusOr<contract::HeadSnapshot> snapshot_from_el(const jsonrpc::Answer& latest, const jsonrpc::Answer& safe,
                                                        const jsonrpc::Answer& finalized);
/// From optimism_syncStatus.
absl::StatusOr<contract::HeadSnapshot> snapshot_from_cl(simdjson::dom::element status);
/// A CL's way to tell of a block below its safe one.
jsonrpc::Call output_call(std::uint64_t number);
/// Of a block, or of the block of an output, as it is claimed.
std::optional<Hash32> hash_of(const jsonrpc::Answer& a);
/// From eth_syncing: source_syncing, with how far it is; no trouble where it is synced, or says nothing of it. A node
/// that has the last blocks but a few is taken for synced: some always name a higher block than they have.
Trouble syncing_from(simdjson::dom::element status);
/// DATA_LOSS: the labels are out of order.
absl::Status check_order(const contract::HeadSnapshot& s);

/// FAILED_PRECONDITION: a block's time is not what its number says (genesis time + number x block time, a rule of OP
/// derivation). OUT_OF_RANGE: it is more than a minute after `now`: nobody can have made it yet, or `now` is late.
absl::Status check_times(const contract::HeadSnapshot& s, const rollup::Config& chain, absl::Time now);

/// Same endpoint, same blocks; only the time of the look may differ.
bool same_heads(const contract::HeadSnapshot& a, const contract::HeadSnapshot& b);

}  // namespace towline::fetcher
