// The bodies of one window of proven headers: cut into batches, fetched many at once, given out in order. What lies
// before a failure is still given out. Pure.
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

/// A verified payload, and the name of the endpoint that it is from.
struct Served {
  eth::Payload payload;
  std::string endpoint;
};

using ServedPtr = std::shared_ptr<const Served>;

/// Headers that link, ascending.
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
  /// The next batch to ask for; nullopt: there is no more to do.
  std::optional<Batch> take();
  /// What came of a batch: `bytes` is what its answers took.
  void put(const Batch& b, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// The next batch for the reader, where it begins; nullopt: it has not come.
  struct Ready {
    std::size_t at = 0;
    std::vector<ServedPtr> payloads;
  };
  std::optional<Ready> next();
  /// All that lies before a failure has been given out.
  std::optional<absl::Status> failure() const;
  bool done() const { return given_ == headers_->size(); }

 private:
  const ProvenHeaders headers_;
  BodyBatch size_;
  std::size_t next_ = 0;   // the first block that was not asked for
  std::size_t given_ = 0;  // the first block that was not given out
  std::map<std::size_t, std::vector<ServedPtr>> ready_;
  absl::Status failure_;
  std::size_t failed_at_ = 0;
};

}  // namespace towline::fetcher
