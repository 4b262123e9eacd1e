// Payloads of a range: headers proven window by window, bodies fetched many at a time, written in order and bounded in
// bytes. Blocking: one call runs in its caller's thread and starts its own workers. Thread safe.
#pragma once
#include <functional>

#include "services/remote-fetcher/actors/bodies.hpp"
#include "services/remote-fetcher/actors/headers.hpp"

namespace towline::fetcher {

struct StreamOptions {
  /// Of payloads that wait for the reader, those on their way included.
  std::size_t max_buffered_bytes = 64U << 20U;
  /// For each endpoint.
  int max_in_flight = 16;
};

class PayloadStreams {
 public:
  PayloadStreams(StreamOptions options, Pool& pool, Headers& headers, Bodies& bodies)
      : options_{options}, pool_{pool}, headers_{headers}, bodies_{bodies} {}

  /// Takes one payload; false: the reader is gone. May block: that is the back-pressure.
  using Write = std::function<bool(const Served&)>;

  /// parent+1 .. tip in order. Errors as in payload_source.proto.
  absl::Status run(const eth::BlockId& parent, const eth::BlockId& tip, const Write& write, const Cancelled& cancelled);

 private:
  absl::Status stream(const eth::BlockId& parent, const eth::BlockId& tip, const Write& write,
                      const Cancelled& cancelled);
  absl::Status write_bodies(std::span<const HashedHeader> proven, const Write& write, const Cancelled& cancelled);

  const StreamOptions options_;
  Pool& pool_;
  Headers& headers_;
  Bodies& bodies_;
};

}  // namespace towline::fetcher
