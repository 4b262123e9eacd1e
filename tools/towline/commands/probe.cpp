#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/liveness.hpp"

namespace towline::cli {
namespace {

constexpr auto kPatience = std::chrono::seconds{2};

/// A service that listens on all addresses is asked on loopback.
std::string reachable(std::string address) {
  for (const char* any : {"0.0.0.0:", "[::]:"})
    if (absl::StartsWith(address, any)) return absl::StrCat("127.0.0.1:", absl::StripPrefix(address, any));
  return address;
}

}  // namespace

void add_probe(CLI::App& app, Context& context) {
  auto address = std::make_shared<std::string>();
  auto* probe = app.add_subcommand("probe", "ask one service's /livez: exit code 0, or 3 if it is not well");
  probe->footer("For a container's health check: the service's own TOWLINE_HTTP_ADDR says where it listens.");
  probe->add_option("address", *address, "host:port of its status server")->envname("TOWLINE_HTTP_ADDR")->required();
  context.local(probe, [address] {
    if (lives(reachable(*address), kPatience)) return kOk;
    std::cerr << "towline: " << *address << " does not say that it lives\n";
    return kUnreachable;
  });
}

}  // namespace towline::cli
