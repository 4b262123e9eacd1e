#include "services/engine-driver/core/foreign_head.hpp"

namespace towline::driver {

void ForeignHead::on_look(const eth::BlockRef& head, std::uint64_t writes, const std::optional<Hash32>& commanded,
                          absl::Time now) {
  const bool quiet = head_ && writes == writes_;
  if (quiet && head.number > head_->number && head.hash != commanded) {
    if (now - last_ > kWithin) moves_ = 0;
    ++moves_;
    last_ = now;
  }
  head_ = head;
  writes_ = writes;
}

}  // namespace towline::driver
