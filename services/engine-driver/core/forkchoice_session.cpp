#include "services/engine-driver/core/forkchoice_session.hpp"

namespace towline::driver {

Effect ForkchoiceSession::begin() {
  return admit(command_, [this](const contract::Labels& el) { return on_admitted(el); });
}

Effect ForkchoiceSession::on_admitted(const contract::Labels& el) {
  if (wanted_.head.hash != el.unsafe->hash)
    return end(absl::InvalidArgumentError("SetForkchoice moves labels only; the head moves by ImportRange"));
  if (hold_young(el, wanted_.safe, wanted_.finalized) && !wanted_.safe && !wanted_.finalized)
    return end(Result{contract::Outcome::done, {}, {}, el});
  if (auto st = memory_.gate.check_labels(wanted_.head, wanted_.safe, wanted_.finalized, el); !st.ok()) return end(st);
  return check_label(wanted_.safe, "safe",
                     [this] { return check_label(wanted_.finalized, "finalized", [this] { return move_labels(); }); });
}

Effect ForkchoiceSession::check_label(const std::optional<eth::BlockId>& label, const char* what,
                                      const std::function<Effect()>& then) {
  if (!label) return then();
  return check_canonical(*label, what, [this, then](const absl::Status& st) {
    if (st.ok()) return then();
    // The labels that waited for their age may belong to an abandoned branch.
    memory_.min_age.forget();
    return end(st);
  });
}

Effect ForkchoiceSession::move_labels() {
  return update(wanted_, Tries::until_known, [this](std::optional<Result> bad) {
    if (bad) return end(*std::move(bad));
    return end(Result{contract::Outcome::done, {}, {}, memory_.shown});
  });
}

}  // namespace towline::driver
