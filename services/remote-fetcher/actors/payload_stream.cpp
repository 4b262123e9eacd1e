#include "services/remote-fetcher/actors/payload_stream.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <future>
#include <map>
#include <thread>

#include "libs/base/status.hpp"
#include "libs/telemetry/log.hpp"
#include "services/remote-fetcher/core/body_batch.hpp"

namespace towline::fetcher {
namespace {

/// Headers that are proven and held at once. A longer range is cut at blocks that most have: a first window that is
/// soon proven, then large ones, each proven while the bodies of the one before travel.
constexpr std::uint64_t kWindow = 8192;
constexpr std::uint64_t kFirstWindow = 2048;
constexpr std::size_t kMaxWorkers = 48;

/// Bodies of one window: workers take batches from the front, the writer takes them off in order.
class Reassembly {
 public:
  Reassembly(std::span<const HashedHeader> wanted, std::size_t max_bytes) : wanted_{wanted}, max_bytes_{max_bytes} {}

  struct Batch {
    std::size_t at = 0;
    std::size_t count = 0;
    std::size_t expected_bytes = 0;
  };
  /// Waits while too much is buffered; nullopt when there is no more to do.
  std::optional<Batch> take() {
    std::unique_lock lock{mutex_};
    // The batch that the writer waits for is always allowed: it cannot be the one that fills the buffer.
    changed_.wait(lock, [&] { return over() || buffered_ < max_bytes_; });
    if (over()) return std::nullopt;
    // Small at the start, so that the first block leaves soon.
    const std::size_t limit = next_ == 0 ? std::min<std::size_t>(2, size_.blocks()) : size_.blocks();
    Batch b{next_, std::min(limit, wanted_.size() - next_)};
    b.expected_bytes = size_.expected_bytes(b.count);
    next_ += b.count;
    charge(b.at, b.expected_bytes);
    return b;
  }
  void put(const Batch& b, absl::StatusOr<std::vector<Served>> got, std::size_t bytes) {
    std::lock_guard lock{mutex_};
    if (got.ok()) {
      size_.on_answer(b.count, bytes);
      charge(b.at, bytes);
      ready_.emplace(b.at, *std::move(got));
    } else if (failure_.ok() || b.at < failed_at_) {
      failure_ = got.status();
      failed_at_ = b.at;
    }
    changed_.notify_all();
  }
  /// The next batch for the reader, or how it ends. What lies before a failure is still given out.
  absl::StatusOr<std::vector<Served>> next(const Cancelled& cancelled) {
    std::unique_lock lock{mutex_};
    while (true) {
      if (auto node = ready_.extract(written_)) {
        given_ = written_;
        written_ += node.mapped().size();
        return std::move(node.mapped());
      }
      if (!failure_.ok() && failed_at_ <= written_) return failure_;
      if (cancelled()) return absl::CancelledError("cancelled");
      changed_.wait_for(lock, std::chrono::milliseconds{100});
    }
  }
  /// The reader has taken what next() gave last.
  void written() {
    std::lock_guard lock{mutex_};
    charge(given_, 0);
    changed_.notify_all();
  }
  bool done() const {
    std::lock_guard lock{mutex_};
    return written_ == wanted_.size();
  }
  void stop() {
    std::lock_guard lock{mutex_};
    stopped_ = true;
    changed_.notify_all();
  }
  bool stopped() const {
    std::lock_guard lock{mutex_};
    return stopped_;
  }

 private:
  bool over() const { return stopped_ || !failure_.ok() || next_ == wanted_.size(); }
  void charge(std::size_t at, std::size_t bytes) {
    std::size_t& held = held_[at];
    buffered_ += bytes;
    buffered_ -= held;
    held = bytes;
    if (bytes == 0) held_.erase(at);
  }
  const std::span<const HashedHeader> wanted_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  BodyBatch size_;
  std::size_t next_ = 0;     // the first block that no worker has taken
  std::size_t written_ = 0;  // the first block that the reader has not been given
  std::size_t given_ = 0;    // where the last batch began
  std::size_t buffered_ = 0;
  std::map<std::size_t, std::vector<Served>> ready_;
  std::map<std::size_t, std::size_t> held_;
  absl::Status failure_;
  std::size_t failed_at_ = 0;
  bool stopped_ = false;
};

}  // namespace

absl::Status PayloadStreams::write_bodies(std::span<const HashedHeader> proven, const Write& write,
                                          const Cancelled& outer) {
  Reassembly bodies{proven, options_.max_buffered_bytes};
  const Cancelled cancelled = [&] { return bodies.stopped() || outer(); };
  const auto work = [&] {
    while (const auto b = bodies.take()) {
      std::size_t bytes = 0;
      auto got = bodies_.fetch(proven.subspan(b->at, b->count), b->expected_bytes, cancelled, bytes);
      bodies.put(*b, std::move(got), bytes);
    }
  };
  const std::size_t lines =
      static_cast<std::size_t>(options_.max_in_flight) * std::max<std::size_t>(1, pool_.usable_els().size());
  std::vector<std::thread> workers;
  for (std::size_t w = 0; w < std::min({lines, kMaxWorkers, (proven.size() + 3) / 4}); ++w) workers.emplace_back(work);
  absl::Status result;
  while (result.ok() && !bodies.done()) {
    const auto batch = bodies.next(outer);
    if (!batch.ok()) {
      result = batch.status();
      break;
    }
    for (const Served& s : *batch) {
      if (write(s)) continue;
      result = absl::CancelledError("the reader is gone");
      break;
    }
    bodies.written();
  }
  bodies.stop();
  for (auto& w : workers) w.join();
  return result;
}

absl::Status PayloadStreams::run(const eth::BlockId& parent, const eth::BlockId& tip, const Write& write,
                                 const Cancelled& outer) {
  const absl::Status st = stream(parent, tip, write, outer);
  if (st.ok()) pool_.note_blocks_served(true);
  if (absl::IsUnavailable(st) || absl::IsDeadlineExceeded(st)) pool_.note_blocks_served(false);
  return st;
}

absl::Status PayloadStreams::stream(const eth::BlockId& parent, const eth::BlockId& tip, const Write& write,
                                    const Cancelled& outer) {
  if (tip.number <= parent.number) return absl::InvalidArgumentError("tip must be above parent");
  std::atomic<bool> ended{false};
  const Cancelled cancelled = [&] { return ended || outer(); };
  // Of a range whose sources do not agree on the way: the tip's own.
  std::map<std::uint64_t, Hash32> borders;
  const auto proof_of = [&](const eth::BlockId& from,
                            std::uint64_t width) -> absl::StatusOr<std::vector<HashedHeader>> {
    if (tip.number - from.number <= kWindow) return headers_.prove(from, tip, cancelled);
    const std::uint64_t number = from.number + width;
    if (!borders.contains(number)) {
      const auto border = headers_.agreed(number, cancelled);
      if (border.ok()) return headers_.prove(from, *border, cancelled);
      if (!absl::IsAborted(border.status())) return border.status();
      log::warn("the headers of the whole range are fetched first, from its tip down",
                {log::kv("why", border.status()), log::kv("from", from), log::kv("tip", tip)});
      TOWLINE_ASSIGN_OR_RETURN(borders, headers_.walk(number, kWindow, tip, cancelled));
    }
    return headers_.prove(from, {number, borders.at(number)}, cancelled);
  };
  auto proven = proof_of(parent, kFirstWindow);
  while (proven.ok()) {
    const eth::BlockId end{proven->back().header.number, proven->back().hash};
    if (end == tip) return write_bodies(*proven, write, cancelled);
    auto following = std::async(std::launch::async, [&] { return proof_of(end, kWindow); });
    const absl::Status st = write_bodies(*proven, write, cancelled);
    ended = !st.ok();
    proven = following.get();
    if (!st.ok()) return st;
  }
  return proven.status();
}

}  // namespace towline::fetcher
