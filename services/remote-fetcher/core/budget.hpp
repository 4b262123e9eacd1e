// Bytes that all answers in flight may have together: a request takes its share before it leaves, and gives it back
// when its answer is done with. First come, first served. Who holds a share takes no other one: waiting for it could
// last for ever. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace towline::fetcher {

class Budget {
 public:
  explicit Budget(std::size_t bytes) : free_{bytes} {}

  /// `bytes` is at most the whole budget. granted() tells when the share is there.
  void ask(std::uint64_t id, std::size_t bytes) { line_.push_back({id, bytes}); }
  /// It waits no more, and has nothing.
  void forget(std::uint64_t id) {
    std::erase_if(line_, [id](const Waiting& w) { return w.id == id; });
  }
  void give_back(std::size_t bytes) { free_ += bytes; }
  /// Those whose share is there now.
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
