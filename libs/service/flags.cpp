#include "libs/service/flags.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <set>

namespace towline::service {

std::string secret_on_command_line(const CLI::App& app, int argc, const char* const* argv) {
  for (const CLI::Option* o : app.get_options()) {
    if (o->get_group() != kSecrets) continue;
    const std::string name = "--" + o->get_lnames()[0];
    for (int i = 1; i < argc; ++i)
      if (argv[i] == name || absl::StartsWith(argv[i], name + "="))
        return absl::StrCat(name, ": everybody can read the arguments of a process: use ", o->get_envname(),
                            " or --config");
  }
  return {};
}

void name_environment(CLI::App& app) {
  for (CLI::Option* o : app.get_options()) {
    if (o->get_lnames().empty() || o->get_lnames()[0] == "help" || o->get_lnames()[0] == "version") continue;
    o->envname("TOWLINE_" + absl::AsciiStrToUpper(absl::StrReplaceAll(o->get_lnames()[0], {{".", "_"}, {"-", "_"}})));
  }
}

std::string flags_json(const CLI::App& app) {
  nlohmann::json out = nlohmann::json::array();
  for (const CLI::Option* o : app.get_options()) {
    if (o->get_envname().empty()) continue;
    out.push_back({{"name", "--" + o->get_lnames()[0]},
                   {"env", o->get_envname()},
                   {"description", o->get_description()},
                   {"default", o->get_default_str()},
                   {"switch", o->get_expected_max() == 0},
                   {"repeats", o->get_expected_max() > 1},
                   {"secret", o->get_group() == kSecrets}});
  }
  return out.dump();
}

std::string unknown_variables(std::initializer_list<const CLI::App*> apps) {
  std::set<std::string> known, unknown;
  for (const CLI::App* app : apps)
    for (const CLI::Option* o : app->get_options()) known.insert(o->get_envname());
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string name{absl::string_view{*e}.substr(0, absl::string_view{*e}.find('='))};
    if (absl::StartsWith(name, "TOWLINE_") && !known.contains(name)) unknown.insert(name);
  }
  return absl::StrJoin(unknown, ", ");
}

}  // namespace towline::service
