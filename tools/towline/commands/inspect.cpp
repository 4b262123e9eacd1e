#include "tools/towline/inspect/inspect.hpp"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/http/client.hpp"
#include "libs/jsonrpc/jsonrpc.hpp"
#include "tools/towline/commands/commands.hpp"
#include "tools/towline/commands/context.hpp"
#include "tools/towline/inspect/p2p.hpp"
#include "tools/towline/inspect/read_block.hpp"

namespace towline::cli {
namespace {

struct ChainFlags {
  std::string rollup_config, network;
};
struct BlockFlags : ChainFlags {
  std::string file, url, number;
};
struct GossipFlags : ChainFlags {
  std::string file, topic, at, signer;
  std::uint64_t chain_id = 0;
};

int wrong(const absl::Status& why) {
  std::cerr << "towline inspect: " << why.message() << '\n';
  return kUsage;
}

int show(const Context& context, const inspect::Facts& f) {
  std::cout << (context.json() ? inspect::to_json(f) : inspect::to_text(f)) << std::flush;
  return f.valid ? kOk : kFailed;
}

/// Reads a file, or standard input for "-".
absl::StatusOr<std::string> read(const std::string& file) {
  if (file == "-") return read_all(std::cin);
  std::ifstream in{file, std::ios::binary};
  if (!in) return absl::InvalidArgumentError("cannot read " + file);
  return read_all(in);
}

/// nullopt: no flag names a chain.
absl::StatusOr<std::optional<rollup::Config>> chain_of(const ChainFlags& flags) {
  if (flags.rollup_config.empty() && flags.network.empty()) return std::nullopt;
  if (flags.rollup_config.empty()) return rollup::network(flags.network);
  TOWLINE_ASSIGN_OR_RETURN(const std::string text, read(flags.rollup_config));
  return rollup::parse_config(text);
}

absl::StatusOr<inspect::GossipQuestion> question_of(const GossipFlags& flags) {
  inspect::GossipQuestion q;
  TOWLINE_ASSIGN_OR_RETURN(q.config, chain_of(flags));
  q.chain_id = flags.chain_id == 0 && q.config ? q.config->l2_chain_id : flags.chain_id;
  if (q.chain_id == 0) return absl::InvalidArgumentError("whose chain? give --chain-id, --network or --rollup-config");
  if (!flags.topic.empty()) q.version = static_cast<gossip_block::PayloadVersion>(flags.topic[1] - '0');
  if (!flags.at.empty()) {
    std::int64_t seconds = 0;
    if (!absl::SimpleAtoi(flags.at, &seconds)) return absl::InvalidArgumentError("--at: not Unix seconds: " + flags.at);
    q.at = absl::FromUnixSeconds(seconds);
  }
  if (!flags.signer.empty()) {
    const auto a = parse_fixed_hex<20>(flags.signer);
    if (!a.ok()) return absl::InvalidArgumentError("--signer: not an address: " + flags.signer);
    q.signer = *a;
  }
  return q;
}

int inspect_gossip(const Context& context, const GossipFlags& flags) {
  const auto question = question_of(flags);
  if (!question.ok()) return wrong(question.status());
  const auto text = read(flags.file);
  if (!text.ok()) return wrong(text.status());
  return show(context, inspect::inspect_gossip(*text, *question));
}

/// The block parameter of a request: "latest" for an empty text, a quantity for a number.
absl::StatusOr<std::string> label_of(const std::string& number) {
  if (number.empty()) return "latest";
  std::uint64_t height = 0;
  if (absl::SimpleAtoi(number, &height)) return to_quantity(height);
  if (number == "latest" || number == "safe" || number == "finalized" || absl::SimpleHexAtoi(number, &height))
    return number;
  return absl::InvalidArgumentError(
      absl::StrCat("--number: ", number, " is neither a number nor latest, safe or finalized"));
}

/// Fetches a block. UNAVAILABLE: the URL does not answer.
absl::StatusOr<std::string> fetch(const std::string& url, const std::string& number) {
  if (const auto st = http::check_url(url); !st.ok())
    return absl::InvalidArgumentError(absl::StrCat("--url: ", st.message()));
  TOWLINE_ASSIGN_OR_RETURN(const std::string label, label_of(number));
  http::Client client;
  http::Request request;
  request.url = url;
  request.body = jsonrpc::request({"eth_getBlockByNumber", absl::StrCat("[\"", label, "\",true]")});
  const http::Response r = client.post_and_wait(std::move(request));
  if (r.transport.ok() && r.status == 200) return r.body;
  return absl::UnavailableError(
      absl::StrCat(http::redact_url(url), ": ",
                   r.transport.ok() ? absl::StrCat("HTTP ", r.status) : std::string{r.transport.message()}));
}

int inspect_block(const Context& context, const BlockFlags& flags) {
  if (flags.file.empty() == flags.url.empty())
    return wrong(absl::InvalidArgumentError("give a FILE (or -), or --url URL with --number N"));
  const auto text = flags.url.empty() ? read(flags.file) : fetch(flags.url, flags.number);
  if (!text.ok()) {
    const int code = wrong(text.status());
    return absl::IsUnavailable(text.status()) ? kUnreachable : code;
  }
  ChainFlags of = flags;
  // A block file names the config that lies beside it.
  if (of.rollup_config.empty() && of.network.empty() && !flags.file.empty() && flags.file != "-") {
    if (const auto beside = inspect::rollup_config_of(*text)) {
      const auto path = std::filesystem::path{flags.file}.parent_path() / std::filesystem::path{*beside}.filename();
      if (std::filesystem::exists(path)) of.rollup_config = path;
    }
  }
  const auto config = chain_of(of);
  if (!config.ok()) return wrong(config.status());
  const inspect::InspectReport r = inspect::inspect_block(*text, *config);
  std::cout << (context.json() ? inspect::to_json(r) : inspect::to_text(r));
  return r.valid ? kOk : kFailed;
}

void add_chain_flags(CLI::App& verb, ChainFlags& flags, const char* what_for) {
  verb.add_option("--rollup-config", flags.rollup_config, what_for);
  verb.add_option("--network", flags.network, "or a known chain by name");
}

/// A verb that decodes one text.
void add_text(CLI::App& group, Context& context, const char* name, const char* what, const char* text_help,
              inspect::Facts (*decode)(const std::string&)) {
  auto text = std::make_shared<std::string>();
  auto* verb = group.add_subcommand(name, what)->fallthrough();
  verb->add_option("text", *text, text_help)->required();
  context.local(verb, [&context, text, decode] { return show(context, decode(*text)); });
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  auto& group = *app.add_subcommand("inspect", "look into data")->require_subcommand(1)->fallthrough();

  auto block = std::make_shared<BlockFlags>();
  auto* block_verb =
      group.add_subcommand("block", "recompute every hash of a block and say whether it verifies (exit code 0 or 1)")
          ->fallthrough();
  block_verb->add_option("file", block->file, "a block file, or - for standard input");
  block_verb->add_option("--url", block->url, "take the block from this JSON-RPC instead");
  block_verb->add_option("--number", block->number, "with --url: a number, or latest, safe, finalized");
  add_chain_flags(*block_verb, *block, "rollup.json of the chain: the forks are checked, too");
  context.local(block_verb, [&context, block] { return inspect_block(context, *block); });

  auto gossip = std::make_shared<GossipFlags>();
  auto* gossip_verb =
      group
          .add_subcommand("gossip", "decode and verify a gossiped block: its signer, and the first rule that it breaks")
          ->fallthrough();
  gossip_verb->add_option("file", gossip->file, "the raw message or its hex text, or - for standard input")->required();
  gossip_verb->add_option("--chain-id", gossip->chain_id,
                          "of the chain (default: that of --network or --rollup-config)");
  gossip_verb->add_option("--topic", gossip->topic, "v1 to v4 (default: what fits)")
      ->check(CLI::IsMember({"v1", "v2", "v3", "v4"}));
  gossip_verb->add_option("--at", gossip->at, "Unix seconds at which it is judged (default: the block's own time)");
  gossip_verb->add_option("--signer", gossip->signer, "the address that must have signed it (default: anybody)");
  add_chain_flags(*gossip_verb, *gossip, "rollup.json of the chain, for its fork times");
  context.local(gossip_verb, [&context, gossip] { return inspect_gossip(context, *gossip); });

  add_text(group, context, "enr", "decode and verify a node record (enr:..) or an enode URL", "enr:.. or enode://..",
           inspect::inspect_enr);
  add_text(group, context, "multiaddr", "decode a multiaddr", "/ip4/../tcp/../p2p/..", inspect::inspect_multiaddr);
  add_text(group, context, "peer-id", "decode a libp2p peer id", "16Uiu2HA.., 12D3KooW.., Qm.. or bafz..",
           inspect::inspect_peer_id);
}

}  // namespace towline::cli
