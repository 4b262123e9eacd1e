// Where the writer gets its payloads from: the edge implements it over gRPC, tests over a vector.
#pragma once
#include <caf/allowed_unsafe_message_type.hpp>
#include <functional>
#include <memory>

#include "services/engine-driver/core/effects.hpp"

namespace towline::driver {

class PayloadStream {
 public:
  /// When it goes no answer comes any more, or it comes late: whoever asked has to tell.
  virtual ~PayloadStream() = default;
  using Done = std::function<void(NextPayload::Answer)>;
  /// The next payload, as NextPayload has it, never nullopt; `done` runs once, on any thread, perhaps before this
  /// returns. One question at a time.
  virtual void next(Done done) = 0;
};

/// For one receiver, which takes it out.
using PayloadPtr = std::shared_ptr<NextPayload::Answer>;

using OpenPayloadStream = std::function<std::unique_ptr<PayloadStream>(const OpenPayloads&)>;

}  // namespace towline::driver

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::driver::PayloadPtr)
