#include "services/sync-coordinator/core/sync_start.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::coordinator {
namespace {

/// How often a sync that makes progress gets a newer target: op-geth's snap sync needs a target that is not much older
/// than its peers' head.
constexpr absl::Duration kAgain = absl::Seconds(10);
constexpr absl::Duration kAgainGivenUp = absl::Seconds(30);

std::string peers_of(const StartFacts& f) {
  if (!f.peers) return "its peers are not known (--engine.admin-rpc tells them)";
  if (*f.peers == 0) return "it has no peers";
  return absl::StrCat("it has ", *f.peers, " peer(s)");
}

/// The advice for an EL that neither syncs nor executes blocks.
std::string restart_command(const StartFacts& f) {
  const std::string client = absl::AsciiStrToLower(f.client);
  const auto named = [&](absl::string_view what) { return absl::StrContains(client, what); };
  if (named("go-ethereum") || (named("geth") && !named("reth")))
    return "restart op-geth with --syncmode=full, then blocks are imported; or give it peers (--bootnodes, or "
           "admin_addPeer)";
  return "give the EL peers (op-reth: restart it with --bootnodes or --trusted-peers; op-geth: --bootnodes, or "
         "--syncmode=full, then blocks are imported)";
}

std::string progress_of(const StartFacts& f, const eth::BlockId& target) {
  std::string s = absl::StrCat("the EL syncs to ", eth::to_string(target), " by itself: at block ",
                               std::max(f.head.number, f.el_sync ? f.el_sync->current : 0));
  if (f.el_sync && f.el_sync->highest > 0) absl::StrAppend(&s, " of ", f.el_sync->highest);
  absl::StrAppend(&s, ", ", peers_of(f));
  return s;
}

}  // namespace

const char* name(StartMode m) {
  switch (m) {
    case StartMode::automatic: return "auto";
    case StartMode::snapshot: return "snapshot";
    case StartMode::elsync: return "elsync";
    case StartMode::import: return "import";
  }
  return "?";
}

std::optional<StartMode> start_mode_of(absl::string_view text) {
  for (const StartMode m : kStartModes)
    if (text == name(m)) return m;
  return std::nullopt;
}

void SyncStart::take(const char* way, std::string reason, std::vector<Note>& notes) {
  if (way_ != way) notes.push_back({Action::sync_start, absl::StrCat(way, ": ", reason), {}});
  way_ = way;
  reason_ = std::move(reason);
}

void SyncStart::forget_way() {
  way_.clear();
  reason_.clear();
}

std::optional<std::string> SyncStart::wants_el_sync(const StartFacts& f, std::uint64_t gap) const {
  if (options_.mode == StartMode::import) return std::nullopt;
  if (!f.target || f.target->number <= f.head.number + kNear) return std::nullopt;
  if (options_.mode == StartMode::elsync) return absl::StrCat(gap, " blocks, and --sync-start=elsync");
  if (executes_nothing_) return "the EL is empty and executes no payload, as op-geth before its first snap sync";
  if (gap > kMostByImport)
    return absl::StrCat(gap, " blocks, of which ", kMostByImport, " at most are imported unless --sync-start=import");
  if (gap > kFar && f.peers && *f.peers > 0) return absl::StrCat(gap, " blocks, and ", peers_of(f));
  // An earlier process of sync-coordinator started this sync.
  if (f.el_sync && f.el_sync->target) return absl::StrCat(gap, " blocks, and it was told to before");
  return std::nullopt;
}

SyncStart::Way SyncStart::command(const StartFacts& f, Status status, absl::Duration again, absl::Time now) {
  if (now < running_->next || !f.target) return Rest{std::move(status)};
  running_->next = now + again;
  running_->tried = false;
  running_->target = f.target->id();
  return Begin{*f.target, std::move(status)};
}

SyncStart::Way SyncStart::choose(const StartFacts& f, std::vector<Note>& notes, absl::Time now) {
  const std::uint64_t gap = f.goal.number > f.head.number ? f.goal.number - f.head.number : 0;
  if (executes_nothing_ && (!f.empty || f.session != *executes_nothing_)) executes_nothing_.reset();
  if (running_) return run(f, gap, notes, now);
  if (options_.mode == StartMode::snapshot && f.empty) {
    take("snapshot", "the EL is empty, and --sync-start=snapshot imports nothing from the genesis on", notes);
    return Rest{{TowState::waiting_for_engine, ReasonCode::waiting_for_snapshot,
                 "the EL is empty: stop it, put a snapshot into its data directory, start it again "
                 "(--sync-start=snapshot)"}};
  }
  if (auto why = wants_el_sync(f, gap)) {
    take("elsync", *why, notes);
    running_ = Run{*std::move(why), f.head.number, f.el_sync ? f.el_sync->steps : 0, now};
    return run(f, gap, notes, now);
  }
  const bool no_import = (gap > kMostByImport && options_.mode != StartMode::import) ||
                         (gap > kNear && options_.mode == StartMode::elsync && !f.target);
  if (no_import) {
    forget_way();
    return Rest{{TowState::waiting_for_source, ReasonCode::no_target,
                 absl::StrCat(gap, " blocks are missing, and no quorum agrees on a block that the EL could sync to")}};
  }
  if (gap <= kNear) {
    forget_way();
  } else if (way_ != "import") {
    take("import",
         options_.mode == StartMode::import ? absl::StrCat(gap, " blocks, and --sync-start=import")
                                            : absl::StrCat(gap, " blocks, and ", peers_of(f)),
         notes);
  }
  return Follow{};
}

SyncStart::Way SyncStart::run(const StartFacts& known, std::uint64_t gap, std::vector<Note>& notes, absl::Time now) {
  Run& r = *running_;
  StartFacts f = known;
  // The EL has arrived. The next command repeats this very target to learn whether the sync is done: on a fast chain, a
  // newer target would keep the sync going for ever.
  const bool arrived = r.target && f.head.hash == r.target->hash;
  if (arrived) f.target = f.head;
  const std::uint64_t steps = f.el_sync ? f.el_sync->steps : 0;
  // Progress made by an import is not progress of the EL's own sync.
  const bool moves = steps != r.steps || (f.head.number != r.head && way_ == "elsync");
  if (moves) r.moved = now;
  r.head = f.head.number;
  r.steps = steps;
  if (r.given_up && moves && steps != 0 && way_ == "elsync") r.given_up = false;
  if (!r.given_up && now - r.moved > options_.patience) {
    r.given_up = true;
    r.next = now + kAgainGivenUp;
    notes.push_back({Action::el_sync_stalled,
                     absl::StrCat("the EL's own sync has stood still for ", absl::ToInt64Seconds(options_.patience),
                                  " s: ", peers_of(f)),
                     {}});
  }
  if (arrived && !r.given_up) r.next = std::min(r.next, now + absl::Seconds(1));
  if (!r.given_up)
    return command(f,
                   {TowState::el_syncing, ReasonCode::el_syncing,
                    absl::StrCat(progress_of(f, r.target   ? *r.target
                                                : f.target ? f.target->id()
                                                           : f.goal.id()),
                                 "; ", r.why)},
                   kAgain, now);
  const std::string stands = absl::StrCat("the EL does not sync by itself (", peers_of(f), ")");
  if (!executes_nothing_ && gap <= kMostByImport) {
    if (gap <= kNear) {
      running_.reset();
      forget_way();
    } else if (way_ != "import") {
      take("import", absl::StrCat(stands, ": ", gap, " blocks"), notes);
    }
    return Follow{};
  }
  take("elsync", r.why, notes);
  if (executes_nothing_) {
    if (now >= r.next && !r.tried) {
      r.tried = true;
      return Follow{};
    }
    return command(f,
                   {TowState::needs_operator, ReasonCode::el_sync_stalled,
                    absl::StrCat(stands, " and executes no payload: ", restart_command(f))},
                   kAgainGivenUp, now);
  }
  return command(
      f,
      {TowState::needs_operator, ReasonCode::el_sync_stalled,
       absl::StrCat(stands, ", and ", gap, " blocks are too many to be imported unasked: give it peers, start it from ",
                    "a snapshot, or restart sync-coordinator with --sync-start=import")},
      kAgainGivenUp, now);
}

std::optional<Note> SyncStart::on_synced(const eth::BlockId& head) {
  if (!running_) return std::nullopt;
  running_.reset();
  forget_way();
  return Note{Action::el_synced, absl::StrCat("the EL has synced by itself: its head is ", eth::to_string(head)), {}};
}

bool SyncStart::tries() const { return running_ && running_->tried; }

bool SyncStart::on_not_executed(std::uint64_t session) {
  if (options_.mode == StartMode::import) return false;
  if (executes_nothing_ == session) return tries();
  executes_nothing_ = session;
  return true;
}

}  // namespace towline::coordinator
