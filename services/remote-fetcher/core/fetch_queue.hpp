// Which batch of bodies is fetched next: round-robin over the streams, within a bound in bytes for all payloads that
// wait for readers. A stream that holds nothing may always fetch, because its reader waits. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace towline::fetcher {

class FetchQueue {
 public:
  /// The bound for the process. Each stream has an equal part of it; its last batch may exceed the part.
  explicit FetchQueue(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  struct Key {
    std::uint64_t stream = 0, batch = 0;
    auto operator<=>(const Key&) const = default;
  };
  /// Adds a batch that is expected to take `bytes`; the batches of a stream in reading order.
  void add(const Key& k, std::size_t bytes) { streams_[k.stream].waiting.push_back({k.batch, bytes}); }
  /// The next batch to fetch, charged with its expected size; nullopt: none may be fetched now.
  std::optional<Key> next();
  /// The actual size of a fetched batch.
  void on_size(const Key& k, std::size_t bytes);
  /// The reader has the batch, or the batch will never come.
  void free(const Key& k) { on_size(k, 0); }
  /// The stream is over.
  void drop(std::uint64_t stream);
  std::size_t held() const { return held_; }

 private:
  struct Waiting {
    std::uint64_t batch;
    std::size_t bytes;
  };
  struct Stream {
    std::deque<Waiting> waiting;
    std::map<std::uint64_t, std::size_t> batches;
    std::size_t held = 0;
  };
  const std::size_t max_bytes_;
  std::map<std::uint64_t, Stream> streams_;
  std::size_t held_ = 0;
  /// The stream that was served last.
  std::uint64_t last_ = 0;
};

}  // namespace towline::fetcher
