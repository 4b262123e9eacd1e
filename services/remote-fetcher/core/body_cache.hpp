// Verified payloads by block hash, bounded in bytes, and which batch waits for which block. Many streams over one range
// cost the sources about as much as one. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "services/remote-fetcher/core/body_window.hpp"
#include "services/remote-fetcher/core/fetch_queue.hpp"

namespace towline::fetcher {

class BodyCache {
 public:
  using Key = FetchQueue::Key;
  /// A single stream may ask again for its last blocks alone.
  static constexpr std::size_t kOfOneStream = 8U << 20U;
  explicit BodyCache(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  /// Starts a batch of these blocks. Returns the indices that it has to fetch: blocks neither cached nor being fetched
  /// for another batch. The batch may be complete at once, see take_done().
  std::vector<std::size_t> begin(const Key& k, std::vector<Hash32> blocks);
  /// The result for the blocks that a batch had to fetch, in their order. `bytes`: size of the answers.
  void on_fetched(const Key& k, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// Drops the batches of a stream that is over. Its pending fetches still report to on_fetched().
  void drop(std::uint64_t stream);

  struct Done {
    Key key;
    absl::StatusOr<std::vector<ServedPtr>> got;
    std::size_t bytes = 0;
  };
  /// Returns batches that are complete or have failed.
  std::vector<Done> take_done() { return std::exchange(done_, {}); }
  /// Returns batches that have to fetch blocks themselves, because the batch that they waited for failed.
  std::vector<std::pair<Key, std::vector<std::size_t>>> take_again();
  std::size_t bytes() const { return bytes_; }

 private:
  struct Cached {
    Hash32 hash;
    ServedPtr served;
    std::size_t bytes = 0;
  };
  struct Batch {
    std::vector<Hash32> blocks;
    std::vector<ServedPtr> got;
    std::size_t missing = 0;
    std::size_t bytes = 0;
  };
  std::size_t limit() const { return streams_.size() > 1 ? max_bytes_ : std::min(max_bytes_, kOfOneStream); }
  ServedPtr find(const Hash32& hash);
  void put(const Hash32& hash, const ServedPtr& served);
  void give(const Key& k, const Hash32& hash, const ServedPtr& served, bool cached);
  void finish(const Key& k);

  const std::size_t max_bytes_;
  /// The streams that are not over.
  std::set<std::uint64_t> streams_;
  /// The most recently used in front.
  std::list<Cached> used_;
  std::map<Hash32, std::list<Cached>::iterator> by_hash_;
  std::size_t bytes_ = 0;
  std::map<Key, Batch> batches_;
  /// The blocks that a batch fetches; the number of batches that fetch a block; and the batches that wait for a block.
  std::map<Key, std::vector<Hash32>> fetching_;
  std::map<Hash32, std::size_t> coming_;
  std::map<Hash32, std::set<Key>> waiting_;
  std::vector<Done> done_;
  std::map<Key, std::vector<std::size_t>> again_;
};

}  // namespace towline::fetcher
