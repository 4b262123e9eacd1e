// What an EL may answer to a write, and the one reaction to each: docs/engine-reactions.md is this table for people.
// Pure.
#pragma once
#include <optional>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

enum class Call { new_payload, forkchoice_updated };

/// PayloadStatusV1.status.
enum class PayloadStatus { valid, invalid, syncing, accepted };

struct EngineAnswer {
  enum class Kind {
    status,     // a payload status
    error,      // a JSON-RPC error
    http,       // an HTTP status other than 200
    timeout,    // no whole answer in time
    transport,  // refused, reset, cut
    malformed,  // not JSON-RPC
    came_back,  // no answer, and then its labels are not those that the call stood on (core/read_back.hpp)
  } kind = Kind::transport;
  PayloadStatus status = PayloadStatus::syncing;
  std::optional<Hash32> latest_valid_hash;
  std::int64_t code = 0;  // JSON-RPC error code or HTTP status
  std::string message;    // for a person
};

enum class Reaction {
  proceed,        // done
  missing_state,  // parent or state is missing there: read the head again and import from where it is
  invalid,        // the block is bad: quarantine its hash
  not_applied,    // the labels do not fit the EL's chain: read back and choose again
  retry,          // nothing is known of the outcome: read the labels; if they are as before, the same call again
  start_over,     // it is another EL than the one that was asked: read the labels and choose again
  auth_failed,    // secret or clock
  unsupported,    // fork times or EL version are wrong: stop, tell the operator
};
const char* name(Reaction r);

Reaction react(Call call, const EngineAnswer& answer);
/// For a person: what the EL said.
std::string describe(const EngineAnswer& answer);

}  // namespace towline::driver
