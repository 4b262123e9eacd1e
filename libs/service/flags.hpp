// What a service can be told, so that `towline up` offers the flags of the services that it runs and keeps no list of
// its own.
#pragma once
#include <initializer_list>
#include <string>

namespace CLI {
class App;
}

namespace towline::service {

/// The group of flags that hold a secret itself: everybody can read the arguments of a process, so they are taken from
/// the environment and the config file alone.
inline constexpr const char* kSecrets = "By environment or --config only";
/// What is wrong when a flag of that group stands on the command line; empty: nothing.
std::string secret_on_command_line(const CLI::App& app, int argc, const char* const* argv);

/// Gives each flag its variable: --a.b-c is TOWLINE_A_B_C.
void name_environment(CLI::App& app);

/// One JSON object per flag that has a variable: name ("--a.b-c"), env, description, default (may be empty),
/// switch (it takes no value), repeats (it may be given several times) and secret (see kSecrets).
std::string flags_json(const CLI::App& app);

/// The TOWLINE_ variables of this process that no flag of `apps` reads, as "A, B"; empty: none.
std::string unknown_variables(std::initializer_list<const CLI::App*> apps);

}  // namespace towline::service
