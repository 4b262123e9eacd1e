#include "services/engine-driver/core/engine_view.hpp"

namespace towline::driver {

using contract::EngineStatus;

LookPlan EngineView::plan() const {
  LookPlan p;
  p.identify = !identified_ || lost_;
  p.try_disk = state_.status == EngineStatus::state_not_saved;
  p.confirmed_finalized = state_.confirmed_finalized;
  p.compare = p.identify || state_.status == EngineStatus::contradicts_finalized;
  if (state_.labels.unsafe) p.head = state_.labels.unsafe->number;
  p.writes = writes_;
  p.status = state_.status;
  return p;
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

EngineView::News EngineView::on_look(const Look& look, absl::Time now) {
  if (look.failure && look.failure->first != EngineStatus::contradicts_finalized)
    return fail(look.failure->first, look.failure->second);
  const contract::Labels& labels = *look.labels;
  if (look.failure) {
    // Who is right is asked for what it shows.
    state_.labels = labels;
    return fail(look.failure->first, look.failure->second);
  }
  if (writes_ == look.plan.writes) foreign_.on_look(*labels.unsafe, writes_, commanded_head_, now);
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
  // A head below the last one without an import of ours: the EL was restarted between two looks, or somebody else
  // writes to it.
  const bool went_back = state_.labels.unsafe && !state_.import && labels.unsafe->number < state_.labels.unsafe->number;
  state_.labels = labels;
  if (fresh) state_.client_version = look.client_version;
  if (fresh || went_back) ++state_.engine_session;
  // What a command has found out meanwhile stays.
  const bool kept = state_.status != look.plan.status && !contract::may_be_written_to(state_.status);
  const bool told_by_writes = state_.status == EngineStatus::syncing || state_.status == EngineStatus::invalid;
  if (!kept && (fresh || went_back || !told_by_writes)) {
    state_.status = EngineStatus::ready;
    state_.reason.clear();
  }
  return fresh ? News::met : News::none;
}

}  // namespace towline::driver
