#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/live_area.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

int run_status(const Context& context, bool check) {
  v1::GetSyncStatusResponse response;
  const int code = context.coordinator_call([&](auto& s, auto* c) { return s.GetSyncStatus(c, {}, &response); },
                                            [&] { context.print(response.status(), status_text(response.status())); });
  if (code != kOk || !check) return code;
  for (const auto& t : response.status().tows()) {
    if (!t.ready()) return kUnhealthy;
  }
  return kOk;
}

int run_watch(const Context& context) {
  const auto stub = v1::SyncCoordinator::NewStub(context.channel(context.coordinator()));
  grpc::ClientContext call;
  const auto reader = stub->WatchSyncStatus(&call, {});
  v1::WatchSyncStatusResponse message;
  LiveArea area;
  std::string last;
  while (reader->Read(&message)) {
    if (context.json()) {
      std::cout << to_json(message.status(), -1) << std::flush;
      continue;
    }
    area.draw(live_lines(message.status()));
    const std::string line = live_line(message.status());
    if (!area.live() && line != last) std::cout << line << std::endl;
    last = line;
  }
  area.leave();
  return report(reader->Finish(), "sync-coordinator at " + context.coordinator());
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  auto* status = app.add_subcommand("status", "where the tow is, and why");
  auto check = std::make_shared<bool>(false);
  status->add_flag("--check", *check, "exit code 4 unless every tow is ready, as /readyz says it");
  context.remote(status, [&context, check] { return run_status(context, *check); });
  auto* watch = app.add_subcommand("watch", "status lines as they change, until Ctrl-C");
  context.remote(watch, [&context] { return run_watch(context); });
}

}  // namespace towline::cli
