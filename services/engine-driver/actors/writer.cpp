#include "services/engine-driver/actors/writer.hpp"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/engine-driver/actors/range_import.hpp"
#include "services/engine-driver/core/read_back.hpp"

namespace towline::driver {
namespace {

constexpr int kReadBackLooks = 3;
constexpr const char* kRetries = "towline_driver_engine_retries_total";
constexpr const char* kRetriesHelp = "Engine calls sent again because their outcome was not known.";
constexpr const char* kTwins = "towline_driver_twins_total";
constexpr const char* kTwinsHelp =
    "Twins of blocks that the EL kept when it was killed: it had to build them so that it moves on.";
constexpr const char* kRewinds = "towline_driver_rewinds_total";
constexpr const char* kRewindsHelp = "debug_setHead calls.";
constexpr const char* kYoung = "towline_driver_young_labels_total";
constexpr const char* kYoungHelp = "Commands of which a label was left out because its block is too young.";
constexpr absl::Duration kSayYoungEvery = absl::Minutes(1);
constexpr absl::Duration kReadBackWait = absl::Milliseconds(100);

}  // namespace

Writer::Writer(Options options, Gate gate, MinAge min_age, const StateFile& file, EngineClient& engine,
               StateBoard& board, OpenPayloadStream open_stream, Metrics& metrics)
    : options_{options},
      gate_{std::move(gate)},
      min_age_{std::move(min_age)},
      file_{file},
      engine_{engine},
      board_{board},
      open_stream_{std::move(open_stream)},
      metrics_{metrics} {
  // They exist from the start: what counts an increase misses one that appears with it.
  for (const contract::Refusal r : contract::kRefusals) refused(r);
  metrics_.counter(kRetries, kRetriesHelp);
  metrics_.counter(kTwins, kTwinsHelp);
  metrics_.counter(kRewinds, kRewindsHelp);
  metrics_.counter(kYoung, kYoungHelp);
  metrics_.counter(kBlocksImported, kBlocksImportedHelp);
  metrics_.counter(kGasImported, kGasImportedHelp);
  metrics_.counter(kBrokenLinks, kBrokenLinksHelp);
}

Metrics::Counter Writer::refused(contract::Refusal r) {
  return metrics_.counter("towline_driver_refused_total", "Commands that the gate refused.", {{"reason", name(r)}});
}

absl::StatusOr<contract::CommandResult> Writer::noted(absl::StatusOr<contract::CommandResult> ended) {
  auto result = contract::with_refusal(std::move(ended));
  if (!result.ok() || result->outcome != contract::Outcome::refused) return result;
  refused(*result->refusal).inc();
  // One that was decided on an older view of the EL heals by itself.
  const auto line = result->refusal == contract::Refusal::head_moved ? log::info : log::warn;
  line("command refused", {log::kv("refusal", name(*result->refusal)), log::kv("why", result->reason)});
  return result;
}

absl::Status Writer::save(const Persistent& p) {
  absl::Status st = file_.save(p);
  if (st.ok()) return st;
  log::error("the state cannot be saved, nothing is written to the EL until it can", {log::kv("why", st)});
  board_.update([&](contract::EngineState& s) {
    s.status = contract::EngineStatus::state_not_saved;
    s.reason = absl::StrCat("engine-driver's own state cannot be saved: ", st.message());
  });
  return absl::UnavailableError(st.message());
}

absl::Status Writer::check_fence() {
  const auto& fence = gate_.state().fence;
  if (!fence) return absl::OkStatus();
  TOWLINE_ASSIGN_OR_RETURN(const auto there, engine_.block_by_number(fence->number));
  if (auto st = compare_fence(*fence, there); !st.ok()) {
    log::error("the EL is beside the fence", {log::kv("why", st)});
    board_.update([&](contract::EngineState& s) {
      s.status = contract::EngineStatus::beside_fence;
      s.reason = std::string{st.message()};
    });
    return st;
  }
  return absl::OkStatus();
}

absl::Time Writer::chain_now() const { return steady_now() + late_; }

absl::StatusOr<contract::Labels> Writer::admit(const contract::CommandStamp& c) {
  const contract::EngineState state = board_.get();
  if (!contract::may_be_written_to(state.status)) {
    return absl::UnavailableError(absl::StrCat("the EL may not be written to: ", state.reason));
  }
  const Persistent before = gate_.state();
  // Whatever the EL says: from now on an older one is refused.
  TOWLINE_RETURN_IF_ERROR(gate_.take_epoch(c, saver()));
  if (gate_.state() != before) {
    board_.update([&](contract::EngineState& s) { show(gate_.state(), s); });
    log::info("epoch taken", {log::kv("authority", c.authority), log::kv("epoch", c.epoch)});
  }
  board_.commanded(steady_now());
  late_ = std::max(absl::ZeroDuration(), c.chain_time - steady_now());
  auto labels = engine_.labels();
  if (!labels.ok()) return labels.status();
  TOWLINE_RETURN_IF_ERROR(gate_.admit(c, *labels, saver()));
  shown_ = *labels;
  heard_ = steady_now();
  return labels;
}

absl::Status Writer::check_canonical(const eth::BlockId& id, const char* what) {
  TOWLINE_ASSIGN_OR_RETURN(auto local, engine_.block_by_number(id.number));
  if (local && local->hash == id.hash) return absl::OkStatus();
  return contract::refuse(contract::Refusal::not_canonical,
                          absl::StrCat(what, " ", eth::to_string(id), " is not on the EL's chain"));
}

EngineAnswer Writer::until_known(Call call, const std::function<EngineAnswer()>& send,
                                 const contract::Forkchoice* update, const Cancelled& cancelled) {
  const absl::Time give_up = steady_now() + options_.give_up_after;
  absl::Duration wait = absl::Milliseconds(50);
  // While the import waited for its source the EL may have been restarted, and no call was lost by it.
  bool look = steady_now() - heard_ >= options_.restart_takes;
  bool sent = false;
  while (true) {
    EngineAnswer a;
    if (look) {
      const auto labels = engine_.labels();
      if (labels.ok()) {
        heard_ = steady_now();
        if (auto known = after_loss(shown_, update, *labels)) return *std::move(known);
        look = false;
      } else if (absl::IsUnauthenticated(labels.status())) {
        a.kind = EngineAnswer::Kind::http;
        a.code = 401;
      }
      a.message = std::string{labels.status().message()};
    }
    if (!look) {
      if (sent) {
        metrics_.counter(kRetries, kRetriesHelp).inc();
      }
      a = send();
      sent = true;
    }
    if (react(call, a) != Reaction::retry) {
      heard_ = steady_now();
      return a;
    }
    if (cancelled() || steady_now() + wait > give_up) return a;
    log::warn("engine call failed, trying again",
              {log::kv("answer", describe(a)), log::kv("in_ms", absl::ToInt64Milliseconds(wait))});
    absl::SleepFor(wait);
    wait = std::min(wait * 2, absl::Seconds(2));
    look = true;
  }
}

contract::CommandResult Writer::ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block) {
  contract::CommandResult r{o, std::move(reason), block, {}};
  if (auto labels = engine_.labels(); labels.ok()) {
    r.labels = *labels;
    board_.update([&](contract::EngineState& s) { s.labels = *labels; });
  }
  return r;
}

contract::CommandResult Writer::failed(Call call, const EngineAnswer& a, const eth::BlockId& block,
                                       const Cancelled& cancelled) {
  const std::string said = absl::StrCat(call == Call::new_payload ? "newPayload " : "forkchoiceUpdated ",
                                        eth::to_string(block), ": ", describe(a));
  const auto set_status = [&](contract::EngineStatus status) {
    board_.update([&](contract::EngineState& s) {
      s.status = status;
      s.reason = said;
    });
  };
  switch (react(call, a)) {
    case Reaction::missing_state:
      set_status(contract::EngineStatus::syncing);
      return ended(contract::Outcome::missing_state, said, block);
    case Reaction::invalid:
      set_status(contract::EngineStatus::invalid);
      quarantine_.add(block.hash, steady_now());
      log::error("the EL calls a block INVALID", {log::kv("block", block), log::kv("answer", describe(a))});
      return ended(contract::Outcome::invalid, said, block);
    case Reaction::not_applied: return ended(contract::Outcome::not_applied, said, block);
    case Reaction::unsupported:
      log::error("the EL does not take this call: wrong fork times in the rollup config, or an EL that is too old",
                 {log::kv("answer", said)});
      return ended(contract::Outcome::unsupported, said, block);
    case Reaction::auth_failed:
      set_status(contract::EngineStatus::auth_failed);
      return ended(contract::Outcome::engine_unavailable, said, block);
    case Reaction::start_over:
      log::warn("the EL came back as another one while it was written to", {log::kv("answer", said)});
      // Nothing that was known of it counts any more; the monitor may not have seen that it was away.
      board_.update([](contract::EngineState& s) { ++s.engine_session; });
      return ended(contract::Outcome::engine_unavailable, said, block);
    case Reaction::retry:
    case Reaction::proceed: break;
  }
  if (cancelled()) return ended(contract::Outcome::cancelled, "cancelled", block);
  return ended(contract::Outcome::engine_unavailable, said, block);
}

std::optional<contract::CommandResult> Writer::update(const contract::Forkchoice& f, const Cancelled& cancelled) {
  if (const contract::EngineState s = board_.get(); !contract::may_be_written_to(s.status))
    return ended(contract::Outcome::engine_unavailable, s.reason, f.head);
  // An EL beside the fence would carry it along.
  if (f.finalized && gate_.state().fence != f.finalized) {
    if (auto st = check_fence(); !st.ok())
      return ended(
          contract::refusal_of(st) ? contract::Outcome::contradicts_finalized : contract::Outcome::engine_unavailable,
          std::string{st.message()}, f.head);
  }
  const auto head_before = shown_.latest;
  board_.write(f.head.hash);
  const absl::Cleanup ends = [this] { board_.write({}); };
  const EngineAnswer a = until_known(
      Call::forkchoice_updated, [&] { return engine_.forkchoice_updated(f); }, &f, cancelled);
  if (react(Call::forkchoice_updated, a) != Reaction::proceed)
    return failed(Call::forkchoice_updated, a, f.head, cancelled);
  // VALID is no proof: an EL says it to an update that it did not apply. What it shows may follow its answer by a
  // moment, though.
  auto labels = engine_.labels();
  for (int looks = 1; labels.ok() && looks < kReadBackLooks && !difference(f, *labels).empty(); ++looks) {
    absl::SleepFor(kReadBackWait);
    labels = engine_.labels();
  }
  if (!labels.ok()) return ended(contract::Outcome::engine_unavailable, std::string{labels.status().message()}, f.head);
  shown_ = *labels;
  heard_ = steady_now();
  const std::string wrong = difference(f, *labels);
  if (wrong.empty() && head_before && head_before->hash != f.head.hash) moves_ = true;
  if (wrong.empty() && f.finalized && min_age_.may_confirm(f.head, chain_now())) {
    if (auto st = gate_.confirm_finalized(*f.finalized, saver()); !st.ok())
      return ended(contract::Outcome::engine_unavailable, std::string{st.message()}, f.head);
  }
  board_.update([&](contract::EngineState& s) {
    s.labels = *labels;
    s.status = contract::EngineStatus::ready;
    s.reason.clear();
    show(gate_.state(), s);
  });
  if (wrong.empty()) return std::nullopt;
  return contract::CommandResult{contract::Outcome::not_applied, absl::StrCat("VALID, but ", wrong), f.head, *labels};
}

absl::StatusOr<bool> Writer::lead_through_twin(const PreparedPayload& payload) {
  metrics_.counter(kTwins, kTwinsHelp).inc();
  const auto proceeds = [](Call call, const EngineAnswer& a, const char* what) {
    return react(call, a) == Reaction::proceed ? absl::OkStatus()
                                               : absl::FailedPreconditionError(absl::StrCat(what, ": ", describe(a)));
  };
  board_.write({});
  const absl::Cleanup ends = [this] { board_.write({}); };
  TOWLINE_ASSIGN_OR_RETURN(const TwinPlan plan, plan_twin(payload.body));
  TOWLINE_ASSIGN_OR_RETURN(const std::string built,
                           engine_.build({payload.ref.number - 1, payload.ref.parent_hash}, plan));
  TOWLINE_ASSIGN_OR_RETURN(const Twin twin, read_twin(plan, built));
  TOWLINE_RETURN_IF_ERROR(proceeds(Call::new_payload, engine_.new_payload(twin.new_payload), "newPayload of a twin"));
  TOWLINE_RETURN_IF_ERROR(proceeds(Call::forkchoice_updated,
                                   engine_.forkchoice_updated({{payload.ref.number, twin.hash}, {}, {}}),
                                   "forkchoiceUpdated to a twin"));
  TOWLINE_RETURN_IF_ERROR(proceeds(Call::forkchoice_updated, engine_.forkchoice_updated({payload.ref.id(), {}, {}}),
                                   "forkchoiceUpdated after a twin"));
  TOWLINE_ASSIGN_OR_RETURN(shown_, engine_.labels());
  heard_ = steady_now();
  return shown_.latest->hash == payload.ref.hash;
}

absl::StatusOr<contract::CommandResult> Writer::set_forkchoice(const contract::CommandStamp& c,
                                                               const contract::Forkchoice& f,
                                                               const Cancelled& cancelled) {
  return noted(set_labels(c, f, cancelled));
}

bool Writer::hold_young(const contract::Labels& el, std::optional<eth::BlockId>& safe,
                        std::optional<eth::BlockId>& finalized) {
  const auto asked_safe = safe, asked_finalized = finalized;
  if (!min_age_.hold(el, safe, finalized, chain_now())) return false;
  const absl::Time now = steady_now();
  metrics_.counter(kYoung, kYoungHelp).inc();
  if (now - said_young_ < kSayYoungEvery) return true;
  said_young_ = now;
  log::warn(
      "a label waits: its block is younger than --safe.min-age or --finality.min-age; do the sources lie, or is the "
      "clock wrong?",
      {log::kv("safe", asked_safe ? eth::to_string(*asked_safe) : "-"),
       log::kv("finalized", asked_finalized ? eth::to_string(*asked_finalized) : "-")});
  return true;
}

absl::StatusOr<contract::CommandResult> Writer::set_labels(const contract::CommandStamp& c,
                                                           const contract::Forkchoice& wanted,
                                                           const Cancelled& cancelled) {
  TOWLINE_ASSIGN_OR_RETURN(const contract::Labels el, admit(c));
  if (wanted.head.hash != el.latest->hash)
    return absl::InvalidArgumentError("SetForkchoice moves labels only; the head moves by ImportRange");
  contract::Forkchoice f = wanted;
  if (hold_young(el, f.safe, f.finalized) && !f.safe && !f.finalized)
    return contract::CommandResult{contract::Outcome::done, {}, {}, el};
  TOWLINE_RETURN_IF_ERROR(gate_.check_labels(f.head, f.safe, f.finalized, el));
  for (const auto& [label, what] : {std::pair{f.safe, "safe"}, {f.finalized, "finalized"}}) {
    if (!label) continue;
    if (auto st = check_canonical(*label, what); !st.ok()) {
      // What waited for its age may be of a branch that was left.
      min_age_.forget();
      return st;
    }
  }
  if (auto bad = update(f, cancelled)) return *bad;
  return contract::CommandResult{contract::Outcome::done, {}, {}, board_.get().labels};
}

absl::StatusOr<contract::CommandResult> Writer::rewind(const contract::CommandStamp& c, const eth::BlockId& to) {
  return noted(go_back(c, to));
}

absl::StatusOr<contract::CommandResult> Writer::go_back(const contract::CommandStamp& c, const eth::BlockId& to) {
  TOWLINE_ASSIGN_OR_RETURN(const contract::Labels el, admit(c));
  if (!engine_.can_rewind())
    return contract::refuse(contract::Refusal::cannot_rewind,
                            "no --engine.admin-rpc: this driver cannot rewind its EL");
  // To its own head nothing goes back; it makes the EL forget what it has above.
  if (to.hash != el.latest->hash) TOWLINE_RETURN_IF_ERROR(gate_.check_rewind(to));
  TOWLINE_RETURN_IF_ERROR(check_canonical(to, "the block to rewind to"));
  if (auto st = set_head(*el.latest, to); !st.ok())
    return ended(contract::Outcome::not_applied, std::string{st.message()}, to);
  contract::CommandResult r = ended(contract::Outcome::done, {}, to);
  if (!r.labels.latest)
    return ended(contract::Outcome::engine_unavailable, "the EL does not answer after the rewind", to);
  if (r.labels.latest->hash != to.hash) {
    r.outcome = contract::Outcome::not_applied;
    r.reason = absl::StrCat("after debug_setHead the head is ", eth::to_string(*r.labels.latest));
  }
  return r;
}

absl::Status Writer::set_head(const eth::BlockRef& from, const eth::BlockId& to) {
  board_.write({});
  const absl::Cleanup ends = [this] { board_.write({}); };
  log::warn("rewinding the EL", {log::kv("from", from.id()), log::kv("to", to)});
  metrics_.counter(kRewinds, kRewindsHelp).inc();
  const absl::Status st = engine_.set_head(to.number);
  return absl::IsUnavailable(st) || absl::IsDeadlineExceeded(st) ? absl::OkStatus() : st;
}

absl::StatusOr<contract::CommandResult> Writer::lower_finalized(const eth::BlockId& was, const eth::BlockId& to,
                                                                const std::string& reason) {
  return noted(take_back(was, to, reason));
}

absl::StatusOr<contract::CommandResult> Writer::take_back(const eth::BlockId& was, const eth::BlockId& to,
                                                          const std::string& reason) {
  // An EL beside the fence is what this may end.
  if (const contract::EngineState s = board_.get();
      !contract::may_be_written_to(s.status) && s.status != contract::EngineStatus::beside_fence) {
    return absl::UnavailableError(absl::StrCat("the EL may not be written to: ", s.reason));
  }
  TOWLINE_ASSIGN_OR_RETURN(const contract::Labels el, engine_.labels());
  TOWLINE_RETURN_IF_ERROR(check_canonical(to, "the block to go back to"));
  TOWLINE_RETURN_IF_ERROR(gate_.lower_finalized(was, to, el, saver()));
  log::warn("an operator takes back what was final",
            {log::kv("was", was), log::kv("to", to), log::kv("reason", reason)});
  // What waits for its age is of the chain that is left.
  min_age_.forget();
  board_.update([&](contract::EngineState& s) {
    show(gate_.state(), s);
    // It stands on `to`.
    if (s.status == contract::EngineStatus::beside_fence && s.fence == to) {
      s.status = contract::EngineStatus::ready;
      s.reason.clear();
    }
    // Whatever a coordinator knows of this EL was found out below another fence.
    ++s.engine_session;
  });
  if (!must_go_back(el, was, to)) return ended(contract::Outcome::done, {}, to);
  // By debug_setHead and not by an update: an op-geth has moved what was final to its ancient store, and would show it
  // at its height after a switch. What it has not got any more is no label either.
  if (!engine_.can_rewind())
    return ended(contract::Outcome::not_applied, absl::StrCat("no --engine.admin-rpc, and ", above(el, to)), to);
  if (auto st = set_head(*el.latest, to); !st.ok())
    return ended(contract::Outcome::not_applied, std::string{st.message()}, to);
  contract::CommandResult r = ended(contract::Outcome::done, {}, to);
  if (!r.labels.latest)
    return ended(contract::Outcome::engine_unavailable, "the EL does not answer after the rewind", to);
  // It may come out lower still, where it has a state.
  if (const std::string wrong = above(r.labels, to); !wrong.empty()) {
    r.outcome = contract::Outcome::not_applied;
    r.reason = absl::StrCat("after debug_setHead ", wrong);
  }
  return r;
}

absl::StatusOr<contract::CommandResult> Writer::import_range(const contract::CommandStamp& c,
                                                             const contract::ImportRange& wanted,
                                                             const Cancelled& cancelled,
                                                             const OnProgress& on_progress) {
  return noted(import(c, wanted, cancelled, on_progress));
}

absl::StatusOr<contract::CommandResult> Writer::import(const contract::CommandStamp& c,
                                                       const contract::ImportRange& wanted, const Cancelled& cancelled,
                                                       const OnProgress& on_progress) {
  if (wanted.tip.number <= wanted.parent.number) return absl::InvalidArgumentError("an empty range");
  // The payloads come while the gate looks at the EL: at the tip that is half of a block's way.
  auto stream = open_stream_(wanted.parent, wanted.tip, wanted.origin);
  TOWLINE_ASSIGN_OR_RETURN(const contract::Labels el, admit(c));
  if (wanted.parent.hash != el.latest->hash) TOWLINE_RETURN_IF_ERROR(check_canonical(wanted.parent, "parent"));
  if (const auto& fence = gate_.state().fence;
      fence && wanted.parent.number < fence->number && el.latest->number >= fence->number) {
    return contract::refuse(
        contract::Refusal::below_finalized,
        absl::StrCat("a branch from ", eth::to_string(wanted.parent), " would replace ", eth::to_string(*fence)));
  }
  contract::ImportRange range = wanted;
  std::optional<Hash32> ours_above_parent;
  hold_young(el, range.safe, range.finalized);
  if (wanted.parent.hash != el.latest->hash) {
    TOWLINE_ASSIGN_OR_RETURN(const auto above, engine_.block_by_number(wanted.parent.number + 1));
    if (above) ours_above_parent = above->hash;
  }
  // A label below the range is applied only if it is on the chain that stays; one in the range is checked when it is
  // reached.
  const auto is = [](const eth::BlockId& id, const std::optional<eth::BlockRef>& known) {
    return known && known->hash == id.hash;
  };
  const auto keep_if_canonical = [&](std::optional<eth::BlockId>& label, const char* what) -> absl::Status {
    if (!label || label->number > range.parent.number) return absl::OkStatus();
    if (is(*label, el.latest) || is(*label, el.safe) || is(*label, el.finalized)) return absl::OkStatus();
    if (auto st = check_canonical(*label, what); !st.ok()) {
      if (contract::refusal_of(st) != contract::Refusal::not_canonical) return st;
      log::warn("label left out", {log::kv("why", st)});
      label.reset();
    }
    return absl::OkStatus();
  };
  TOWLINE_RETURN_IF_ERROR(keep_if_canonical(range.safe, "safe"));
  TOWLINE_RETURN_IF_ERROR(keep_if_canonical(range.finalized, "finalized"));
  if (const std::uint64_t session = board_.get().engine_session; session != session_) {
    session_ = session;
    quarantine_.clear();
    moves_ = false;
  }

  return RangeImport{*this, range, el, ours_above_parent, std::move(stream), cancelled, on_progress}.run();
}

}  // namespace towline::driver
