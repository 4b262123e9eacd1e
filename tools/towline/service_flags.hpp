// The flags of the services as flags of `towline up`. The programs are asked for them, so that there is no second list.
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

/// Environment variables and their values, for starting a service.
using Environment = std::map<std::string, std::string>;

class ServiceFlags {
 public:
  /// Asks each program of kServices in `directory`. An error: a program is missing.
  static absl::StatusOr<ServiceFlags> ask(const std::string& directory);

  /// Adds the flags that `up` does not have itself, without those that it sets for the services (addresses).
  void add_to(CLI::App& up);
  /// The operator's settings as variables of each service; call it after the parse.
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
