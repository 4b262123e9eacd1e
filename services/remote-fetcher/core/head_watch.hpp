// When a subscriber to heads gets a message: changes at once, and an unchanged state once per poll interval, so that
// silence means trouble. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <variant>

#include "libs/contract/heads.hpp"

namespace towline::fetcher {

/// What is known about the sources beside their heads.
struct SourceTroubles {
  /// Why no endpoint gives heads.
  contract::SourceTrouble heads;
  /// Why no endpoint gives the blocks that were requested last.
  std::optional<contract::SourceTrouble> blocks;
  /// No probe has ended yet, so nothing is known about any endpoint.
  bool nothing_asked_yet = false;
};

class HeadWatch {
 public:
  /// The first look at the endpoints may still be in progress: without heads, nothing is sent for a moment.
  HeadWatch(absl::Time now, absl::Duration interval)
      : interval_{interval}, next_{now}, due_{now}, patience_{now + std::max(interval * 3, absl::Seconds(2))} {}

  using Message = std::variant<contract::HeadSnapshot, contract::SourceTrouble>;
  /// `s`: the heads that this subscriber should follow; nullopt: no source leads. Returns the message to send; nullopt:
  /// none yet.
  std::optional<Message> look(std::optional<contract::HeadSnapshot> s, const SourceTroubles& troubles, absl::Time now);
  /// When to look again even if nothing changes.
  absl::Time due() const { return due_; }

 private:
  const absl::Duration interval_;
  /// From here on an unchanged state is repeated.
  absl::Time next_;
  absl::Time due_;
  const absl::Time patience_;
  std::optional<contract::HeadSnapshot> sent_;
};

}  // namespace towline::fetcher
