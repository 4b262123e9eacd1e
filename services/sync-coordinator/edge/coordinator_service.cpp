#include "services/sync-coordinator/edge/coordinator_service.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <caf/send.hpp>

#include "libs/base/steady_time.hpp"
#include "libs/grpc_kit/server_calls.hpp"
#include "libs/grpc_kit/watch.hpp"
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
    case TowState::el_syncing: return v1::TOW_STATE_EL_SYNCING;
  }
  return v1::TOW_STATE_UNSPECIFIED;
}

/// Converts a steady-clock time to Unix milliseconds, for display.
std::uint64_t millis(absl::Time t) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(t - steady_ahead())));
}

}  // namespace

v1::SyncStatus to_proto(const SyncStatus& status, absl::Time now) {
  v1::SyncStatus out;
  for (const auto& [index, view] : status.views) {
    const TowView& v = *view;
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
    t.mutable_start()->set_mode(v.start.mode);
    t.mutable_start()->set_way(v.start.way);
    t.mutable_start()->set_reason(v.start.reason);
    t.set_since_ms(millis(v.since));
    if (v.remote && !out.has_remote()) {
      *out.mutable_remote() = wire::to_proto(*v.remote, now);
      out.set_remote_age_ms(
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToInt64Milliseconds(now - v.source_heard))));
    }
  }
  return out;
}

grpc::ServerUnaryReactor* CoordinatorService::GetSyncStatus(grpc::CallbackServerContext* context,
                                                            const v1::GetSyncStatusRequest*,
                                                            v1::GetSyncStatusResponse* response) {
  *response->mutable_status() = to_proto(*latest_.get(), steady_now());
  response->set_remote_fetcher(targets_.remote_fetcher);
  response->set_p2p_gossip(targets_.p2p_gossip);
  return grpc_kit::answer(context);
}

grpc::ServerWriteReactor<v1::WatchSyncStatusResponse>* CoordinatorService::WatchSyncStatus(
    grpc::CallbackServerContext*, const v1::WatchSyncStatusRequest*) {
  auto place = std::make_shared<wire::Watchers::Place>(watchers_.take());
  if (!*place) return grpc_kit::refuse<v1::WatchSyncStatusResponse>(watchers_.refusal());
  return grpc_kit::watch<v1::WatchSyncStatusResponse, SyncStatus>(std::move(place), hub_, [](const SyncStatus& s) {
    v1::WatchSyncStatusResponse message;
    *message.mutable_status() = to_proto(s, steady_now());
    return message;
  });
}

grpc::Status CoordinatorService::for_each(const std::string& driver,
                                          const std::function<void(const tow_actor&)>& what) const {
  bool any = false;
  for (std::size_t i = 0; i < tows_.size(); ++i) {
    if (!driver.empty() && targets_.drivers[i] != driver) continue;
    what(tows_[i]);
    any = true;
  }
  if (!any) return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no engine-driver \"", driver, "\" is towed here")};
  return grpc::Status::OK;
}

grpc::ServerUnaryReactor* CoordinatorService::Pause(grpc::CallbackServerContext* context,
                                                    const v1::PauseRequest* request, v1::PauseResponse*) {
  return grpc_kit::answer(context, for_each(request->driver(), [&](const tow_actor& t) {
                            caf::anon_send(t, pause_atom{}, request->reason());
                          }));
}

grpc::ServerUnaryReactor* CoordinatorService::Resume(grpc::CallbackServerContext* context,
                                                     const v1::ResumeRequest* request, v1::ResumeResponse*) {
  return grpc_kit::answer(context,
                          for_each(request->driver(), [](const tow_actor& t) { caf::anon_send(t, resume_atom{}); }));
}

grpc::ServerUnaryReactor* CoordinatorService::ListDecisions(grpc::CallbackServerContext* context,
                                                            const v1::ListDecisionsRequest* req,
                                                            v1::ListDecisionsResponse* resp) {
  std::vector<std::pair<std::string, Decision>> all;
  const auto latest = latest_.get();
  for (const auto& [tow, decisions] : latest->decisions) {
    for (const Decision& d : *decisions) all.emplace_back(targets_.drivers[tow], d);
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
  return grpc_kit::answer(context);
}

}  // namespace towline::coordinator
