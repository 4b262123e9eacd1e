// Between the values of libs/eth and the messages of proto/towline/v1.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <optional>
#include <string>

#include "libs/eth/types.hpp"
#include "towline/v1/types.pb.h"

namespace towline::wire {

v1::BlockId to_proto(const eth::BlockId& b);
v1::BlockRef to_proto(const eth::BlockRef& b);
v1::ExecutionPayload to_proto(const eth::Payload& p);

/// INVALID_ARGUMENT: a hash, address or bloom of the wrong length.
absl::StatusOr<eth::BlockId> from_proto(const v1::BlockId& b);
absl::StatusOr<eth::BlockRef> from_proto(const v1::BlockRef& b);
absl::StatusOr<eth::Payload> from_proto(const v1::ExecutionPayload& p);
/// Reads a field that may be absent.
template <class Message, class Value>
absl::Status read(bool has, const Message& m, std::optional<Value>& out) {
  out.reset();
  if (!has) return absl::OkStatus();
  auto value = from_proto(m);
  if (!value.ok()) return value.status();
  out = *std::move(value);
  return absl::OkStatus();
}
/// Unix milliseconds; 0 is InfinitePast: not known.
std::uint64_t to_millis(absl::Time t);
absl::Time from_millis(std::uint64_t ms);
absl::StatusOr<Hash32> hash_from(const std::string& bytes, const char* field);

/// The same code and message: Abseil's codes are gRPC's.
grpc::Status to_grpc(const absl::Status& s);
absl::Status from_grpc(const grpc::Status& s);

}  // namespace towline::wire
