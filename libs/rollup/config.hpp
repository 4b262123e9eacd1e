// The rollup config: which chain this is and when its forks come. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::rollup {

/// OP Stack forks in order of activation.
enum class Fork { bedrock, regolith, canyon, delta, ecotone, fjord, granite, holocene, isthmus, jovian, karst, lagoon };
inline constexpr std::size_t kForkCount = 12;
const char* name(Fork f);

/// Activation in Unix seconds by fork; absent = never, 0 = at genesis. Bedrock is always 0. Lagoon was `interop_time`
/// once.
using ForkTimes = std::array<std::optional<std::uint64_t>, kForkCount>;
/// "<name>_time" keys that this version does not know (and "base.<name>", Base's own forks), with their times.
using UnknownForks = std::vector<std::pair<std::string, std::uint64_t>>;

/// What a rollup.json says of forks.
struct Forks {
  ForkTimes times{};
  UnknownForks unknown;
};

struct Config {
  std::string network;  // empty for a config file
  std::uint64_t l1_chain_id = 0;
  std::uint64_t l2_chain_id = 0;
  eth::BlockId l1_genesis;
  eth::BlockId l2_genesis;
  std::uint64_t l2_time = 0;
  std::uint64_t block_time = 0;
  ForkTimes fork_times{};
  /// SystemConfig on L1, where it is told.
  std::optional<Address> l1_system_config;
  /// Who signs the blocks of the p2p network, from the embedded table; L1 has the last word.
  std::optional<Address> unsafe_block_signer;
  /// To be named at start (describe_unknown()). What such a fork changes is not checked.
  UnknownForks unknown_forks;

  /// The time of block `number`, Unix seconds, by a rule of OP derivation; of the genesis for what is below it.
  std::uint64_t time_of(std::uint64_t number) const {
    return l2_time + (std::max(number, l2_genesis.number) - l2_genesis.number) * block_time;
  }
  /// The latest fork active at `timestamp`; a later fork implies all earlier ones.
  Fork fork_at(std::uint64_t timestamp) const;
};

/// op-node's rollup.json; keys that Towline has no use for are ignored. INVALID_ARGUMENT names the key that is missing,
/// malformed or contradicts another.
absl::StatusOr<Config> parse_config(absl::string_view json);
/// Only the forks of a rollup.json, whatever else is in it: what a node says to optimism_rollupConfig. INVALID_ARGUMENT
/// names the key that is malformed or contradicts another.
absl::StatusOr<Forks> parse_forks(absl::string_view json);
/// What an operator says of forks goes before the config. INVALID_ARGUMENT: `flag` + name of the one that would make
/// a fork come before an earlier one. Absent ones change nothing.
absl::Status override_forks(const ForkTimes& overrides, absl::string_view flag, Config& c);
/// A line for the log: what it means that this version does not know a fork, by the time `now` (Unix seconds).
std::string describe_unknown(std::uint64_t fork_time, std::uint64_t now);

/// A network of the embedded table (superchain registry) by name, e.g. "op-mainnet". NOT_FOUND lists what there is.
absl::StatusOr<Config> network(absl::string_view name);
std::vector<std::string> network_names();

/// 2, 3 or 4: the engine_newPayload version for a block of this time. A block at hand says it better itself:
/// eth::new_payload_version_by_shape().
int new_payload_version(const Config& c, std::uint64_t timestamp);
/// The fields that a header of this time must have and must not have. DATA_LOSS names the field. A header whose hash
/// verifies and that fails here is no lie: the schedule is old or wrong.
absl::Status check_header_shape(const Config& c, const eth::Header& h);
/// The whole verification of a block in one call: eth::verify_header(), check_header_shape(), eth::verify_body().
/// DATA_LOSS: the message starts with the name of the field that does not verify.
absl::Status verify_block(const Config& c, const eth::Header& h, const Hash32& expected_hash,
                          std::span<const Bytes> transactions);

}  // namespace towline::rollup
