#include "tools/towline/service_flags.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "libs/base/status.hpp"
#include "libs/service/flags.hpp"
#include "tools/towline/process.hpp"
#include "tools/towline/supervisor.hpp"

namespace towline::cli {
namespace {

/// Flags that `up` sets itself: the addresses of the services, on loopback, the token, and the sources (--source).
const std::set<std::string> kSetByUp{"--auth.token-file", "--insecure",      "--config",         "--grpc.addr",
                                     "--http.addr",       "--endpoint",      "--remote-fetcher", "--p2p-gossip",
                                     "--remote-fetcher",  "--engine-driver", "--p2p-gossip"};

}  // namespace

absl::StatusOr<ServiceFlags> ServiceFlags::ask(const std::string& directory) {
  ServiceFlags out;
  for (const std::string service : kServices) {
    TOWLINE_ASSIGN_OR_RETURN(const std::string text, output_of(directory, service, "--print-flags"));
    const auto list = nlohmann::json::parse(text, nullptr, false);
    if (!list.is_array())
      return absl::FailedPreconditionError(
          absl::StrCat(directory, "/", service, " is not of version " TOWLINE_VERSION));
    for (const auto& f : list) {
      const std::string name = f.value("name", "");
      if (kSetByUp.contains(name)) continue;
      Flag& flag = out.flags_[name];
      flag.env = f.value("env", "");
      flag.description = f.value("description", "");
      flag.default_text = f.value("default", "");
      flag.is_switch = f.value("switch", false);
      flag.repeats = f.value("repeats", false);
      flag.secret = f.value("secret", false);
      flag.services.insert(service);
    }
  }
  return out;
}

void ServiceFlags::add_to(CLI::App& up) {
  for (auto& [name, f] : flags_) {
    if (up.get_option_no_throw(name) != nullptr) continue;
    if (f.is_switch) {
      f.option = up.add_flag(name, std::as_const(f.description));
    } else {
      // The service checks the value.
      f.option = up.add_option(
          name, [](const CLI::results_t&) { return true; }, f.description);
      f.option->default_str(f.default_text)->expected(1);
      if (f.repeats)
        f.option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->expected(-1)->allow_extra_args(false);
    }
    f.option->envname(f.env);
    f.option->group(f.secret ? service::kSecrets
                    : f.services.size() == kServices.size()
                        ? "Flags of every service"
                        : absl::StrCat("Flags of ", absl::StrJoin(f.services, ", ")));
  }
}

std::map<std::string, Environment> ServiceFlags::given() const {
  std::map<std::string, Environment> out;
  for (const auto& [name, f] : flags_) {
    if (f.option == nullptr || f.option->count() == 0) continue;
    for (const auto& service : f.services) out[service][f.env] = absl::StrJoin(f.option->results(), ",");
  }
  return out;
}

}  // namespace towline::cli
