#include "tools/towline/recovery.hpp"

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <variant>

#include "libs/base/status.hpp"
#include "libs/wire/convert.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "towline/v1/engine_driver.grpc.pb.h"

namespace towline::cli {
namespace {

/// Covers the seconds that each source has to answer.
constexpr auto kAskAll = std::chrono::seconds{30};
/// debug_setHead on a deep branch is slow.
constexpr auto kRewind = std::chrono::minutes{5};

struct Flags {
  std::string driver, reason;
  bool force = false;
};

/// A failed call, and the service that was called.
struct Failed {
  grpc::Status status;
  std::string who;
};

absl::StatusOr<Lowering::Here> here_of(const v1::EngineState& s) {
  Lowering::Here here;
  if (!s.has_genesis()) return absl::FailedPreconditionError("this engine-driver is too old for this");
  const bool answers = s.status() == v1::ENGINE_STATUS_READY || s.status() == v1::ENGINE_STATUS_SYNCING ||
                       s.status() == v1::ENGINE_STATUS_INVALID || s.status() == v1::ENGINE_STATUS_CONTRADICTS_FINALIZED;
  if (!answers || !s.labels().has_unsafe())
    return absl::FailedPreconditionError(absl::StrCat("the EL cannot be used: ", s.reason()));
  TOWLINE_ASSIGN_OR_RETURN(here.genesis, wire::from_proto(s.genesis()));
  TOWLINE_ASSIGN_OR_RETURN(const eth::BlockRef head, wire::from_proto(s.labels().unsafe()));
  here.head = head.id();
  if (s.has_confirmed_finalized()) {
    TOWLINE_ASSIGN_OR_RETURN(here.confirmed_finalized, wire::from_proto(s.confirmed_finalized()));
  }
  if (s.labels().has_finalized()) {
    TOWLINE_ASSIGN_OR_RETURN(const eth::BlockRef finalized, wire::from_proto(s.labels().finalized()));
    here.finalized = finalized.id();
  }
  return here;
}

/// Asks the sources and the EL about the blocks that are final at a tow.
std::variant<Finality, Failed> finality_of(const Context& context, const v1::Tow& t, const std::string& fetcher) {
  const auto sources = v1::RemoteFetcher::NewStub(context.channel(fetcher));
  const auto engine = v1::EngineDriver::NewStub(context.channel(t.driver()));
  const std::string driver = "engine-driver at " + t.driver();
  v1::GetStateResponse state;
  Call call;
  if (auto s = engine->GetState(&call.context, {}, &state); !s.ok()) return Failed{s, driver};
  const auto here = here_of(state.state());
  if (!here.ok()) return Failed{wire::to_grpc(here.status()), driver};
  Finality f{Lowering{*here}, {}};
  while (f.lowering.result() == Lowering::Result::asking) {
    Call ask_sources{kAskAll}, ask_engine{kAskAll};
    v1::CompareEndpointsRequest there;
    v1::GetCanonicalBlocksRequest ours;
    for (const std::uint64_t n : f.lowering.numbers()) {
      there.add_numbers(n);
      ours.add_numbers(n);
    }
    v1::CompareEndpointsResponse said;
    v1::GetCanonicalBlocksResponse has;
    if (auto s = sources->CompareEndpoints(&ask_sources.context, there, &said); !s.ok())
      return Failed{s, "remote-fetcher at " + fetcher};
    if (auto s = engine->GetCanonicalBlocks(&ask_engine.context, ours, &has); !s.ok()) return Failed{s, driver};
    std::vector<eth::BlockRef> majority, blocks;
    for (const auto& b : said.majority())
      if (const auto id = wire::from_proto(b); id.ok()) majority.push_back({id->number, id->hash, {}, 0});
    for (const auto& b : has.blocks())
      if (const auto ref = wire::from_proto(b); ref.ok()) blocks.push_back(*ref);
    // The first answer is about the final block.
    if (f.said.endpoints().empty()) f.said = said;
    f.lowering.on_answers(majority, blocks);
  }
  return f;
}

int lower(const Context& context, const v1::Tow& t, Finality& f, const std::string& reason) {
  if (f.lowering.result() != Lowering::Result::lower) return kFailed;
  const auto engine = v1::EngineDriver::NewStub(context.channel(t.driver()));
  v1::LowerFinalizedRequest request;
  *request.mutable_was() = wire::to_proto(*f.lowering.was());
  *request.mutable_to() = wire::to_proto(*f.lowering.to());
  request.set_reason(reason);
  Call call{kRewind};
  v1::LowerFinalizedResponse response;
  if (const auto s = engine->LowerFinalized(&call.context, request, &response); !s.ok()) {
    // The cause may be the driver's EL or its disk.
    std::cerr << "towline: engine-driver at " << t.driver() << ": " << s.error_message() << '\n';
    return s.error_code() == grpc::StatusCode::UNAVAILABLE ? kUnreachable : kFailed;
  }
  f.lowered = response.result();
  if (f.lowered->outcome() == v1::OUTCOME_DONE) return kOk;
  return f.lowered->outcome() == v1::OUTCOME_REFUSED ? kFailed : kUnhealthy;
}

int run_recover(const Context& context, const Flags& flags) {
  const auto& [driver, reason, force] = flags;
  v1::GetSyncStatusResponse response;
  if (const int code =
          context.coordinator_call([&](auto& s, auto* c) { return s.GetSyncStatus(c, {}, &response); }, [] {});
      code != kOk)
    return code;
  v1::SyncStatus status;
  for (const auto& t : response.status().tows())
    if (driver.empty() || t.driver() == driver) *status.add_tows() = t;
  if (!driver.empty() && status.tows().empty()) {
    std::cerr << "towline recover: no engine-driver \"" << driver << "\"; `towline status` lists them\n";
    return kFailed;
  }
  if (force && status.tows_size() != 1) {
    std::cerr << "towline recover: --force is for one engine-driver: say which by --engine-driver\n";
    return kUsage;
  }
  Finalities found;
  int code = needs_person(status) ? kUnhealthy : kOk;
  for (const auto& t : status.tows()) {
    if (!force && t.state() != v1::TOW_STATE_DIVERGED) continue;
    auto f = finality_of(context, t, context.fetcher_target(response.remote_fetcher()));
    if (const auto* failed = std::get_if<Failed>(&f)) {
      const int why = report(failed->status, failed->who);
      if (force) return why;
      continue;
    }
    found.emplace(t.driver(), std::get<Finality>(std::move(f)));
  }
  if (force) code = lower(context, status.tows(0), found.begin()->second, reason);
  if (code != kUnreachable)
    std::cout << (context.json() ? recover_json(status, found) : recover_text(status, found)) << std::flush;
  return code;
}

}  // namespace

void add_recover(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  auto* recover = app.add_subcommand("recover", "what to do when the tow is DIVERGED or NEEDS_OPERATOR");
  auto* forced = recover->add_flag("--force", flags->force,
                                   "lower what is final here, where a majority of the configured trust groups has one "
                                   "other block in its place");
  recover->add_option("--reason", flags->reason, "why; kept in engine-driver's log")->needs(forced);
  recover->add_option("--engine-driver", flags->driver, "only this engine-driver");
  context.remote(recover, [&context, flags] { return run_recover(context, *flags); });
}

}  // namespace towline::cli
