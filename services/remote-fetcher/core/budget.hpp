// A budget of bytes for all answers in flight: a request takes its share before it is sent, and returns it when its
// answer is no longer needed. First come, first served. The holder of a share must not wait for another share: that
// could be a deadlock. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace towline::fetcher {

class Budget {
 public:
  explicit Budget(std::size_t bytes) : free_{bytes} {}

  /// `bytes` must not exceed the whole budget. granted() reports when the share is available.
  void ask(std::uint64_t id, std::size_t bytes) { line_.push_back({id, bytes}); }
  /// Withdraws a waiting request.
  void forget(std::uint64_t id) {
    std::erase_if(line_, [id](const Waiting& w) { return w.id == id; });
  }
  void give_back(std::size_t bytes) { free_ += bytes; }
  /// Returns the requests whose share is granted now.
  std::vector<std::uint64_t> granted() {
    std::vector<std::uint64_t> out;
    for (; !line_.empty() && line_.front().bytes <= free_; line_.pop_front()) {
      free_ -= line_.front().bytes;
      out.push_back(line_.front().id);
    }
    return out;
  }
  std::size_t free() const { return free_; }
  std::size_t waiting() const { return line_.size(); }

 private:
  struct Waiting {
    std::uint64_t id;
    std::size_t bytes;
  };
  std::size_t free_;
  std::deque<Waiting> line_;
};

}  // namespace towline::fetcher
