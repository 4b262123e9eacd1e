// The flags of a service as data, so that `towline up` offers them without a list of its own.
#pragma once
#include <initializer_list>
#include <string>

namespace CLI {
class App;
}

namespace towline::service {

/// The group of flags whose value is a secret. Everybody can read the arguments of a process, so these are accepted
/// only from the environment and the config file.
inline constexpr const char* kSecrets = "By environment or --config only";
/// The error if a flag of that group is on the command line; empty: none is.
std::string secret_on_command_line(const CLI::App& app, int argc, const char* const* argv);

/// Gives each flag its environment variable: --a.b-c is TOWLINE_A_B_C.
void name_environment(CLI::App& app);

/// A JSON array with an object for each flag that has a variable: name ("--a.b-c"), env, description, default (may be
/// empty), switch (it takes no value), repeats (it may be given several times) and secret (see kSecrets).
std::string flags_json(const CLI::App& app);

/// The TOWLINE_ variables of this process that no flag of `apps` reads, as "A, B"; empty: none.
std::string unknown_variables(std::initializer_list<const CLI::App*> apps);

}  // namespace towline::service
