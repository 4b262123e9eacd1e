// Where the writer gets its payloads from: the edge implements it over gRPC, tests over a vector.
#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "libs/contract/command.hpp"
#include "services/engine-driver/core/prepared_payload.hpp"

namespace towline::driver {

class PayloadStream {
 public:
  virtual ~PayloadStream() = default;
  /// The next payload; nullopt: not within `limit`. OUT_OF_RANGE: the stream is complete. Other errors as in
  /// payload_source.proto.
  virtual absl::StatusOr<std::optional<PreparedPayload>> next(std::chrono::milliseconds limit) = 0;
};

using OpenPayloadStream = std::function<std::unique_ptr<PayloadStream>(
    const eth::BlockId& parent, const eth::BlockId& tip, contract::PayloadOrigin origin)>;

}  // namespace towline::driver
