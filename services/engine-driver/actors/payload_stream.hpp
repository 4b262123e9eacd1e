// The source of the writer's payloads. The edge implements it over gRPC, tests over a vector.
#pragma once
#include <caf/allowed_unsafe_message_type.hpp>
#include <functional>
#include <memory>

#include "services/engine-driver/core/effects.hpp"

namespace towline::driver {

class PayloadStream {
 public:
  /// After destruction `done` may run late or never: whoever waits for it has to end the wait.
  virtual ~PayloadStream() = default;
  using Done = std::function<void(NextPayload::Answer)>;
  /// Requests the next payload; the answer is that of NextPayload, but never nullopt. `done` runs at most once, on any
  /// thread, possibly before next() returns. One request at a time.
  virtual void next(Done done) = 0;
};

/// For a single receiver, which moves the answer out.
using PayloadPtr = std::shared_ptr<NextPayload::Answer>;

using OpenPayloadStream = std::function<std::unique_ptr<PayloadStream>(const OpenPayloads&)>;

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::PayloadPtr)
