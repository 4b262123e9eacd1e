// Headers and payloads from the pool, verified before they leave. Blocking, thread safe.
#pragma once
#include <absl/status/statusor.h>

#include <functional>

#include "libs/rollup/config.hpp"
#include "services/remote-fetcher/actors/head_board.hpp"
#include "services/remote-fetcher/actors/pool.hpp"

namespace towline::fetcher {

struct BlocksOptions {
  std::size_t max_buffered_bytes = 64U << 20U;
  int max_workers = 16;
  /// How long one height may fail at every endpoint before the call gives up.
  absl::Duration patience = absl::Seconds(20);
};

class Blocks {
 public:
  Blocks(BlocksOptions options, const rollup::Config& config, Pool& pool, HeadBoard& board, Metrics& metrics)
      : options_{options}, config_{config}, pool_{pool}, board_{board}, metrics_{metrics} {}

  struct Served {
    eth::Payload payload;
    std::string endpoint;
  };

  /// Headers by number from one endpoint's view where possible; heights that no source has are left out.
  absl::StatusOr<std::vector<eth::BlockRef>> headers(const std::vector<std::uint64_t>& numbers, std::optional<std::size_t> prefer,
                                                     const Cancelled& cancelled, std::string* endpoint);
  absl::StatusOr<eth::Header> header(const Hash32& hash, const Cancelled& cancelled);
  absl::StatusOr<Served> payload(const Hash32& hash, const Cancelled& cancelled);
  /// parent+1 .. tip in order; `write` returns false when the reader is gone. Errors as in payload_source.proto.
  absl::Status stream(const eth::BlockId& parent, const eth::BlockId& tip, const std::function<bool(const Served&)>& write, const Cancelled& cancelled);

 private:
  struct Proven {
    Hash32 hash;
    eth::Header header;
  };
  using HeaderBatch = std::vector<std::optional<Proven>>;
  /// One batch of headers by number from endpoint `i` (its slot is taken); absent ones are nullopt. Hashes are recomputed.
  absl::StatusOr<HeaderBatch> header_batch(std::size_t i, std::uint64_t first, std::size_t count);
  /// Headers parent+1 .. tip that link from tip.hash down to parent.hash.
  absl::StatusOr<std::vector<Proven>> prove(const eth::BlockId& parent, const eth::BlockId& tip, const Cancelled& cancelled);
  /// The header at `number` that every answering endpoint agrees on.
  absl::StatusOr<eth::BlockId> agreed_header(std::uint64_t number, const Cancelled& cancelled);
  /// Bodies of `wanted`, all verified, in order.
  absl::StatusOr<std::vector<Served>> bodies(std::span<const Proven> wanted, const Cancelled& cancelled, std::size_t* bytes);
  absl::Status stream_bodies(const std::vector<Proven>& proven, const std::function<bool(const Served&)>& write, const Cancelled& cancelled);
  /// The transactions of one block from an answer, verified against its header.
  absl::StatusOr<std::vector<Bytes>> body_from(std::size_t i, const jsonrpc::Answer& answer, bool raw, const Proven& wanted);
  /// Transactions that JSON cannot give, one by one in raw form.
  absl::StatusOr<std::vector<Bytes>> raw_transactions(std::size_t i, const Proven& wanted, std::size_t count);

  const BlocksOptions options_;
  const rollup::Config& config_;
  Pool& pool_;
  HeadBoard& board_;
  Metrics& metrics_;
};

}  // namespace towline::fetcher
