// The possible answers of an EL to a write, and the one reaction to each. docs/engine-reactions.md shows the same
// table. Pure.
#pragma once
#include <cstdint>
#include <string>

namespace towline::driver {

enum class Call { new_payload, forkchoice_updated };

/// PayloadStatusV1.status.
enum class PayloadStatus { valid, invalid, syncing, accepted };

struct EngineAnswer {
  enum class Kind {
    status,     // a payload status
    error,      // a JSON-RPC error
    http,       // an HTTP status other than 200
    timeout,    // no complete answer in time
    transport,  // refused, reset, cut
    malformed,  // not JSON-RPC
    came_back,  // no answer, and afterwards the labels are not those that the call was based on (core/read_back.hpp)
  } kind = Kind::transport;
  PayloadStatus status = PayloadStatus::syncing;
  std::int64_t code = 0;  // JSON-RPC error code or HTTP status
  std::string message;    // for display
};

enum class Reaction {
  proceed,        // done
  missing_state,  // the EL lacks the parent or its state: read the head again and import from there
  invalid,        // the block is bad: quarantine its hash
  not_applied,    // the labels do not fit the EL's chain: read them back and choose again
  retry,          // the outcome is unknown: read the labels; if they are unchanged, repeat the call
  start_over,     // the EL is not the one that was asked: read the labels and choose again
  auth_failed,    // wrong secret, or the clocks differ
  unsupported,    // fork times or EL version are wrong: stop, tell the operator
};
const char* name(Reaction r);

Reaction react(const EngineAnswer& answer);
/// The EL's answer, for display.
std::string describe(const EngineAnswer& answer);

}  // namespace towline::driver
