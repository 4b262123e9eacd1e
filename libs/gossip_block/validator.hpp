// Whether a gossiped block is good: op-node's rules in op-node's order. The expensive part is a pure function that may
// run anywhere; what depends on the blocks seen before is one small table. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <list>
#include <memory>

#include "libs/gossip_block/envelope.hpp"

namespace towline::gossip_block {

/// What a block fails by, in the order of the checks.
enum class Failure {
  none,                // it is good
  snappy,              // the message does not decompress, or is too long or too short
  no_signer,           // we know no signer: nothing can be checked
  signature,           // signed by nobody whom we accept
  ssz,                 // does not decode as the topic's version
  too_old,             // its time is long ago
  too_new,             // its time is in the future
  block_hash,          // the fields do not give the hash
  withdrawals,         // a list that must be empty is not
  blob_gas,            // blob fields that its version must not have, or misses, or blob gas before Jovian
  excess_blob_gas,     // not zero
  too_many_at_height,  // other blocks of this height came before
  seen,                // this block came before
};
inline constexpr int kFailureCount = 13;
/// snake_case, for metrics and messages.
const char* name(Failure r);
enum class Result { accept, ignore, reject };
Result result_of(Failure r);
/// It is about how a block looks, and is asked of those that are signed by whom we accept: a fork may change it.
bool is_of_form(Failure r);

struct Options {
  std::uint64_t chain_id = 0;
  absl::Duration past = absl::Seconds(60);
  absl::Duration future = absl::Seconds(5);
};

struct Checked {
  Failure rule = Failure::none;
  /// For a person; empty for a good block.
  std::string why;
  /// As far as it got.
  std::optional<Address> signer;
  secp256k1::RecoverableSignature signature;
  std::shared_ptr<const eth::Payload> payload;
};

/// `body`: the decompressed message; null where it does not decompress. `signers`: whose blocks are good. `now` by the
/// wall clock, when the message arrived. `config` for Jovian's time.
Checked check(const rollup::Config& config, const Options& options, PayloadVersion version, const Bytes* body,
              const std::vector<Address>& signers, absl::Time now);

/// The last two rules: how many blocks of a height have been seen. One for each topic.
class SeenBlocks {
 public:
  /// Failure::none: it was not seen before, and is from now on.
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
