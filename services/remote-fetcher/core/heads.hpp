// Snapshots of remote heads: decoding and checks. Pure.
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

/// From eth_getBlockByNumber of latest, safe and finalized. Hashes are recomputed. DATA_LOSS: one does not match.
absl::StatusOr<contract::HeadSnapshot> snapshot_from_el(const jsonrpc::Answer& latest, const jsonrpc::Answer& safe,
                                                        const jsonrpc::Answer& finalized);
/// From optimism_syncStatus.
absl::StatusOr<contract::HeadSnapshot> snapshot_from_cl(simdjson::dom::element status);
/// How a CL shows a block at or below its safe block: optimism_outputAtBlock.
jsonrpc::Call output_call(std::uint64_t number);
/// The claimed hash of a block, or of the block of an output.
std::optional<Hash32> hash_of(const jsonrpc::Answer& a);
/// From eth_syncing: Problem::syncing with the progress; none if the node has synced or does not say. A node that lacks
/// only the last few blocks counts as synced, since some nodes always report a higher block than they have.
Trouble syncing_from(simdjson::dom::element status);
/// DATA_LOSS: the labels are out of order.
absl::Status check_order(const contract::HeadSnapshot& s);

/// FAILED_PRECONDITION: a block's time does not match its number (genesis time + number x block time, a rule of OP
/// derivation). OUT_OF_RANGE: a block is more than a minute after `now`: it cannot exist yet, or `now` is late.
absl::Status check_times(const contract::HeadSnapshot& s, const rollup::Config& chain, absl::Time now);

/// Equal except for the time of the look.
bool same_heads(const contract::HeadSnapshot& a, const contract::HeadSnapshot& b);

}  // namespace towline::fetcher
