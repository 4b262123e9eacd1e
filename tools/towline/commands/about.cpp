#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/rollup/config.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/demo.hpp"

namespace towline::cli {
namespace {

int show_network(const std::string& name, bool json) {
  const auto c = rollup::network(name);
  if (!c.ok()) {
    std::cerr << "towline: " << c.status().message() << '\n';
    return kUsage;
  }
  std::vector<std::pair<std::string, std::uint64_t>> forks;
  for (std::size_t f = 0; f < rollup::kForkCount; ++f)
    if (c->fork_times[f]) forks.emplace_back(rollup::name(static_cast<rollup::Fork>(f)), *c->fork_times[f]);
  forks.insert(forks.end(), c->unknown_forks.begin(), c->unknown_forks.end());
  if (json) {
    nlohmann::json times = nlohmann::json::object();
    for (const auto& [fork, time] : forks) times[fork] = time;
    std::cout << nlohmann::json{{"name", name},
                                {"chain_id", c->l2_chain_id},
                                {"l1_chain_id", c->l1_chain_id},
                                {"block_time", c->block_time},
                                {"genesis",
                                 {{"number", c->l2_genesis.number}, {"hash", to_hex(c->l2_genesis.hash.view())}}},
                                {"forks", times}}
                     .dump(1)
              << '\n';
    return kOk;
  }
  std::cout << absl::StrCat(name, ": chain id ", c->l2_chain_id, ", a block each ", c->block_time, " s, starts with ",
                            eth::to_string(c->l2_genesis), "\n");
  for (const auto& [fork, time] : forks)
    std::cout << absl::StrCat(
        "  ", fork, " ",
        time == 0 ? "from the start"
                  : absl::FormatTime(absl::RFC3339_sec, absl::FromUnixSeconds(static_cast<std::int64_t>(time)),
                                     absl::UTCTimeZone()),
        "\n");
  return kOk;
}

}  // namespace

void add_about(CLI::App& app, Context& context) {
  auto* networks = app.add_subcommand("networks", "the chains that --network knows; with a name: what is known of it");
  auto name = std::make_shared<std::string>();
  networks->add_option("name", *name, "one of them");
  context.local(networks, [&context, name] {
    if (!name->empty()) return show_network(*name, context.json());
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
