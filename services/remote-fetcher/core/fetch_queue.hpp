// Which batch of bodies is fetched next: the streams in turn, within the bytes that all payloads which wait for readers
// may have together. A stream that holds nothing may always fetch: it is what its reader waits for. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

namespace towline::fetcher {

class FetchQueue {
 public:
  /// Of the process. Each stream may have its part of it, and the last batch may go over.
  explicit FetchQueue(std::size_t max_bytes) : max_bytes_{max_bytes} {}

  struct Key {
    std::uint64_t stream = 0, batch = 0;
    auto operator<=>(const Key&) const = default;
  };
  /// A batch that is expected to take `bytes`; those of a stream in the order of its reader.
  void add(const Key& k, std::size_t bytes) { streams_[k.stream].waiting.push_back({k.batch, bytes}); }
  /// The next batch to fetch, charged with what it is expected to take; nullopt: none may be.
  std::optional<Key> next();
  /// What a batch that was fetched takes in fact.
  void on_size(const Key& k, std::size_t bytes);
  /// Its reader has it, or it will never come.
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
  /// Whose turn was last.
  std::uint64_t last_ = 0;
};

}  // namespace towline::fetcher
