#include <CLI/CLI.hpp>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"

namespace towline::cli {

void add_pause(CLI::App& app, Context& context) {
  auto stop = std::make_shared<v1::PauseRequest>();
  auto* pause = app.add_subcommand("pause", "stop towing after the command in hand");
  pause->add_option("--engine-driver", *stop->mutable_driver(), "only this engine-driver");
  pause->add_option("--reason", *stop->mutable_reason(), "kept and shown");
  context.remote(pause, [&context, stop] {
    v1::PauseResponse response;
    return context.coordinator_call([&](auto& s, auto* c) { return s.Pause(c, *stop, &response); },
                                    [&] { context.done("paused: `towline resume` goes on"); });
  });

  auto go = std::make_shared<v1::ResumeRequest>();
  auto* resume = app.add_subcommand("resume", "tow on");
  resume->add_option("--engine-driver", *go->mutable_driver(), "only this engine-driver");
  context.remote(resume, [&context, go] {
    v1::ResumeResponse response;
    return context.coordinator_call([&](auto& s, auto* c) { return s.Resume(c, *go, &response); },
                                    [&] { context.done("resumed"); });
  });
}

}  // namespace towline::cli
