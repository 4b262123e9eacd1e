// The last gate before the EL. An EL enforces next to nothing of this (it answers VALID to a finalized label that goes
// back), so every write passes here: who may command, on what view of the EL, and what the labels may become. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "libs/contract/command.hpp"
#include "libs/eth/types.hpp"

namespace towline::driver {

/// Whose state it is.
struct ChainIdentity {
  std::uint64_t chain_id = 0;
  Hash32 genesis;
  bool operator==(const ChainIdentity&) const = default;
};

/// What must survive a restart.
struct Persistent {
  std::string authority;
  std::uint64_t term = 0;
  /// The highest finalized block ever confirmed by a read back.
  std::optional<eth::BlockId> confirmed_finalized;
  /// Absent in files of older versions.
  std::optional<ChainIdentity> chain = {};
  bool operator==(const Persistent&) const = default;
};
/// What everybody may know of it.
void show(const Persistent& p, contract::EngineState& s);
std::string encode(const Persistent& p);
absl::StatusOr<Persistent> decode_persistent(const std::string& text);

/// May a command with this authority and term come? Refusals: other_authority, stale_term, impossible_term (taken
/// over once, it would lock every coordinator out for ever).
absl::Status check_term(const contract::CommandStamp& c, const Persistent& known);

/// `there`: the EL's block at the confirmed finalized block's height, if it has one. Refusal below_finalized: it is
/// another one.
absl::Status compare_confirmed_finalized(const eth::BlockId& confirmed_finalized,
                                         const std::optional<eth::BlockRef>& there);

/// Whether an EL that shows `el` has to go back to its block `to` when `was` is final no more. It has not where it
/// stands there or below, nor where `to` is its own block at that height.
bool must_go_back(const contract::Labels& el, const eth::BlockId& was, const eth::BlockId& to);
/// For a person: what an EL that was to go back to `to` still shows above it; empty: nothing.
std::string above(const contract::Labels& el, const eth::BlockId& to);

class Gate {
 public:
  explicit Gate(Persistent p) : state_{std::move(p)} {}
  const Persistent& state() const { return state_; }

  /// What has to be on disk before it counts; nullopt: nothing new.
  using ToSave = std::optional<Persistent>;
  /// `p`, which one of the functions below asked for, is on disk: from now on it counts.
  void saved(Persistent p) { state_ = std::move(p); }

  /// As check_term(). A newer term is to be saved.
  absl::StatusOr<ToSave> take_term(const contract::CommandStamp& c) const;
  /// Refusal head_moved: the EL's head is not the expected one.
  static absl::Status check_head(const contract::CommandStamp& c, const contract::Labels& el);

  /// Labels for a chain whose head is `head`. A label that is absent stays as it is. label_order: finalized above
  /// safe, or safe above head; below_finalized: below or beside the confirmed finalized block. Canonicality is the
  /// caller's to check (it needs the EL).
  absl::Status check_labels(const eth::BlockId& head, const std::optional<eth::BlockId>& safe,
                            const std::optional<eth::BlockId>& finalized, const contract::Labels& el) const;

  /// The EL confirmed `finalized` by reading it back: a confirmed finalized block that is higher is to be saved.
  ToSave confirm_finalized(const eth::BlockId& finalized) const;

  /// An operator takes back `was`, which is final here: `to`, which is on the EL's chain, is to be saved as the
  /// confirmed finalized block. A confirmed finalized block that is an ancestor of `to` stays. not_final: neither the
  /// confirmed finalized block nor the EL's finalized block is `was`. INVALID_ARGUMENT: `to` is not below it, nor
  /// another block of its height.
  absl::StatusOr<ToSave> lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                         const contract::Labels& el) const;

  /// May the head be rewound to `to`? Never below the confirmed finalized block, nor beside it at its height.
  absl::Status check_rewind(const eth::BlockId& to) const;

 private:
  Persistent state_;
};

}  // namespace towline::driver
