#include "services/sync-coordinator/edge/coordinator_service.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "libs/base/steady_time.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/engine_driver.hpp"
#include "libs/wire/remote_fetcher.hpp"

namespace towline::coordinator {
namespace {

v1::TowState to_proto(TowState s) {
  switch (s) {
    case TowState::starting: return v1::TOW_STATE_STARTING;
    case TowState::importing: return v1::TOW_STATE_IMPORTING;
    case TowState::at_tip: return v1::TOW_STATE_AT_TIP;
    case TowState::walking_back: return v1::TOW_STATE_WALKING_BACK;
    case TowState::waiting_for_source: return v1::TOW_STATE_WAITING_FOR_SOURCE;
    case TowState::waiting_for_engine: return v1::TOW_STATE_WAITING_FOR_ENGINE;
    case TowState::diverged: return v1::TOW_STATE_DIVERGED;
    case TowState::needs_operator: return v1::TOW_STATE_NEEDS_OPERATOR;
    case TowState::unknown_rules: return v1::TOW_STATE_UNKNOWN_RULES;
    case TowState::paused: return v1::TOW_STATE_PAUSED;
  }
  return v1::TOW_STATE_UNSPECIFIED;
}

/// For people, of a time that was taken by the steady clock.
std::uint64_t millis(absl::Time t) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(t - steady_ahead())));
}

}  // namespace

v1::SyncStatus to_proto(const std::vector<TowView>& views, absl::Time now) {
  v1::SyncStatus out;
  for (const TowView& v : views) {
    auto& t = *out.add_tows();
    t.set_driver(v.driver);
    t.set_state(to_proto(v.readiness.state));
    t.set_reason(v.readiness.reason);
    t.set_reason_code(std::string{v.readiness.code.text()});
    t.set_ready(v.readiness.ready);
    if (v.local) *t.mutable_local() = wire::to_proto(*v.local);
    if (v.target) *t.mutable_target() = wire::to_proto(v.target->id());
    if (v.distance) t.set_distance_blocks(*v.distance);
    if (v.distance && v.local && v.local->import && v.local->import->blocks_per_s > 0)
      t.set_eta_s(static_cast<double>(*v.distance) / v.local->import->blocks_per_s);
    if (v.diverged_remote) *t.mutable_diverged_remote() = wire::to_proto(*v.diverged_remote);
    t.set_term(v.term);
    t.set_since_ms(millis(v.since));
    if (v.remote && !out.has_remote()) {
      *out.mutable_remote() = wire::to_proto(*v.remote, now);
      out.set_remote_age_ms(
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToInt64Milliseconds(now - v.source_heard))));
    }
  }
  return out;
}

grpc::Status CoordinatorService::GetSyncStatus(grpc::ServerContext*, const v1::GetSyncStatusRequest*,
                                               v1::GetSyncStatusResponse* resp) {
  *resp->mutable_status() = to_proto(board_.views(), steady_now());
  resp->set_remote_fetcher(targets_.remote_fetcher);
  resp->set_p2p_gossip(targets_.p2p_gossip);
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::WatchSyncStatus(grpc::ServerContext* ctx, const v1::WatchSyncStatusRequest*,
                                                 grpc::ServerWriter<v1::WatchSyncStatusResponse>* out) {
  const auto place = watchers_.take();
  if (!place) return watchers_.refusal();
  std::uint64_t seen = 0;
  while (!ctx->IsCancelled() && !board_.stopped()) {
    v1::WatchSyncStatusResponse message;
    *message.mutable_status() = to_proto(board_.wait(seen, std::chrono::seconds{1}), steady_now());
    if (!out->Write(message)) break;
  }
  return {grpc::StatusCode::UNAVAILABLE, "shutting down"};
}

grpc::Status CoordinatorService::for_each(const std::string& driver, const std::function<void(Tow&)>& what) {
  bool any = false;
  for (auto& t : tows_) {
    if (!driver.empty() && t->driver_name() != driver) continue;
    what(*t);
    any = true;
  }
  if (!any) return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no engine-driver \"", driver, "\" is towed here")};
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::Pause(grpc::ServerContext*, const v1::PauseRequest* req, v1::PauseResponse*) {
  return for_each(req->driver(), [&](Tow& t) { t.pause(req->reason()); });
}

grpc::Status CoordinatorService::Resume(grpc::ServerContext*, const v1::ResumeRequest* req, v1::ResumeResponse*) {
  return for_each(req->driver(), [](Tow& t) { t.resume(); });
}

grpc::Status CoordinatorService::ListDecisions(grpc::ServerContext*, const v1::ListDecisionsRequest* req,
                                               v1::ListDecisionsResponse* resp) {
  std::vector<std::pair<std::string, Decision>> all;
  for (std::size_t i = 0; i < tows_.size(); ++i) {
    for (auto& d : board_.decisions(i)) all.emplace_back(tows_[i]->driver_name(), d);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second.time < b.second.time; });
  const std::size_t limit = req->limit() == 0 ? all.size() : std::min<std::size_t>(req->limit(), all.size());
  for (std::size_t i = all.size() - limit; i < all.size(); ++i) {
    const auto& [driver, d] = all[i];
    auto& out = *resp->add_decisions();
    out.set_sequence(d.sequence);
    out.set_time_ms(millis(d.time));
    out.set_driver(driver);
    out.set_action(std::string{text(d.action)});
    out.set_reason(d.reason);
    out.set_state(to_proto(d.state));
    out.set_repeated(d.repeated);
  }
  return grpc::Status::OK;
}

}  // namespace towline::coordinator
