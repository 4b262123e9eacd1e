#include "services/remote-fetcher/core/body_window.hpp"

#include <algorithm>

namespace towline::fetcher {

std::optional<BodyWindow::Batch> BodyWindow::take() {
  if (!failure_.ok() || next_ == headers_->size()) return std::nullopt;
  // A small first batch lets the first block leave soon.
  const std::size_t limit = next_ == 0 ? std::min<std::size_t>(2, size_.blocks()) : size_.blocks();
  Batch b{next_, std::min(limit, headers_->size() - next_), 0};
  b.expected_bytes = size_.expected_bytes(b.count);
  next_ += b.count;
  return b;
}

void BodyWindow::put(const Batch& b, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes) {
  if (got.ok()) {
    size_.on_answer(b.count, bytes);
    ready_.emplace(b.at, *std::move(got));
  } else if (failure_.ok() || b.at < failed_at_) {
    failure_ = got.status();
    failed_at_ = b.at;
  }
}

std::optional<BodyWindow::Ready> BodyWindow::next() {
  auto node = ready_.extract(given_);
  if (!node) return std::nullopt;
  Ready out{given_, std::move(node.mapped())};
  given_ += out.payloads.size();
  return out;
}

std::optional<absl::Status> BodyWindow::failure() const {
  if (failure_.ok() || failed_at_ > given_) return std::nullopt;
  return failure_;
}

}  // namespace towline::fetcher
