// towline, the operator's command line: verbs with small calls that have a deadline.
#include <absl/strings/str_replace.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"

namespace towline::cli {
namespace {

/// Blanks the parsed URLs on the command line: they may contain keys, and every user of the host can read
/// /proc/PID/cmdline.
void hide_urls(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    char* at = std::strstr(argv[i], "://");
    if (at != nullptr) std::memset(at + 3, '*', std::strlen(at + 3));
  }
}

int run(int argc, char** argv) {
  CLI::App app{
      "Towline tows a local execution client along an OP Stack chain.\n\n"
      "  towline up --source https://rpc.example --engine http://127.0.0.1:8551 \\\n"
      "             --jwt-secret jwt.hex --network op-mainnet\n"
      "  towline status            where it is, and why\n"
      "  towline decisions -n 20   what it did last, and why\n"
      "  towline recover           what to do when it cannot go on\n",
      "towline"};
  app.footer(
      "Exit codes: 0 done; 1 the answer is no (INVALID, no such name, a service that\ncannot run); 2 wrong flags; 3 "
      "the service does not answer; 4 `status --check`:\nnot ready; 4 `recover`: somebody has to do something.");
  app.set_version_flag("--version", "towline " TOWLINE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_config("--config", "", "TOML file of flags; those of a command stand in its section, as engine under [up]")
      ->envname("TOWLINE_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.get_config_formatter_base()->parentSeparator('/');
  Context context{argc, argv};
  context.add_flags(app);
  for (const auto add : {add_up, add_status, add_decisions, add_endpoints, add_peers, add_pause, add_recover, add_probe,
                         add_about, add_inspect})
    add(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::RuntimeError& e) {
    std::cerr << "towline " << e.what() << '\n';
    return e.get_exit_code();
  } catch (const CLI::ParseError& e) {
    std::cerr << "towline: "
              << absl::StrReplaceAll(e.what(), {{"INI was not able to parse ", "--config: no such key, or no TOML: "}})
              << " (--help shows the flags)\n";
    return kUsage;
  }
  hide_urls(argc, argv);
  return context.run();
}

}  // namespace
}  // namespace towline::cli

int main(int argc, char** argv) { return towline::cli::run(argc, argv); }
