// The bodies of one window of proven headers: cut into batches, fetched in parallel, delivered in order. Blocks before
// a failure are still delivered. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/payload.hpp"
#include "services/remote-fetcher/core/body_batch.hpp"
#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

/// A verified payload, and the name of the endpoint that served it.
struct Served {
  eth::Payload payload;
  std::string endpoint;
};

using ServedPtr = std::shared_ptr<const Served>;

/// Linked headers, ascending.
using ProvenHeaders = std::shared_ptr<const std::vector<HashedHeader>>;

class BodyWindow {
 public:
  explicit BodyWindow(ProvenHeaders headers) : headers_{std::move(headers)} {}
  const ProvenHeaders& headers() const { return headers_; }

  struct Batch {
    std::size_t at = 0;
    std::size_t count = 0;
    std::size_t expected_bytes = 0;
  };
  /// The next batch to request; nullopt: none left.
  std::optional<Batch> take();
  /// The result of a batch. `bytes`: size of its answers.
  void put(const Batch& b, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// The next batch for the reader, with its position; nullopt: not there yet.
  struct Ready {
    std::size_t at = 0;
    std::vector<ServedPtr> payloads;
  };
  std::optional<Ready> next();
  /// The failure, once all blocks before it are delivered; nullopt: none, or not yet.
  std::optional<absl::Status> failure() const;
  bool done() const { return given_ == headers_->size(); }

 private:
  const ProvenHeaders headers_;
  BodyBatch size_;
  std::size_t next_ = 0;   // the first block that was not requested
  std::size_t given_ = 0;  // the first block that was not delivered
  std::map<std::size_t, std::vector<ServedPtr>> ready_;
  absl::Status failure_;
  std::size_t failed_at_ = 0;
};

}  // namespace towline::fetcher
