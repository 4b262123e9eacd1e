// Whether a gossiped block is valid: op-node's rules in op-node's order. The expensive part is a function that may run
// on any thread; the rules that depend on earlier blocks are one small table. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <list>
#include <memory>

#include "libs/gossip_block/envelope.hpp"

namespace towline::gossip_block {

/// The first rule that a block breaks, in the order of the checks.
enum class Failure {
  none,                // valid
  snappy,              // the message does not decompress, or is too long or too short
  no_signer,           // the signer is not known here: nothing can be checked
  signature,           // not signed by an accepted signer
  ssz,                 // does not decode in the topic's version
  too_old,             // its time is long ago
  too_new,             // its time is in the future
  block_hash,          // the fields do not hash to it
  withdrawals,         // the list is not empty
  blob_gas,            // blob gas used is not zero before Jovian
  excess_blob_gas,     // not zero
  too_many_at_height,  // too many other blocks of this height came before
  seen,                // the same block came before
};
inline constexpr int kFailureCount = 13;
/// snake_case, for metrics and messages.
const char* name(Failure r);
enum class Result { accept, ignore, reject };
Result result_of(Failure r);
/// Whether the rule is about the form of a block with an accepted signature: a fork may change such a rule.
bool is_of_form(Failure r);

struct Options {
  std::uint64_t chain_id = 0;
  absl::Duration past = absl::Seconds(60);
  absl::Duration future = absl::Seconds(5);
};

struct Checked {
  Failure rule = Failure::none;
  /// For a person; empty for a valid block.
  std::string why;
  /// Present as far as the checks got.
  std::optional<Address> signer;
  secp256k1::RecoverableSignature signature;
  std::shared_ptr<const eth::Payload> payload;
};

/// `body`: the decompressed message; null if it does not decompress. `signers`: the accepted ones. `now`: the wall
/// clock when the message arrived. `config`: for Jovian's time.
Checked check(const rollup::Config& config, const Options& options, PayloadVersion version, const Bytes* body,
              const std::vector<Address>& signers, absl::Time now);

/// The last two rules: which blocks of a height were seen. One object for each topic.
class SeenBlocks {
 public:
  /// Failure::none: the block was not seen before; it counts as seen from now on.
  Failure admit(const eth::BlockId& block);

 private:
  struct Height {
    std::vector<Hash32> hashes;
    std::list<std::uint64_t>::iterator age;
  };
  std::list<std::uint64_t> ages_;  // least recently used first
  absl::flat_hash_map<std::uint64_t, Height> heights_;
};

}  // namespace towline::gossip_block
