#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

int run_peers(const Context& context) {
  v1::GetNodeResponse node;
  v1::ListPeersResponse peers;
  v1::ListBansResponse bans;
  return context.gossip_call(
      [&](auto& s, auto* c) {
        if (grpc::Status st = s.GetNode(c, {}, &node); !st.ok()) return st;
        Call second, third;
        if (grpc::Status st = s.ListPeers(&second.context, {}, &peers); !st.ok()) return st;
        return s.ListBans(&third.context, {}, &bans);
      },
      [&] {
        if (!context.json()) {
          std::cout << peers_text(node, peers, bans) << std::flush;
          return;
        }
        std::cout << absl::StrCat("{\"node\": ", to_json(node, -1), ",\n\"peers\": ", to_json(peers, -1),
                                  ",\n\"bans\": ", to_json(bans, -1), "}\n")
                  << std::flush;
      });
}

}  // namespace

void add_peers(CLI::App& app, Context& context) {
  auto* peers = app.add_subcommand("peers", "this node on the p2p network, its peers and the bans");
  context.remote(peers, [&context] { return run_peers(context); });

  struct Ban {
    std::string target, reason;
    std::uint64_t seconds = 3600;
  };
  auto out = std::make_shared<Ban>();
  auto* ban = app.add_subcommand("ban", "keep a p2p peer or an IP address out");
  ban->add_option("target", out->target, "a peer id, or an IP address")->required();
  ban->add_option("--seconds", out->seconds, "for how long")->capture_default_str()->check(CLI::PositiveNumber);
  ban->add_option("--reason", out->reason, "kept and shown");
  context.remote(ban, [&context, out] {
    v1::BanPeerRequest request;
    request.set_target(out->target);
    request.set_seconds(out->seconds);
    request.set_reason(out->reason);
    v1::BanPeerResponse response;
    return context.gossip_call(
        [&](auto& s, auto* c) { return s.BanPeer(c, request, &response); },
        [&] {
          context.done(absl::StrCat(out->target, " is kept out: `towline unban ", out->target, "` lets it in again"));
        });
  });

  auto in = std::make_shared<v1::UnbanPeerRequest>();
  auto* unban = app.add_subcommand("unban", "let a banned peer or IP address in again");
  unban->add_option("target", *in->mutable_target(), "as `towline peers` shows it")->required();
  context.remote(unban, [&context, in] {
    v1::UnbanPeerResponse response;
    return context.gossip_call([&](auto& s, auto* c) { return s.UnbanPeer(c, *in, &response); },
                               [&] { context.done(absl::StrCat(in->target(), " may connect again")); });
  });

  auto dial = std::make_shared<v1::ConnectPeerRequest>();
  auto* connect = app.add_subcommand("connect", "dial a p2p peer now");
  connect
      ->add_option("address", *dial->mutable_address(),
                   "multiaddr with /p2p, e.g. /ip4/10.0.0.1/tcp/9222/p2p/16Uiu2HA..")
      ->required();
  context.remote(connect, [&context, dial] {
    v1::ConnectPeerResponse response;
    return context.gossip_call([&](auto& s, auto* c) { return s.ConnectPeer(c, *dial, &response); },
                               [&] { context.done("connected"); });
  });
}

}  // namespace towline::cli
