#include "libs/discv5/enr.hpp"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/p2p/wire.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::discv5 {
namespace {

absl::Status bad_record(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("enr: ", what)); }

absl::StatusOr<std::uint16_t> port(const rlp::Item& item) {
  rlp::Reader r{item.encoding};
  const auto n = r.u64();
  if (!n.ok() || *n == 0 || *n > 65535) return bad_record("a port that is none");
  return static_cast<std::uint16_t>(*n);
}

absl::StatusOr<p2p::Ip> ip(const rlp::Item& item, std::size_t size) {
  if (item.kind != rlp::Kind::string || item.payload.size() != size)
    return bad_record("an IP address of another length");
  p2p::Ip out = p2p::ip4(0, 0, 0, 0);
  std::copy(item.payload.begin(), item.payload.end(), out.bytes.begin() + static_cast<std::ptrdiff_t>(16 - size));
  return out;
}

/// The `opstack` entry: a string of uvarint chain id and uvarint version. Trailing bytes are tolerated, as in op-node.
absl::StatusOr<OpStack> opstack(const rlp::Item& item) {
  OpStack out;
  BytesView in = item.payload;
  for (std::uint64_t* n : {&out.chain_id, &out.version}) {
    const auto v = p2p::read_uvarint(in);
    if (item.kind != rlp::Kind::string || !v.ok() || !*v) return bad_record("a malformed opstack entry");
    *n = (*v)->value;
    in = in.subspan((*v)->size);
  }
  return out;
}

Bytes string_item(BytesView v) {
  Bytes out;
  rlp::append_string(v, out);
  return out;
}

Bytes number_item(std::uint64_t n) {
  Bytes out;
  rlp::append_u64(n, out);
  return out;
}

}  // namespace

NodeId node_id_of(const secp256k1::PublicKey& key) { return keccak256(secp256k1::uncompressed(key).view()); }

Enr Enr::make(const secp256k1::SecretKey& key, std::uint64_t seq, const Fields& f) {
  std::map<std::string, Bytes> entries;  // EIP-778 requires sorted keys
  entries["id"] = string_item(as_bytes("v4"));
  entries["secp256k1"] = string_item(key.public_key().view());
  if (f.ip4) entries["ip"] = string_item(f.ip4->view().subspan(12));
  if (f.ip6) entries["ip6"] = string_item(f.ip6->view());
  if (f.tcp4) entries["tcp"] = number_item(*f.tcp4);
  if (f.udp4) entries["udp"] = number_item(*f.udp4);
  if (f.tcp6) entries["tcp6"] = number_item(*f.tcp6);
  if (f.udp6) entries["udp6"] = number_item(*f.udp6);
  if (f.opstack) {
    Bytes value;
    p2p::append_uvarint(f.opstack->chain_id, value);
    p2p::append_uvarint(f.opstack->version, value);
    entries["opstack"] = string_item(value);
  }
  Bytes content = number_item(seq);
  for (const auto& [name, value] : entries) {
    rlp::append_string(as_bytes(name), content);
    content.insert(content.end(), value.begin(), value.end());
  }
  Bytes to_sign;
  rlp::append_list(content, to_sign);
  Bytes all = string_item(key.sign(keccak256(to_sign)).view());
  all.insert(all.end(), content.begin(), content.end());
  Enr out;
  rlp::append_list(all, out.encoded_);
  out.seq_ = seq;
  out.key_ = key.public_key();
  out.node_id_ = node_id_of(out.key_);
  out.fields_ = f;
  return out;
}

absl::StatusOr<Enr> Enr::parse(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "enr:")) return bad_record("it does not begin with enr:");
  std::string rlp;
  if (text.size() > 2 * kMaxSize || absl::StrContains(text, '=') || !absl::WebSafeBase64Unescape(text, &rlp))
    return bad_record("not base64url");
  return decode(as_bytes(rlp));
}

absl::StatusOr<Enr> Enr::decode(BytesView in) {
  if (in.size() > kMaxSize) return bad_record("longer than 300 bytes");
  rlp::Reader whole{in};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, whole.list());
  TOWLINE_RETURN_IF_ERROR(whole.finish());
  TOWLINE_ASSIGN_OR_RETURN(const auto signature, r.fixed<64>());
  Enr out;
  out.encoded_.assign(in.begin(), in.end());
  Bytes content;
  TOWLINE_ASSIGN_OR_RETURN(const rlp::Item seq, r.next());
  content.insert(content.end(), seq.encoding.begin(), seq.encoding.end());
  rlp::Reader seq_reader{seq.encoding};
  TOWLINE_ASSIGN_OR_RETURN(out.seq_, seq_reader.u64());
  std::string before;
  bool v4 = false, has_key = false;
  while (!r.empty()) {
    TOWLINE_ASSIGN_OR_RETURN(const rlp::Item key, r.next());
    if (key.kind != rlp::Kind::string) return bad_record("a key that is a list");
    const std::string name = towline::to_string(key.payload);
    if (!content.empty() && !before.empty() && name <= before)
      return bad_record("keys that are not sorted, or twice there");
    before = name;
    if (r.empty()) return bad_record("a key without its value");
    TOWLINE_ASSIGN_OR_RETURN(const rlp::Item value, r.next());
    content.insert(content.end(), key.encoding.begin(), key.encoding.end());
    content.insert(content.end(), value.encoding.begin(), value.encoding.end());
    Fields& f = out.fields_;
    if (name == "id") v4 = towline::to_string(value.payload) == "v4";
    if (name == "secp256k1") {
      if (value.payload.size() != 33) return bad_record("a key that is none");
      TOWLINE_ASSIGN_OR_RETURN(out.key_, secp256k1::parse_public_key(value.payload));
      has_key = true;
    }
    if (name == "ip") {
      TOWLINE_ASSIGN_OR_RETURN(f.ip4, ip(value, 4));
    }
    if (name == "ip6") {
      TOWLINE_ASSIGN_OR_RETURN(f.ip6, ip(value, 16));
    }
    if (name == "tcp") {
      TOWLINE_ASSIGN_OR_RETURN(f.tcp4, port(value));
    }
    if (name == "udp") {
      TOWLINE_ASSIGN_OR_RETURN(f.udp4, port(value));
    }
    if (name == "tcp6") {
      TOWLINE_ASSIGN_OR_RETURN(f.tcp6, port(value));
    }
    if (name == "udp6") {
      TOWLINE_ASSIGN_OR_RETURN(f.udp6, port(value));
    }
    if (name == "opstack") {
      TOWLINE_ASSIGN_OR_RETURN(f.opstack, opstack(value));
    }
  }
  if (!v4) return bad_record("not of the scheme v4");
  if (!has_key) return bad_record("it has no secp256k1 key");
  Bytes to_sign;
  rlp::append_list(content, to_sign);
  if (!secp256k1::verify(out.key_, keccak256(to_sign), signature))
    return bad_record("its signature is not that of its key");
  out.node_id_ = node_id_of(out.key_);
  return out;
}

p2p::PeerId Enr::peer_id() const { return p2p::PublicKey::of(key_).peer_id(); }

std::optional<p2p::Multiaddr> Enr::multiaddr() const {
  p2p::Multiaddr out;
  out.peer = peer_id();
  if (fields_.ip4 && fields_.tcp4) {
    out.ip = *fields_.ip4;
    out.tcp = *fields_.tcp4;
    return out;
  }
  if (!fields_.ip6 || (!fields_.tcp6 && !fields_.tcp4)) return std::nullopt;
  out.ip = *fields_.ip6;
  out.tcp = fields_.tcp6 ? *fields_.tcp6 : *fields_.tcp4;
  return out;
}

std::string Enr::to_string() const {
  std::string text;
  absl::WebSafeBase64Escape(towline::to_string(encoded_), &text);
  while (absl::EndsWith(text, "=")) text.pop_back();
  return "enr:" + text;
}

absl::StatusOr<Enode> parse_enode(absl::string_view text) {
  const auto wrong = [](absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("enode: ", what)); };
  if (!absl::ConsumePrefix(&text, "enode://")) return wrong("it does not begin with enode://");
  const auto at = text.find('@');
  if (at == absl::string_view::npos) return wrong("want PUBLIC-KEY@HOST:PORT");
  Enode out;
  Bytes key{4};
  if (at != 128 || !parse_hex_into(absl::StrCat("0x", text.substr(0, at)), key).ok())
    return wrong("the key is not 128 hex digits");
  const auto parsed = secp256k1::parse_public_key(key);
  if (!parsed.ok()) return wrong("the key is not on the curve");
  out.key = *parsed;
  text.remove_prefix(at + 1);
  std::uint32_t discport = 0, tcp = 0;
  bool has_discport = false;
  if (const auto query = text.find('?'); query != absl::string_view::npos) {
    absl::string_view q = text.substr(query + 1);
    if (!absl::ConsumePrefix(&q, "discport=") || !absl::SimpleAtoi(q, &discport) || discport > 65535)
      return wrong("want ?discport=PORT and nothing else");
    has_discport = true;
    text = text.substr(0, query);
  }
  const auto colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0 || !absl::SimpleAtoi(text.substr(colon + 1), &tcp) || tcp > 65535)
    return wrong("want HOST:PORT behind the key");
  out.host = std::string{text.substr(0, colon)};
  if (out.host.front() == '[' && out.host.back() == ']') out.host = out.host.substr(1, out.host.size() - 2);
  out.tcp = static_cast<std::uint16_t>(tcp);
  out.udp = has_discport ? static_cast<std::uint16_t>(discport) : out.tcp;
  return out;
}

}  // namespace towline::discv5
