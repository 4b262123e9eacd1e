#include "tools/towline/inspect/p2p.hpp"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"
#include "libs/discv5/enr.hpp"

namespace towline::inspect {
namespace {

using gossip_block::Checked;
using gossip_block::Failure;
using gossip_block::PayloadVersion;

Facts wrong(Facts f, const std::string& rule, const std::string& why) {
  f.valid = false;
  f.fields.emplace_back("rule", rule);
  f.fields.emplace_back("why", why);
  return f;
}

void add_key(const secp256k1::PublicKey& key, Facts& f) {
  f.fields.emplace_back("node_id", to_hex(discv5::node_id_of(key).view()));
  f.fields.emplace_back("peer_id", p2p::PublicKey::of(key).peer_id().to_string());
  f.fields.emplace_back("public_key", to_hex(key.view()));
}

struct Attempt {
  PayloadVersion version;
  Checked checked;
};

/// Checks in two steps: the first finds signer and time if the question leaves them open.
Attempt attempt(PayloadVersion version, const Bytes* body, const GossipQuestion& q) {
  rollup::Config config;
  if (q.config) {
    config = *q.config;
  } else {
    config.fork_times[static_cast<std::size_t>(rollup::Fork::jovian)] = 0;
  }
  const gossip_block::Options options{q.chain_id};
  const auto look = [&](const std::vector<Address>& signers, absl::Time at) {
    return gossip_block::check(config, options, version, body, signers, at);
  };
  Checked c = look({q.signer.value_or(Address{})}, q.at.value_or(absl::UnixEpoch()));
  if (!q.signer && c.signer) c = look({*c.signer}, q.at.value_or(absl::UnixEpoch()));
  if (!q.at && c.payload) {
    const auto own =
        absl::FromUnixSeconds(static_cast<std::int64_t>(std::min<std::uint64_t>(c.payload->timestamp, 1ULL << 40U)));
    c = look({*c.signer}, own);
  }
  return {version, c};
}

}  // namespace

Facts inspect_gossip(const std::string& text, const GossipQuestion& q) {
  Facts f;
  Bytes message{text.begin(), text.end()};
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (absl::StartsWith(trimmed, "0x")) {
    const auto bytes = parse_hex(trimmed);
    if (!bytes.ok()) return wrong(f, "input", std::string{bytes.status().message()});
    message = *bytes;
  }
  const auto body = gossip_block::decompress(message);
  if (!body.ok()) return wrong(f, gossip_block::name(Failure::snappy), std::string{body.status().message()});
  std::vector<Attempt> attempts;
  for (const auto v : {PayloadVersion::v4, PayloadVersion::v3, PayloadVersion::v2, PayloadVersion::v1})
    if (!q.version || *q.version == v) attempts.push_back(attempt(v, &*body, q));
  // The valid attempt, or the one that got farthest.
  const Attempt* best = &attempts.front();
  const auto rank = [](const Attempt& a) {
    return a.checked.rule == Failure::none ? gossip_block::kFailureCount : static_cast<int>(a.checked.rule);
  };
  for (const auto& a : attempts)
    if (rank(a) > rank(*best)) best = &a;
  const Checked& c = best->checked;
  const std::string topic = gossip_block::topic_name(q.chain_id, best->version);
  f.fields.emplace_back("topic", topic);
  f.fields.emplace_back("version", absl::StrCat("v", static_cast<int>(best->version)));
  f.fields.emplace_back("message_id", to_hex(gossip_block::message_id(topic, message, &*body).view()));
  f.fields.emplace_back("bytes", absl::StrCat(message.size(), " compressed, ", body->size(), " plain"));
  if (c.signer) f.fields.emplace_back("signer", to_hex(c.signer->view()));
  if (c.payload) {
    const auto& p = *c.payload;
    f.fields.emplace_back("block_number", absl::StrCat(p.number));
    f.fields.emplace_back("block_hash", to_hex(p.block_hash.view()));
    f.fields.emplace_back("parent_hash", to_hex(p.parent_hash.view()));
    f.fields.emplace_back("timestamp", absl::StrCat(p.timestamp));
    f.fields.emplace_back("transactions", absl::StrCat(p.transactions.size()));
  }
  if (c.rule != Failure::none) return wrong(f, gossip_block::name(c.rule), c.why);
  f.valid = true;
  return f;
}

Facts inspect_enr(const std::string& text) {
  Facts f;
  const std::string trimmed{absl::StripAsciiWhitespace(text)};
  if (absl::StartsWith(trimmed, "enode:")) {
    const auto e = discv5::parse_enode(trimmed);
    if (!e.ok()) return wrong(f, "enode", std::string{e.status().message()});
    add_key(e->key, f);
    f.fields.emplace_back("host", e->host);
    f.fields.emplace_back("tcp", absl::StrCat(e->tcp));
    f.fields.emplace_back("udp", absl::StrCat(e->udp));
    f.valid = true;
    return f;
  }
  const auto e = discv5::Enr::parse(trimmed);
  if (!e.ok()) return wrong(f, "enr", std::string{e.status().message()});
  f.fields.emplace_back("seq", absl::StrCat(e->seq()));
  add_key(e->public_key(), f);
  const auto& x = e->fields();
  if (x.ip4) f.fields.emplace_back("ip", p2p::to_string(*x.ip4));
  if (x.tcp4) f.fields.emplace_back("tcp", absl::StrCat(*x.tcp4));
  if (x.udp4) f.fields.emplace_back("udp", absl::StrCat(*x.udp4));
  if (x.ip6) f.fields.emplace_back("ip6", p2p::to_string(*x.ip6));
  if (x.tcp6) f.fields.emplace_back("tcp6", absl::StrCat(*x.tcp6));
  if (x.udp6) f.fields.emplace_back("udp6", absl::StrCat(*x.udp6));
  if (x.opstack) {
    f.fields.emplace_back("opstack_chain_id", absl::StrCat(x.opstack->chain_id));
    f.fields.emplace_back("opstack_version", absl::StrCat(x.opstack->version));
  }
  if (const auto a = e->multiaddr()) f.fields.emplace_back("multiaddr", a->to_string());
  f.valid = true;
  return f;
}

Facts inspect_multiaddr(const std::string& text) {
  Facts f;
  const auto a = p2p::Multiaddr::parse(absl::StripAsciiWhitespace(text));
  if (!a.ok()) return wrong(f, "multiaddr", std::string{a.status().message()});
  f.fields.emplace_back("host", a->host == p2p::Multiaddr::Host::ip ? p2p::to_string(a->ip) : a->name);
  f.fields.emplace_back("tcp", absl::StrCat(a->tcp));
  if (a->peer) f.fields.emplace_back("peer_id", a->peer->to_string());
  f.fields.emplace_back("bytes", to_hex(a->encode()));
  f.valid = true;
  return f;
}

Facts inspect_peer_id(const std::string& text) {
  Facts f;
  const auto id = p2p::PeerId::parse(absl::StripAsciiWhitespace(text));
  if (!id.ok()) return wrong(f, "peer_id", std::string{id.status().message()});
  f.fields.emplace_back("peer_id", id->to_string());
  f.fields.emplace_back("multihash", to_hex(id->multihash()));
  // A short key is part of the id itself.
  if (id->multihash()[0] == 0) {
    const auto key = p2p::PublicKey::parse(id->multihash().subspan(2));
    if (!key.ok()) return wrong(f, "public_key", std::string{key.status().message()});
    f.fields.emplace_back("key_type", p2p::name(key->type()));
    if (key->type() == p2p::KeyType::secp256k1)
      add_key(*secp256k1::PublicKey::from(BytesView{key->encoded()}.last(33)), f);
  }
  f.valid = true;
  return f;
}

std::string to_text(const Facts& f) {
  std::string out;
  for (const auto& [name, value] : f.fields) absl::StrAppendFormat(&out, "%-18s %s\n", name, value);
  return out + (f.valid ? "VALID\n" : "INVALID\n");
}

std::string to_json(const Facts& f) {
  nlohmann::ordered_json j;
  j["valid"] = f.valid;
  for (const auto& [name, value] : f.fields) j[name] = value;
  return j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace towline::inspect
