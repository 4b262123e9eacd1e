#include "services/sync-coordinator/core/stuck.hpp"

#include <absl/strings/str_cat.h>

namespace towline::coordinator {
namespace {

/// How long an EL may take to get the missing state of a branch by itself.
constexpr absl::Duration kOperatorAfter = absl::Seconds(30);
/// How long the majority must have had the branch before the EL is rewound to it.
constexpr absl::Duration kRewindAfter = absl::Minutes(1);
/// A shorter interruption does not reset kRewindAfter: sources are polled in turn, and a lying source can hide a
/// majority for one poll now and then.
constexpr absl::Duration kLapse = absl::Seconds(5);

}  // namespace

std::string against_rewind(const LocalChain& local, const RemoteView& remote, const eth::BlockId& parent) {
  const auto& heads = remote.heads();
  if (!local.state()->can_rewind) return "engine-driver has no --engine.admin-rpc";
  if (!heads) return "no source is heard";
  if (remote.no_majority()) return absl::StrCat(heads->agree, " of ", heads->groups, " trust groups have that branch");
  if (heads->groups == 1 && !local.state()->rewind_for_single_source)
    return "nobody confirms the word of the one trust group (--engine.admin-rpc-trust=single-source believes it)";
  if (heads->safe_hold != contract::Hold::none || !heads->safe || heads->safe->number <= parent.number ||
      local.has(heads->safe) == true)
    return "no block of that branch is safe";
  return {};
}

Stuck::Answer Stuck::on_refused(const eth::BlockId& parent, bool switches, const std::string& why,
                                const LocalChain& local, const RemoteView& remote, absl::Time now) {
  const bool again = stuck_at_ == parent;
  if (!again) {
    stay_at(parent, now);
    may_rewind_since_.reset();
    may_not_since_.reset();
  }
  const std::string at = eth::to_string(parent);
  const std::string against = switches ? against_rewind(local, remote, parent) : "";
  note_rewind(!against.empty(), now);
  if (against.empty() && !may_rewind_since_) may_rewind_since_ = now;
  if (switches && against.empty() && now < *may_rewind_since_ + kRewindAfter) {
    return {{},
            {TowState::waiting_for_engine, ReasonCode::engine_missing_state,
             absl::StrCat("the EL does not have the state of ", at,
                          ": it is rewound there if most sources have that branch for ",
                          absl::ToInt64Seconds(*may_rewind_since_ + kRewindAfter - now), " s more")}};
  }
  // A killed op-geth that restarted at a lower block keeps blocks above its head and does not move onto them. A rewind
  // to its own head removes them. A single such answer may also come from a call repeated to an EL that has just
  // restarted, so two answers are needed.
  if (local.state()->can_rewind && against.empty() && (switches || again)) {
    return {switches ? absl::StrCat("the EL does not have the state of ", at, ": rewinding it there")
                     : absl::StrCat("the EL does not move from its head ", at,
                                    " although it was restarted there: rewinding it to it"),
            {}};
  }
  const std::string set_head = absl::StrCat("debug_setHead(\"0x", absl::Hex(parent.number), "\")");
  if (now - since_ < kOperatorAfter) {
    return {{},
            {TowState::waiting_for_engine, ReasonCode::engine_missing_state,
             absl::StrCat("the EL cannot go on from ", at, " (yet): ", why)}};
  }
  if (switches) {
    return {{},
            {TowState::needs_operator, ReasonCode::branch_too_deep,
             absl::StrCat("the EL cannot switch to the branch that leaves ours after ", at,
                          ": it does not have the state there. Rewind it to that block (op-geth: ", set_head,
                          "). It is not done by itself: ", against)}};
  }
  if (parent.number <= local.state()->genesis.number) {
    return {{},
            {TowState::needs_operator, ReasonCode::engine_missing_state,
             absl::StrCat("the EL executes no block on its genesis: ", why,
                          ". An op-geth executes none before its first snap sync: restart it with --syncmode=full, or "
                          "give it peers and sync-coordinator --sync-start=elsync")}};
  }
  return {{},
          {TowState::needs_operator, ReasonCode::engine_missing_state,
           absl::StrCat("the EL does not go on from its own head ", at,
                        ": was it killed? Rewind it to that block (op-geth: ", set_head,
                        "), or give engine-driver --engine.admin-rpc")}};
}

void Stuck::stay_at(const eth::BlockId& parent, absl::Time now) {
  stuck_at_ = parent;
  since_ = now;
}

void Stuck::on_sources(const LocalChain& local, const RemoteView& remote, absl::Time now) {
  if (!stuck_at_) return may_rewind_since_.reset();
  if (local.state()) note_rewind(!against_rewind(local, remote, *stuck_at_).empty(), now);
}

void Stuck::note_rewind(bool against, absl::Time now) {
  if (!against) return may_not_since_.reset();
  if (!may_not_since_) may_not_since_ = now;
  if (now - *may_not_since_ >= kLapse) may_rewind_since_.reset();
}

void Stuck::on_invalid(const Hash32& target, const eth::BlockId& block) {
  invalid_target_ = target;
  invalid_block_ = block;
}

void Stuck::on_followed() {
  stuck_at_.reset();
  diverged_remote_.reset();
}

}  // namespace towline::coordinator
