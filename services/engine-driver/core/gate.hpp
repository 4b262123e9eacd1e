// The last gate before the EL. An EL enforces next to nothing of this (it answers VALID to a finalized label that goes
// back), so every write passes here: who may command, on what view of the EL, and what the labels may become. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "libs/eth/types.hpp"

namespace towline::driver {

/// The labels of an EL; absent = not set there.
struct Labels {
  std::optional<eth::BlockRef> latest;
  std::optional<eth::BlockRef> safe;
  std::optional<eth::BlockRef> finalized;
};

struct Command {
  std::string authority;
  std::uint64_t epoch = 0;
  Hash32 expected_head;
};

/// What must survive a restart.
struct Persistent {
  std::string authority;
  std::uint64_t epoch = 0;
  /// The highest finalized block ever confirmed by a read back.
  std::optional<eth::BlockId> fence;
  bool operator==(const Persistent&) const = default;
};
std::string encode(const Persistent& p);
absl::StatusOr<Persistent> decode_persistent(const std::string& text);

class Gate {
 public:
  explicit Gate(Persistent p) : state_{std::move(p)} {}
  const Persistent& state() const { return state_; }

  /// FAILED_PRECONDITION: an older epoch, another authority, or the EL's head is not the expected one. A newer epoch is
  /// taken over: persist state() before anything is sent.
  absl::Status admit(const Command& c, const Labels& el);

  /// Labels for a chain whose head is `head`. A label that is absent stays as it is. FAILED_PRECONDITION: finalized
  /// above safe, safe above head, or finalized below or beside the fence. Canonicality is the caller's to check (it
  /// needs the EL).
  absl::Status check_labels(const eth::BlockId& head, const std::optional<eth::BlockId>& safe,
                            const std::optional<eth::BlockId>& finalized, const Labels& el) const;

  /// The EL confirmed `finalized` by reading it back. True: the fence has moved, persist state().
  bool confirm_finalized(const eth::BlockId& finalized);

  /// May the head be rewound to `to`? Never below the fence, nor beside it at its height.
  absl::Status check_rewind(const eth::BlockId& to) const;

 private:
  Persistent state_;
};

}  // namespace towline::driver
