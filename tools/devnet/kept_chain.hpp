// The state that a devnet keeps in its directory: enough to make the same chain with the same keys after a restart.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <vector>

#include "libs/sim/chain.hpp"

namespace towline::devnet {

struct KeptChain {
  /// One command that changed the chain, and the head at that time; in this order. All else follows from the options.
  struct Step {
    std::uint64_t head = 0;
    /// The depth of a reorg; 0: a malformed block was added.
    std::uint64_t reorg = 0;
  };

  sim::ChainOptions options;
  std::vector<Step> steps;
  std::uint64_t head = 0;
  Hash32 jwt_secret, p2p_key, signer_key;
};

/// A new chain with new random keys.
KeptChain keep_new(const sim::ChainOptions& options);
/// nullopt: there is no file. INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<std::optional<KeptChain>> read_kept_chain(const std::string& path);
absl::Status write_kept_chain(const std::string& path, const KeptChain& kept);
/// The flags of the kept chain that differ from `wanted`, as "--seed 1, --chain-id 901"; empty: none. A genesis time of
/// 0 in `wanted` accepts any.
std::string other_flags(const sim::ChainOptions& kept, const sim::ChainOptions& wanted);
/// Builds the chain from genesis to the kept head.
void rebuild(const KeptChain& kept, sim::Chain& chain);

}  // namespace towline::devnet
