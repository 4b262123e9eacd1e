#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>

#include "libs/wire/addresses.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/render.hpp"

namespace towline::cli {
namespace {

/// Asks all replicas, since each has its own list of endpoints. Prints `done`, " in 3 of 3 remote-fetchers" if there
/// are several, and `hint`.
template <class Ask>
int every_fetcher(const Context& context, Ask ask, const std::string& done, const std::string& hint = {}) {
  const std::vector<std::string> replicas = wire::addresses_of(context.fetcher_target());
  int code = kOk;
  std::size_t reached = 0;
  for (const auto& address : replicas) {
    const auto stub = v1::RemoteFetcher::NewStub(context.channel(address));
    Call call;
    if (const grpc::Status s = ask(*stub, &call.context); s.ok()) ++reached;
    else code = report(s, "remote-fetcher at " + address);
  }
  if (reached == 0) return code;
  const std::string where =
      replicas.size() == 1 ? "" : absl::StrCat(" in ", reached, " of ", replicas.size(), " remote-fetchers");
  context.done(absl::StrCat(done, where, hint));
  return code;
}

}  // namespace

void add_endpoints(CLI::App& app, Context& context) {
  auto* endpoints = app.add_subcommand("endpoints", "what is known of every source");
  context.remote(endpoints, [&context] {
    v1::ListEndpointsResponse response;
    return context.fetcher_call([&](auto& s, auto* c) { return s.ListEndpoints(c, {}, &response); },
                                [&] { context.print(response, endpoints_text(response)); });
  });

  auto out = std::make_shared<v1::CordonEndpointRequest>();
  auto* cordon = app.add_subcommand("cordon", "take a source out of use");
  cordon->add_option("name", *out->mutable_name(), "as `towline endpoints` shows it")->required();
  cordon->add_option("--reason", *out->mutable_reason(), "kept and shown");
  context.remote(cordon, [&context, out] {
    return every_fetcher(
        context,
        [&](auto& s, auto* c) {
          v1::CordonEndpointResponse response;
          return s.CordonEndpoint(c, *out, &response);
        },
        absl::StrCat(out->name(), " is out of use"),
        absl::StrCat(": `towline uncordon ", out->name(), "` takes it back"));
  });

  auto back = std::make_shared<v1::UncordonEndpointRequest>();
  auto* uncordon = app.add_subcommand("uncordon", "put a source back into use");
  uncordon->add_option("name", *back->mutable_name(), "as `towline endpoints` shows it")->required();
  context.remote(uncordon, [&context, back] {
    return every_fetcher(
        context,
        [&](auto& s, auto* c) {
          v1::UncordonEndpointResponse response;
          return s.UncordonEndpoint(c, *back, &response);
        },
        absl::StrCat(back->name(), " is in use again"));
  });
}

}  // namespace towline::cli
