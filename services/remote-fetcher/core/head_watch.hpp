// When a subscriber to heads is told something: news at once, and the same again each poll interval, so that silence
// means trouble. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <variant>

#include "libs/contract/heads.hpp"

namespace towline::fetcher {

/// What is known of the sources beside their heads.
struct SourceTroubles {
  /// Why no endpoint gives heads.
  contract::SourceTrouble heads;
  /// Why none gives the blocks that were asked for last.
  std::optional<contract::SourceTrouble> blocks;
  /// No probe has ended yet: nothing can be said of any endpoint.
  bool nothing_asked_yet = false;
};

class HeadWatch {
 public:
  /// The first look at the endpoints may still be under way: without heads nothing is said for a moment.
  HeadWatch(absl::Time now, absl::Duration interval)
      : interval_{interval}, next_{now}, due_{now}, patience_{now + std::max(interval * 3, absl::Seconds(2))} {}

  using Message = std::variant<contract::HeadSnapshot, contract::SourceTrouble>;
  /// `s`: what this subscriber is to follow now, nullopt: nobody leads. What to send; nullopt: nothing yet.
  std::optional<Message> look(std::optional<contract::HeadSnapshot> s, const SourceTroubles& troubles, absl::Time now);
  /// When to look again though nothing changes.
  absl::Time due() const { return due_; }

 private:
  const absl::Duration interval_;
  /// What was sent is repeated from here on.
  absl::Time next_;
  absl::Time due_;
  const absl::Time patience_;
  std::optional<contract::HeadSnapshot> sent_;
};

}  // namespace towline::fetcher
