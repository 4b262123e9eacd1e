#include "services/remote-fetcher/core/window_proof.hpp"

#include <algorithm>

namespace towline::fetcher {

WindowProof::WindowProof(std::uint64_t first, const eth::BlockId& tip, std::vector<HashedHeader> kept)
    : tip_{tip}, proof_{first, tip} {
  for (auto& h : kept) proof_.put(std::move(h), kNobody);
  for (std::uint64_t n = first; n <= tip.number;) {
    const std::uint64_t end = std::min<std::uint64_t>(tip.number + 1, n + kBatch);
    std::vector<std::uint64_t> numbers;
    for (; n < end; ++n)
      if (!proof_.has(n)) numbers.push_back(n);
    if (!numbers.empty()) left_.push_back(std::move(numbers));
  }
}

std::optional<WindowProof::Ask> WindowProof::next() {
  if (result_) return std::nullopt;
  if (!filled_) {
    if (failure_.ok() && !left_.empty()) {
      if (out_ == kMostBatches) return std::nullopt;
      ++out_;
      AskHeaders ask{std::move(left_.front())};
      left_.pop_front();
      return ask;
    }
    if (out_ > 0) return std::nullopt;
    if (!failure_.ok()) {
      result_ = failure_;
      return std::nullopt;
    }
    filled_ = true;
  }
  if (out_ > 0) return std::nullopt;
  ++out_;
  if (const auto gap = proof_.next_gap()) return AskGap{*gap, proof_.first(), tip_};
  linked_ = std::make_shared<const std::vector<HashedHeader>>(std::move(proof_).take());
  return Judge{linked_, std::move(suspects_)};
}

void WindowProof::on_headers(Headers got) {
  --out_;
  for (auto& h : got.found) proof_.put(std::move(h.header), h.endpoint);
  if (failure_.ok()) failure_ = got.status;
}

void WindowProof::on_gap(absl::StatusOr<Closed> got) {
  --out_;
  if (!got.ok()) {
    result_ = got.status();
    return;
  }
  for (auto& h : got->found) proof_.put(std::move(h.header), h.endpoint);
  if (got->suspect) suspects_.push_back(*std::move(got->suspect));
}

void WindowProof::on_judged(const absl::Status& st) {
  --out_;
  if (st.ok()) result_ = linked_;
  else result_ = st;
}

std::vector<HashedHeader> WindowProof::give_up() && {
  if (filled_) return {};
  return std::move(proof_).give_up();
}

}  // namespace towline::fetcher
