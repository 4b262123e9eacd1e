// How many bodies to request at once, and their expected size, estimated from earlier answers. Pure.
#pragma once
#include <algorithm>
#include <cstddef>

namespace towline::fetcher {

class BodyBatch {
 public:
  static constexpr std::size_t kTargetBytes = 1U << 20U;
  static constexpr std::size_t kMaxBlocks = 16;

  /// At least 1.
  std::size_t blocks() const { return std::clamp<std::size_t>(kTargetBytes / average_, 1, kMaxBlocks); }
  /// The expected size of an answer with `blocks` blocks.
  std::size_t expected_bytes(std::size_t blocks) const { return blocks * average_; }
  void on_answer(std::size_t blocks, std::size_t bytes) {
    if (blocks > 0) average_ = std::max<std::size_t>(1, (average_ * 3 + bytes / blocks) / 4);
  }

 private:
  std::size_t average_ = 64U << 10U;
};

}  // namespace towline::fetcher
