#include "services/engine-driver/core/engine_view.hpp"

namespace towline::driver {

using contract::EngineStatus;

namespace {

/// Peers are asked for in every tenth look: their number changes slowly.
constexpr std::uint64_t kPeersEach = 10;
constexpr absl::Duration kLookEvery = absl::Milliseconds(500);
/// How long before the next block a look should begin: half of the time for which labels count as fresh.
constexpr absl::Duration kBefore = absl::Milliseconds(125);
/// A change of the rhythm brings no look sooner than this.
constexpr absl::Duration kSoonest = absl::Milliseconds(250);
/// An EL found this many blocks below its own sync target is in the middle of a sync, and not merely starting.
constexpr std::uint64_t kMidSync = 64;

}  // namespace

LookPlan EngineView::plan() const {
  LookPlan p;
  p.identify = !identified_ || lost_;
  p.try_disk = state_.status == EngineStatus::state_not_saved;
  p.confirmed_finalized = state_.confirmed_finalized;
  p.compare = p.identify || state_.status == EngineStatus::contradicts_finalized;
  if (state_.labels.unsafe) p.head = state_.labels.unsafe->number;
  p.syncing = p.identify || state_.el_sync;
  p.peers = p.syncing || looks_ % kPeersEach == 0;
  p.writes = writes_;
  p.status = state_.status;
  return p;
}

absl::Duration EngineView::next_look(absl::Time now) const {
  const absl::Duration rest = kLookEvery - (now - imported_ + kBefore) % kLookEvery;
  return rest < kSoonest ? rest + kLookEvery : rest;
}

void EngineView::on(const HeadMoves& m) {
  ++writes_;
  if (m.head) commanded_head_ = m.head;
}

EngineView::News EngineView::fail(EngineStatus status, const absl::Status& why) {
  const bool is_new = state_.status != status;
  if (status == EngineStatus::unreachable) lost_ = true;
  state_.status = status;
  state_.reason = std::string{why.message()};
  return is_new ? News::lost : News::none;
}

void EngineView::note_sync(const Look& look) {
  if (look.peers) state_.el_peers = look.peers;
  if (!look.syncing) return;
  const ElSyncing& now = *look.syncing;
  auto& sync = state_.el_sync;
  // This process may have started after the sync did.
  if (!sync && look.plan.identify && now.highest > now.current + kMidSync) sync.emplace();
  if (!sync) return;
  if (!now.syncing && (!sync->target || look.labels->unsafe->number >= sync->target->number)) return sync.reset();
  if (now.told != syncing_told_) ++sync->steps;
  syncing_told_ = now.told;
  sync->current = now.current;
  sync->highest = now.highest;
}

EngineView::News EngineView::on_look(const Look& look, absl::Time now) {
  ++looks_;
  if (look.failure && look.failure->first != EngineStatus::contradicts_finalized)
    return fail(look.failure->first, look.failure->second);
  const contract::Labels& labels = *look.labels;
  if (look.failure) {
    // The labels of an EL that contradicts us are still shown, for whoever decides which side is right.
    state_.labels = labels;
    return fail(look.failure->first, look.failure->second);
  }
  // A sync of the EL's own moves the head as well.
  if (!overtaken(look) && !state_.el_sync) foreign_.on_look(*labels.unsafe, writes_, commanded_head_, now);
  if (foreign_.driven(now)) {
    state_.labels = labels;
    return fail(
        EngineStatus::driven_elsewhere,
        absl::FailedPreconditionError("the EL's head moves without this engine-driver: another consensus client "
                                      "drives it, or another engine-driver. Stop one of the two"));
  }
  const bool fresh = look.plan.identify;
  identified_ = true;
  lost_ = false;
  // A head below the last one without an import of ours: the EL was restarted between two looks, or another client
  // writes to it.
  const bool went_back = !overtaken(look) && state_.labels.unsafe && !state_.import &&
                         labels.unsafe->number < state_.labels.unsafe->number;
  if (!overtaken(look) || fresh) state_.labels = labels;
  note_sync(look);
  if (fresh) state_.client_version = look.client_version;
  if (fresh || went_back) ++state_.engine_session;
  // A status that a command set during the look is kept.
  const bool kept = state_.status != look.plan.status && !contract::may_be_written_to(state_.status);
  const bool told_by_writes = state_.status == EngineStatus::syncing || state_.status == EngineStatus::invalid;
  if (!kept && (fresh || went_back || !told_by_writes)) {
    state_.status = EngineStatus::ready;
    state_.reason.clear();
  }
  return fresh ? News::met : News::none;
}

}  // namespace towline::driver
