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

/// Activation in Unix seconds by fork; absent: never, 0: at genesis. Bedrock is always 0. Lagoon's key was once
/// `interop_time`.
using ForkTimes = std::array<std::optional<std::uint64_t>, kForkCount>;
/// "<name>_time" keys that this version does not know (and "base.<name>", Base's own forks), with their times.
using UnknownForks = std::vector<std::pair<std::string, std::uint64_t>>;

/// The forks of a rollup.json.
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
  /// The address of SystemConfig on L1; absent: the source does not name it.
  std::optional<Address> l1_system_config;
  /// The signer of the p2p network's blocks, from the embedded table; L1 has the last word.
  std::optional<Address> unsafe_block_signer;
  /// Named in the log at start (describe_unknown()). The rules of such a fork are not checked.
  UnknownForks unknown_forks;

  /// The time of block `number` in Unix seconds, by the derivation rule; below the genesis block the genesis time.
  std::uint64_t time_of(std::uint64_t number) const {
    return l2_time + (std::max(number, l2_genesis.number) - l2_genesis.number) * block_time;
  }
  /// The latest fork active at `timestamp`; a later fork implies all earlier ones.
  Fork fork_at(std::uint64_t timestamp) const;
};

/// Reads op-node's rollup.json; keys that Towline does not use are ignored. INVALID_ARGUMENT names the key that is
/// missing, malformed or contradicts another.
absl::StatusOr<Config> parse_config(absl::string_view json);
/// Reads only the forks of a rollup.json, such as a node's answer to optimism_rollupConfig. INVALID_ARGUMENT names the
/// key that is malformed or contradicts another.
absl::StatusOr<Forks> parse_forks(absl::string_view json);
/// Replaces fork times of the config by an operator's; absent ones change nothing. INVALID_ARGUMENT names the flag
/// (`flag` + fork name) that would put a fork before an earlier one.
absl::Status override_forks(const ForkTimes& overrides, absl::string_view flag, Config& c);
/// A line for the log on a fork that this version does not know. Times in Unix seconds.
std::string describe_unknown(std::uint64_t fork_time, std::uint64_t now);

/// A network of the embedded table (superchain registry) by name, e.g. "op-mainnet". NOT_FOUND lists the known names.
absl::StatusOr<Config> network(absl::string_view name);
std::vector<std::string> network_names();

/// 2, 3 or 4: the engine_newPayload version for a block of this time. With the block at hand prefer
/// eth::new_payload_version_by_shape().
int new_payload_version(const Config& c, std::uint64_t timestamp);
/// Checks which fields a header of this time must have and must not have. DATA_LOSS names the field. If a header fails
/// here although its hash verifies, the fork schedule is outdated or wrong, not the source.
absl::Status check_header_shape(const Config& c, const eth::Header& h);
/// The whole verification of a block in one call: eth::verify_header(), check_header_shape(), eth::verify_body().
/// DATA_LOSS: the message starts with the name of the field that does not verify.
absl::Status verify_block(const Config& c, const eth::Header& h, const Hash32& expected_hash,
                          std::span<const Bytes> transactions);

}  // namespace towline::rollup
