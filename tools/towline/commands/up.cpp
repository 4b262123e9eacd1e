#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "libs/service/flags.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/process.hpp"
#include "tools/towline/supervisor.hpp"

namespace towline::cli {
namespace {

void add_flags(CLI::App& c, UpOptions& o) {
  c.footer(
      "Example: towline up --source https://rpc.example --engine http://127.0.0.1:8551 \\\n           --jwt-secret "
      "jwt.hex --network op-mainnet\n\n"
      "It needs no L1 endpoint. Several --source are used together: one may fail or lie.\nCtrl-C stops everything "
      "within 5 seconds.");
  c.add_option("--source", o.sources,
               "JSON-RPC URL of a remote node (EL or CL), best first; repeat it. URL,group=NAME says who runs it: one "
               "vote")
      ->delimiter(',');
  c.add_option("--engine", o.engine, "Engine API of the local EL, for example http://127.0.0.1:8551")->required();
  c.add_option("--network", o.network, "a known chain by name (`towline networks`)");
  c.add_option("--rollup-config", o.rollup_config, "or its rollup.json");
  c.add_option("--unsafe-source", o.unsafe_source,
               "gossip (the p2p network), remote, both, or none to follow the safe head")
      ->capture_default_str()
      ->check(CLI::IsMember({"both", "gossip", "remote", "none"}));
  c.add_flag("--p2p.disable", o.p2p_disable, "do not join the chain's p2p network");
  c.add_option("--data-dir", o.data_dir, "confirmed finalized block, term and logs")->capture_default_str();
  c.add_option("--base-port", o.base_port, "services listen on loopback from this port on; 0: any free ports")
      ->capture_default_str()
      ->check(CLI::Range(0, kLargestBasePort));
  service::name_environment(c);
}

/// The error of a combination of flags; empty: none.
std::string wrong_with(const UpOptions& o) {
  const auto fetcher = o.environment.find("remote-fetcher");
  const bool has_file = fetcher != o.environment.end() && fetcher->second.contains("TOWLINE_ENDPOINTS_FILE");
  if (o.sources.empty() && !has_file)
    return "no source: give --source URL (repeat it for more) or --endpoints-file FILE";
  if (o.unsafe_source == "gossip" && !runs_gossip(o))
    return "--unsafe-source gossip needs nodes of the chain to begin with (--p2p.static or --p2p.bootnodes) and who "
           "signs its blocks (--p2p.unsafe-block-signer)";
  if (o.network.empty() == o.rollup_config.empty()) return "give one of --network and --rollup-config";
  return {};
}

int run_up(const CLI::App& app, const CLI::App& verb, const Context& context, UpOptions options,
           const ServiceFlags& service_flags) {
  if (const std::string wrong = service::secret_on_command_line(verb, context.argc(), context.argv()); !wrong.empty()) {
    std::cerr << "towline up: " << wrong << '\n';
    return kUsage;
  }
  if (const std::string unknown = service::unknown_variables({&app, &verb}); !unknown.empty())
    std::cerr << "towline up: no flag reads " << unknown << " (--help shows them)\n";
  options.environment = service_flags.given();
  options.token_file = context.token_file();
  if (const std::string wrong = wrong_with(options); !wrong.empty()) {
    std::cerr << "towline up: " << wrong << '\n';
    return kUsage;
  }
  return up(options);
}

}  // namespace

void add_up(CLI::App& app, Context& context) {
  auto* verb = app.add_subcommand("up", "run all services on this host and show how far they are");
  auto options = std::make_shared<UpOptions>();
  add_flags(*verb, *options);
  auto service_flags = std::make_shared<ServiceFlags>();
  verb->preparse_callback([verb, service_flags](std::size_t) {
    auto asked = ServiceFlags::ask(own_directory());
    if (!asked.ok()) throw CLI::RuntimeError(absl::StrCat("up: ", asked.status().message()), kFailed);
    *service_flags = *std::move(asked);
    service_flags->add_to(*verb);
  });
  context.local(verb, [&app, verb, &context, options, service_flags] {
    return run_up(app, *verb, context, *options, *service_flags);
  });
}

}  // namespace towline::cli
