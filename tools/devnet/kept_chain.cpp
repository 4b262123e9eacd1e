#include "tools/devnet/kept_chain.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <nlohmann/json.hpp>

#include "libs/base/files.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"

namespace towline::devnet {
namespace {

using nlohmann::json;

/// The options that make a chain, by the names of their flags.
template <class Options, class Visit>
void each_option(Options& o, Visit visit) {
  visit("seed", o.seed);
  visit("chain-id", o.chain_id);
  visit("genesis-time", o.genesis_time);
  visit("block-time", o.block_time);
  visit("tx-per-block", o.transactions);
  visit("tx-bytes", o.input_bytes);
  visit("unknown-tx-each", o.unknown_each);
}

template <class Kept, class Visit>
void each_key(Kept& k, Visit visit) {
  visit("jwt_secret", k.jwt_secret);
  visit("p2p_key", k.p2p_key);
  visit("signer_key", k.signer_key);
}

}  // namespace

KeptChain keep_new(const sim::ChainOptions& options) {
  KeptChain k{.options = options, .steps = {}, .head = 0, .jwt_secret = {}, .p2p_key = {}, .signer_key = {}};
  each_key(k, [](const char*, Hash32& key) { key = crypto::random<32>(); });
  return k;
}

absl::StatusOr<std::optional<KeptChain>> read_kept_chain(const std::string& path) {
  const auto text = read_state_file(path);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  KeptChain k;
  try {
    const json j = json::parse(*text);
    each_option(k.options, [&](const char* name, auto& value) { j.at("flags").at(name).get_to(value); });
    for (const json& s : j.at("steps")) k.steps.push_back({s.at("head"), s.at("reorg")});
    j.at("head").get_to(k.head);
    absl::Status keys;
    each_key(k, [&](const char* name, Hash32& key) {
      const auto parsed = parse_fixed_hex<32>(j.at(name).get<std::string>());
      if (parsed.ok()) key = *parsed;
      else keys = absl::InvalidArgumentError(absl::StrCat(path, ": ", name, ": ", parsed.status().message()));
    });
    TOWLINE_RETURN_IF_ERROR(keys);
  } catch (const json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", e.what()));
  }
  return k;
}

absl::Status write_kept_chain(const std::string& path, const KeptChain& kept) {
  json j = {{"flags", json::object()}, {"steps", json::array()}, {"head", kept.head}};
  each_option(kept.options, [&](const char* name, const auto& value) { j["flags"][name] = value; });
  for (const auto& s : kept.steps) j["steps"].push_back({{"head", s.head}, {"reorg", s.reorg}});
  each_key(kept, [&](const char* name, const Hash32& key) { j[name] = to_hex(key.view()); });
  return write_state_file(path, j.dump(2) + "\n");
}

std::string other_flags(const sim::ChainOptions& kept, const sim::ChainOptions& wanted) {
  std::vector<std::string> out;
  std::vector<std::uint64_t> values;
  each_option(kept, [&](const char*, const auto& value) { values.push_back(value); });
  std::size_t i = 0;
  each_option(wanted, [&](const char* name, const auto& value) {
    const std::uint64_t had = values[i++];
    const bool any = &value == &wanted.genesis_time && value == 0;
    if (!any && had != value) out.push_back(absl::StrCat("--", name, " ", had));
  });
  return absl::StrJoin(out, ", ");
}

void rebuild(const KeptChain& kept, sim::Chain& chain) {
  const auto grow_to = [&](std::uint64_t head) {
    while (chain.head()->header.number < head) chain.append();
  };
  for (const auto& s : kept.steps) {
    grow_to(s.head);
    if (s.reorg > 0) chain.reorg(s.reorg);
    else chain.append(true);
  }
  grow_to(kept.head);
}

}  // namespace towline::devnet
