#include "tools/towline/recovery.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

std::vector<std::string> of_diverged(const v1::Tow& t, bool reth) {
  const std::string ours =
      t.local().has_fence() ? block_text(t.local().fence().number(), t.local().fence().hash()) : "unknown";
  const std::string theirs =
      t.has_diverged_remote() ? block_text(t.diverged_remote().number(), t.diverged_remote().hash()) : "unknown";
  return {
      absl::StrCat("Final here: ", ours, "; the source says ", theirs,
                   ". Find out who is right: ask a third source for the block at that height (towline inspect block "
                   "--url URL --number N)."),
      "The source is wrong: cordon it (towline cordon NAME) or replace it. Towing goes on by itself.",
      absl::StrCat("We are wrong: stop engine-driver, delete state.json in its --data-dir, restore the EL from a "
                   "trusted snapshot",
                   reth ? " (or `op-reth stage unwind`)" : " (or rewind it with debug_setHead below that block)",
                   ", start both.")};
}

}  // namespace

std::vector<std::string> recovery(const v1::Tow& t) {
  const bool reth = absl::StrContains(absl::AsciiStrToLower(t.local().client_version()), "reth");
  const std::string& code = t.reason_code();
  if (t.state() == v1::TOW_STATE_DIVERGED) return of_diverged(t, reth);
  if (code == "branch_too_deep" || code == "rewind_failed")
    return {reth
                ? "Stop op-reth, run `op-reth stage unwind to-block N` with the block named above, start it again. "
                  "Towing goes on by itself."
                : "On the EL's ordinary RPC (with the debug namespace): debug_setHead to the block named above. Towing "
                  "goes on by itself.",
            "Or start engine-driver with --engine.admin-rpc URL: it then rewinds op-geth by itself, never below the "
            "fence, for a branch that most trust groups have (of one group: --engine.admin-rpc-trust=single-source)."};
  if (code == "engine_missing_state" && t.state() == v1::TOW_STATE_NEEDS_OPERATOR)
    return {
        "Restart the EL: it may find the state again, or come back at a block that it has. Towing goes on by itself.",
        reth ? "Else stop op-reth and run `op-reth stage unwind to-block N`, N a block below the one named above."
             : "Else rewind it with debug_setHead to a block that it has, not below the fence."};
  if (code == "engine_wrong_chain")
    return {
        "Point --engine at the EL of this chain, or initialise it with this chain's genesis, or correct "
        "--rollup-config / --network."};
  if (code == "engine_is_ordinary_rpc" || code == "engine_driven_elsewhere" || code == "state_not_saved")
    return {"The reason above names the cause; take it away. Towing goes on by itself."};
  if (code == "unknown_rules")
    return {"Is there a fork that this version does not know? Upgrade Towline, or correct the rollup config."};
  if (code == "el_refuses_majority")
    return {absl::StrCat("Upgrade the EL (", t.local().client_version(),
                         "): does it know the fork of that block? Compare its fork times with the chain's."),
            "If it does, its database is damaged: restore it from a trusted snapshot.",
            "If most sources are wrong, cordon them (towline cordon NAME)."};
  if (t.state() == v1::TOW_STATE_NEEDS_OPERATOR)
    return {"Compare the fork times of the rollup config with the chain's.",
            absl::StrCat("Upgrade the EL (", t.local().client_version(), ").")};
  if (code == "invalid_block")
    return {absl::StrCat("The EL refuses a block of every source: upgrade it (", t.local().client_version(),
                         "), and compare its fork times with the chain's."),
            "Or add a --source that follows the right chain."};
  if (code == "engine_auth_failed")
    return {"Give engine-driver the EL's own secret (--jwt-secret) and compare the clocks of both hosts."};
  if (code == "driver_unreachable") return {"Start engine-driver, or correct the coordinator's --engine-driver."};
  if (code == "engine_unreachable") return {"Start the EL, or correct --engine."};
  if (code == "no_heads" || code == "no_blocks" || absl::StartsWith(code, "source_"))
    return {"Look at `towline endpoints`: it says why none can be used, and what to do."};
  if (code == "safe_stalled" || code == "finalized_stalled")
    return {"Is the chain's batcher down, or does its L1 not finalize? Then wait; else add another --source."};
  if (code == "quorum_lost" || code == "sources_disagree")
    return {"Look at `towline endpoints`: which trust group is silent, or has other blocks than the others.",
            "Cordon a source that lies, mend one that is away, or add one of another trust group."};
  if (code == "labels_unset")
    return {"A young chain has no safe and finalized block yet: wait. Else add a --source that names them."};
  if (code == "superseded") return {"Two coordinators run for this engine-driver: stop one of them."};
  return {};
}

bool needs_person(const v1::SyncStatus& s) {
  return std::any_of(s.tows().begin(), s.tows().end(), [](const v1::Tow& t) { return !recovery(t).empty(); });
}

std::string recover_text(const v1::SyncStatus& s) {
  std::string out;
  for (const v1::Tow& t : s.tows()) {
    absl::StrAppend(&out, t.driver(), ": ", state_name(t.state()), "\n  what happened: ", t.reason(), "\n");
    const auto steps = recovery(t);
    for (std::size_t i = 0; i < steps.size(); ++i) absl::StrAppend(&out, "  ", i + 1, ". ", steps[i], "\n");
    if (steps.empty()) absl::StrAppend(&out, "  Nothing needs an operator.\n");
  }
  return out.empty() ? "no engine-driver is towed\n" : out;
}

std::string recover_json(const v1::SyncStatus& s) {
  nlohmann::ordered_json tows = nlohmann::ordered_json::array();
  for (const v1::Tow& t : s.tows()) {
    const auto steps = recovery(t);
    tows.push_back({{"driver", t.driver()},
                    {"state", state_name(t.state())},
                    {"reason_code", t.reason_code()},
                    {"reason", t.reason()},
                    {"needs_person", !steps.empty()},
                    {"steps", steps}});
  }
  return nlohmann::ordered_json{{"tows", tows}}.dump(1) + "\n";
}

}  // namespace towline::cli
