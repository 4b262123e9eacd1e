#include "tools/towline/recovery.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/wire/convert.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

bool is_reth(const v1::Tow& t) { return absl::StrContains(absl::AsciiStrToLower(t.local().client_version()), "reth"); }

std::string whole(const eth::BlockId& b) { return absl::StrCat(thousands(b.number), " ", to_hex(b.hash.view())); }

std::vector<std::string> of_diverged(const v1::Tow& t) {
  std::vector<std::string> steps;
  if (t.reason_code() == "engine_contradicts_finalized")
    steps.push_back(
        "Was the EL's database replaced, or is --data-dir another EL's? Restore the EL from a trusted snapshot, or "
        "give "
        "engine-driver its own --data-dir.");
  else
    steps.push_back(
        "The sources are wrong: cordon them (towline cordon NAME) or replace them. Towing goes on by itself.");
  steps.push_back(
      "We are wrong (ask somebody else: towline inspect block --url URL --number N): `towline recover --force --reason "
      "WHY` lowers what is final here, where most trust groups have one other block.");
  return steps;
}

/// The steps if the driver cannot call debug_setHead.
std::string by_hand(const v1::Tow& t, const eth::BlockId& to) {
  if (is_reth(t))
    return absl::StrCat("Stop op-reth, run `op-reth stage unwind to-block ", to.number,
                        "` with its --datadir and --chain, start it again. Towing goes on by itself.");
  return absl::StrCat("On the EL's ordinary RPC (with the debug namespace): debug_setHead(\"", to_quantity(to.number),
                      "\"). Towing goes on by itself.");
}

const char* name(Lowering::Result v) {
  switch (v) {
    case Lowering::Result::asking: return "asking";
    case Lowering::Result::nothing_final: return "nothing_final";
    case Lowering::Result::supported: return "supported";
    case Lowering::Result::no_majority: return "no_majority";
    case Lowering::Result::other_chain: return "other_chain";
    case Lowering::Result::no_answer: return "no_answer";
    case Lowering::Result::lower: return "lower";
  }
  return "?";
}

/// The endpoint's block at a height.
std::optional<eth::BlockId> block_at(const v1::EndpointBlocks& e, std::uint64_t number) {
  for (const auto& b : e.blocks()) {
    auto id = wire::from_proto(b);
    if (id.ok() && id->number == number) return *id;
  }
  return std::nullopt;
}

std::vector<std::string> outcome_lines(const Finality& f, const v1::Tow& t) {
  const std::string to = whole(*f.lowering.to());
  const v1::CommandResult& r = *f.lowered;
  switch (r.outcome()) {
    case v1::OUTCOME_DONE:
      return {absl::StrCat("done: ", to, " is final here now, and the EL's head is ",
                           block_text(r.labels().unsafe().number(), r.labels().unsafe().hash()),
                           ". Towing goes on by itself.")};
    case v1::OUTCOME_NOT_APPLIED:
      return {absl::StrCat(to, " is final here now; the EL has to be brought back by hand: ", r.reason()),
              by_hand(t, *f.lowering.to())};
    case v1::OUTCOME_REFUSED: return {absl::StrCat("refused, and nothing was changed: ", r.reason())};
    default:
      return {absl::StrCat(to, " is final here now; what became of the EL is not known: ", r.reason()),
              "Look again: `towline recover`."};
  }
}

std::vector<std::string> result_lines(const Finality& f, const v1::Tow& t) {
  const Lowering& l = f.lowering;
  switch (l.result()) {
    case Lowering::Result::nothing_final: return {"nothing is final here, so nothing can be lowered"};
    case Lowering::Result::supported: return {"a majority of the trust groups has it, too: nothing may be lowered"};
    case Lowering::Result::no_majority:
      return {"no other block has a majority of the trust groups there: nothing may be lowered"};
    case Lowering::Result::other_chain:
      return {absl::StrCat("most have ", whole(*l.theirs())),
              "they have another genesis block, too: these are sources of another chain, nothing may be lowered"};
    case Lowering::Result::asking:
    case Lowering::Result::no_answer:
      return {absl::StrCat("most have ", whole(*l.theirs())),
              "the highest block that the EL has in common with them was not found, nothing may be lowered: try again"};
    case Lowering::Result::lower: break;
  }
  std::vector<std::string> out{absl::StrCat("most have ", whole(*l.theirs())),
                               absl::StrCat("in common with the EL: up to ", whole(*l.to()))};
  if (f.lowered) {
    const auto more = outcome_lines(f, t);
    out.insert(out.end(), more.begin(), more.end());
  } else if (t.local().can_rewind()) {
    out.push_back(
        "`towline recover --force --reason WHY` makes that final here, and rewinds the EL to it (debug_setHead)");
  } else {
    out.push_back(
        "`towline recover --force --reason WHY` makes that final here; the EL then has to be brought back by hand:");
    out.push_back(by_hand(t, *l.to()));
  }
  return out;
}

std::vector<std::string> finality_lines(const Finality& f, const v1::Tow& t) {
  std::vector<std::string> out;
  if (const auto& was = f.lowering.was()) {
    out.push_back(absl::StrCat("final here: ", whole(*was)));
    out.push_back(absl::StrCat("of ", f.said.groups(), " trust group(s):"));
    for (const auto& e : f.said.endpoints()) {
      const auto there = block_at(e, was->number);
      out.push_back(absl::StrCat("  ", e.endpoint(), " (", e.group(), "): ",
                                 !there ? e.silence().empty() ? "has no block there" : "silent: " + e.silence()
                                 : *there == *was ? "the same block"
                                                  : to_hex(there->hash.view())));
    }
  }
  const auto more = result_lines(f, t);
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

nlohmann::ordered_json finality_json(const Finality& f) {
  const auto block = [](const std::optional<eth::BlockId>& b) -> nlohmann::ordered_json {
    if (!b) return nullptr;
    return {{"number", b->number}, {"hash", to_hex(b->hash.view())}};
  };
  nlohmann::ordered_json says = nlohmann::ordered_json::array();
  for (const auto& e : f.said.endpoints()) {
    const auto there = f.lowering.was() ? block_at(e, f.lowering.was()->number) : std::nullopt;
    says.push_back(
        {{"endpoint", e.endpoint()}, {"group", e.group()}, {"block", block(there)}, {"silence", e.silence()}});
  }
  nlohmann::ordered_json out = {
      {"result", name(f.lowering.result())}, {"was", block(f.lowering.was())}, {"theirs", block(f.lowering.theirs())},
      {"to", block(f.lowering.to())},        {"groups", f.said.groups()},      {"says", says}};
  if (f.lowered) {
    out["outcome"] = v1::Outcome_Name(f.lowered->outcome());
    out["outcome_reason"] = f.lowered->reason();
  }
  return out;
}

}  // namespace

std::vector<std::string> recovery(const v1::Tow& t) {
  const bool reth = is_reth(t);
  const std::string& code = t.reason_code();
  if (t.state() == v1::TOW_STATE_DIVERGED) return of_diverged(t);
  if (code == "branch_too_deep" || code == "rewind_failed")
    return {reth
                ? "Stop op-reth, run `op-reth stage unwind to-block N` with the block named above, start it again. "
                  "Towing goes on by itself."
                : "On the EL's ordinary RPC (with the debug namespace): debug_setHead to the block named above. Towing "
                  "goes on by itself.",
            "Or start engine-driver with --engine.admin-rpc URL: it then rewinds op-geth by itself, never below the "
            "confirmed_finalized, for a branch that most trust groups have (of one group: "
            "--engine.admin-rpc-trust=single-source)."};
  if (code == "el_sync_stalled")
    return {
        "Give the EL peers, or restart it as the reason above says, or start it from a snapshot. It is told to sync "
        "again and again."};
  if (code == "engine_missing_state" && t.state() == v1::TOW_STATE_NEEDS_OPERATOR)
    return {
        "Restart the EL: it may find the state again, or come back at a block that it has. Towing goes on by itself.",
        reth ? "Else stop op-reth and run `op-reth stage unwind to-block N`, N a block below the one named above."
             : "Else rewind it with debug_setHead to a block that it has, not below the confirmed finalized block."};
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
  if (code == "source_replaying") return {};
  if (code == "no_heads" || code == "gossip_only" || code == "no_blocks" || code == "clock_skew" ||
      absl::StartsWith(code, "source_"))
    return {"Look at `towline endpoints`: it says why none can be used, and what to do.",
            "If it does not answer either, start remote-fetcher, or correct the coordinator's --remote-fetcher."};
  if (code == "safe_stalled" || code == "finalized_stalled")
    return {"Is the chain's batcher down, or does its L1 not finalize? Then wait; else add another --source."};
  if (code == "quorum_lost" || code == "sources_disagree")
    return {"Look at `towline endpoints`: which trust group is silent, or has other blocks than the others.",
            "Cordon a source that lies, mend one that is away, or add one of another trust group."};
  if (code == "labels_unset")
    return {"A young chain has no safe and finalized block yet: wait. Else add a --source that names them."};
  if (code == "labels_stuck") return {"Look at `towline decisions`: it says what engine-driver refuses."};
  if (code == "waiting_for_snapshot")
    return {
        "Stop the EL, put a snapshot into its data directory, start it again. Or start sync-coordinator with another "
        "--sync-start."};
  if (code == "superseded") return {"Two coordinators run for this engine-driver: stop one of them."};
  return {};
}

bool needs_person(const v1::SyncStatus& s) {
  return std::any_of(s.tows().begin(), s.tows().end(), [](const v1::Tow& t) { return !recovery(t).empty(); });
}

std::string recover_text(const v1::SyncStatus& s, const Finalities& f) {
  std::string out;
  for (const v1::Tow& t : s.tows()) {
    absl::StrAppend(&out, t.driver(), ": ", state_name(t.state()), "\n  what happened: ", t.reason(), "\n");
    const auto steps = recovery(t);
    for (std::size_t i = 0; i < steps.size(); ++i) absl::StrAppend(&out, "  ", i + 1, ". ", steps[i], "\n");
    if (steps.empty()) absl::StrAppend(&out, "  Nothing needs an operator.\n");
    if (const auto it = f.find(t.driver()); it != f.end())
      for (const auto& line : finality_lines(it->second, t)) absl::StrAppend(&out, "  ", line, "\n");
  }
  return out.empty() ? "no engine-driver is towed\n" : out;
}

std::string recover_json(const v1::SyncStatus& s, const Finalities& f) {
  nlohmann::ordered_json tows = nlohmann::ordered_json::array();
  for (const v1::Tow& t : s.tows()) {
    const auto steps = recovery(t);
    tows.push_back({{"driver", t.driver()},
                    {"state", state_name(t.state())},
                    {"reason_code", t.reason_code()},
                    {"reason", t.reason()},
                    {"needs_person", !steps.empty()},
                    {"steps", steps}});
    if (const auto it = f.find(t.driver()); it != f.end()) tows.back()["finality"] = finality_json(it->second);
  }
  return nlohmann::ordered_json{{"tows", tows}}.dump(1) + "\n";
}

}  // namespace towline::cli
