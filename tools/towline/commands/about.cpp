#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "libs/rollup/config.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/demo.hpp"

namespace towline::cli {

void add_about(CLI::App& app, Context& context) {
  context.local(app.add_subcommand("networks", "the chains that --network knows"), [&context] {
    const auto names = rollup::network_names();
    if (context.json()) std::cout << nlohmann::json(names).dump(1) << '\n';
    else
      for (const auto& n : names) std::cout << n << '\n';
    return kOk;
  });
  context.local(app.add_subcommand("version", "the version of this program"), [] {
    std::cout << "towline " TOWLINE_VERSION "\n";
    return kOk;
  });
  context.local(app.add_subcommand("demo",
                                   "tow a simulated client along a simulated chain and check every step: about "
                                   "75 seconds"),
                [] { return demo(); });
}

}  // namespace towline::cli
