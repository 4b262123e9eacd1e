// Verified payloads by block hash, bounded in bytes, and who waits for which of them: so that many streams over one
// range cost the sources about one. Pure.
#pragma once
#include <absl/status/statusor.h>

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
  explicit BodyCache(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  /// A batch of these blocks begins. Which of them it has to fetch: those that are neither here nor on their way for
  /// another batch. It may be complete at once, see take_done().
  std::vector<std::size_t> begin(const Key& k, std::vector<Hash32> blocks);
  /// What came of the blocks that a batch had to fetch, in their order; `bytes` is what the answers took.
  void on_fetched(const Key& k, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// The batches of a stream that is over. What is on its way for it stays so: on_fetched() comes.
  void drop(std::uint64_t stream);

  struct Done {
    Key key;
    absl::StatusOr<std::vector<ServedPtr>> got;
    std::size_t bytes = 0;
  };
  /// Batches that are complete, or have failed.
  std::vector<Done> take_done() { return std::exchange(done_, {}); }
  /// Batches that have to fetch some of their blocks now, because the batch that they waited for has failed.
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
  ServedPtr find(const Hash32& hash);
  void put(const Hash32& hash, const ServedPtr& served);
  void give(const Key& k, const Hash32& hash, const ServedPtr& served, bool cached);
  void finish(const Key& k);

  const std::size_t max_bytes_;
  /// The one that was used last in front.
  std::list<Cached> used_;
  std::map<Hash32, std::list<Cached>::iterator> by_hash_;
  std::size_t bytes_ = 0;
  std::map<Key, Batch> batches_;
  /// The blocks that a batch fetches; how many batches fetch a block, and which wait for it.
  std::map<Key, std::vector<Hash32>> fetching_;
  std::map<Hash32, std::size_t> coming_;
  std::map<Hash32, std::set<Key>> waiting_;
  std::vector<Done> done_;
  std::map<Key, std::vector<std::size_t>> again_;
};

}  // namespace towline::fetcher
