#include "services/remote-fetcher/core/head_watch.hpp"

#include "services/remote-fetcher/core/heads.hpp"

namespace towline::fetcher {

std::optional<HeadWatch::Message> HeadWatch::look(std::optional<contract::HeadSnapshot> s,
                                                  const SourceTroubles& troubles, absl::Time now) {
  due_ = next_ > now ? next_ : now + interval_;
  if (!s && !sent_ && (now < patience_ || troubles.nothing_asked_yet)) return std::nullopt;
  if (s) {
    s->blocks_trouble = troubles.blocks;
    // News of other endpoints leads here as well.
    if (sent_ && same_heads(*sent_, *s) && now < next_) return std::nullopt;
  } else if (!sent_ && now < next_) {
    return std::nullopt;
  }
  sent_ = std::move(s);
  next_ = due_ = now + interval_;
  return sent_ ? Message{*sent_} : Message{troubles.heads};
}

}  // namespace towline::fetcher
