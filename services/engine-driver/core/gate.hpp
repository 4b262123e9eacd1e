// The last gate before the EL. An EL enforces almost nothing of this: it answers VALID to a finalized label that moves
// back. Every write passes here: who may command, based on which view of the EL, and where the labels may move. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "libs/contract/command.hpp"
#include "libs/eth/types.hpp"

namespace towline::driver {

/// The chain that a saved state belongs to.
struct ChainIdentity {
  std::uint64_t chain_id = 0;
  Hash32 genesis;
  bool operator==(const ChainIdentity&) const = default;
};

/// The state that must survive a restart.
struct Persistent {
  std::string authority;
  std::uint64_t term = 0;
  /// The highest finalized block confirmed by a read back, unless an operator lowered it since.
  std::optional<eth::BlockId> confirmed_finalized;
  /// Absent in files of older versions.
  std::optional<ChainIdentity> chain = {};
  bool operator==(const Persistent&) const = default;
};
/// Copies the published part of `p` to `s`.
void show(const Persistent& p, contract::EngineState& s);
std::string encode(const Persistent& p);
/// The inverse of encode(). DATA_LOSS: the text is damaged.
absl::StatusOr<Persistent> decode_persistent(const std::string& text);

/// Whether a command with this authority and term is acceptable. Refusals: other_authority, stale_term, impossible_term
/// (a term so high that, once accepted, it would lock out every coordinator for ever).
absl::Status check_term(const contract::CommandStamp& c, const Persistent& known);

/// `there`: the EL's block at the height of the confirmed finalized block, if it has one. Refusal below_finalized if it
/// is a different block.
absl::Status compare_confirmed_finalized(const eth::BlockId& confirmed_finalized,
                                         const std::optional<eth::BlockRef>& there);

/// Whether an EL that shows `el` has to go back to its block `to` when `was` is no longer final. False if all its
/// labels are at `to` or below, or if `to` is at the height of `was`.
bool must_go_back(const contract::Labels& el, const eth::BlockId& was, const eth::BlockId& to);
/// For display: which label of the EL is still above `to`; empty: none.
std::string above(const contract::Labels& el, const eth::BlockId& to);

class Gate {
 public:
  explicit Gate(Persistent p) : state_{std::move(p)} {}
  const Persistent& state() const { return state_; }

  /// The state that must be on disk before it takes effect; nullopt: nothing new.
  using ToSave = std::optional<Persistent>;
  /// `p`, returned by one of the functions below, is on disk and takes effect now.
  void saved(Persistent p) { state_ = std::move(p); }

  /// check_term(); a newer term has to be saved.
  absl::StatusOr<ToSave> take_term(const contract::CommandStamp& c) const;
  /// Refusal head_moved: the EL's head is not the expected one.
  static absl::Status check_head(const contract::CommandStamp& c, const contract::Labels& el);

  /// Checks labels for a chain with head `head`. An absent label stays as it is. Refusals: label_order (finalized above
  /// safe, or a label above the head), below_finalized (below the confirmed finalized block, or another block at its
  /// height). The caller has to check that the labels are canonical, which needs the EL.
  absl::Status check_labels(const eth::BlockId& head, const std::optional<eth::BlockId>& safe,
                            const std::optional<eth::BlockId>& finalized, const contract::Labels& el) const;

  /// The EL confirmed `finalized` by a read back. A higher confirmed finalized block has to be saved.
  ToSave confirm_finalized(const eth::BlockId& finalized) const;

  /// An operator revokes `was`, which is final here. `to`, a block of the EL's chain, becomes the confirmed finalized
  /// block; one that is already lower stays. Refusal not_final: `was` is neither the confirmed finalized block nor the
  /// EL's finalized block. INVALID_ARGUMENT: `to` is `was`, or above it.
  absl::StatusOr<ToSave> lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                         const contract::Labels& el) const;

  /// Whether the head may be rewound to `to`: not below the confirmed finalized block, nor to another block at its
  /// height.
  absl::Status check_rewind(const eth::BlockId& to) const;

 private:
  Persistent state_;
};

}  // namespace towline::driver
