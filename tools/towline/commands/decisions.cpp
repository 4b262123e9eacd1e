#include <CLI/CLI.hpp>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {

void add_decisions(CLI::App& app, Context& context) {
  auto* decisions = app.add_subcommand("decisions", "the last decisions with their reasons");
  auto limit = std::make_shared<std::uint32_t>(0);
  decisions->add_option("-n,--limit", *limit, "only the last N (0: all that are kept)");
  context.remote(decisions, [&context, limit] {
    v1::ListDecisionsRequest request;
    request.set_limit(*limit);
    v1::ListDecisionsResponse response;
    return context.coordinator_call([&](auto& s, auto* c) { return s.ListDecisions(c, request, &response); },
                                    [&] { context.print(response, decisions_text(response)); });
  });
}

}  // namespace towline::cli
