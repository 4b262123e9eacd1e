// The flags of the services as flags of `towline up`: asked of the programs, so that there is no second list of them.
#pragma once
#include <absl/status/statusor.h>

#include <map>
#include <set>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace towline::cli {

/// Variables and their values: what a service is started with.
using Environment = std::map<std::string, std::string>;

class ServiceFlags {
 public:
  /// Asks each program of kServices in `directory`. An error: one is missing there.
  static absl::StatusOr<ServiceFlags> ask(const std::string& directory);

  /// Offers the flags that `up` does not have itself. Those that it sets for the services (addresses) are left out.
  void add_to(CLI::App& up);
  /// What the operator has set, as variables of each service; after the parse.
  std::map<std::string, Environment> given() const;

 private:
  struct Flag {
    std::string env, description, default_text;
    bool is_switch = false, repeats = false, secret = false;
    std::set<std::string> services;
    CLI::Option* option = nullptr;
  };
  std::map<std::string, Flag> flags_;  // by name, as "--max-rps"
};

}  // namespace towline::cli
