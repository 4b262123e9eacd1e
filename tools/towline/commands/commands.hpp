// The verbs of `towline`. Each function registers its verbs with their flags and actions.
#pragma once

namespace CLI {
class App;
}

namespace towline::cli {

class Context;

void add_up(CLI::App& app, Context& context);
/// status and watch.
void add_status(CLI::App& app, Context& context);
void add_decisions(CLI::App& app, Context& context);
/// endpoints, cordon and uncordon.
void add_endpoints(CLI::App& app, Context& context);
/// peers, ban, unban and connect.
void add_peers(CLI::App& app, Context& context);
/// pause and resume.
void add_pause(CLI::App& app, Context& context);
void add_recover(CLI::App& app, Context& context);
void add_probe(CLI::App& app, Context& context);
/// networks, version and demo.
void add_about(CLI::App& app, Context& context);
/// inspect block, gossip, enr, multiaddr and peer-id.
void add_inspect(CLI::App& app, Context& context);

}  // namespace towline::cli
