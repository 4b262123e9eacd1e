#include "libs/p2p/multiaddr.hpp"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <arpa/inet.h>

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {
namespace {

enum Code : std::uint64_t { kIp4 = 4, kTcp = 6, kIp6 = 41, kDns = 53, kDns4 = 54, kDns6 = 55, kP2p = 421 };

struct HostForm {
  absl::string_view name;
  Code code;
  Multiaddr::Host host;
};
constexpr HostForm kHosts[] = {{"ip4", kIp4, Multiaddr::Host::ip},
                               {"ip6", kIp6, Multiaddr::Host::ip},
                               {"dns", kDns, Multiaddr::Host::dns},
                               {"dns4", kDns4, Multiaddr::Host::dns4},
                               {"dns6", kDns6, Multiaddr::Host::dns6}};

const HostForm& form_of(const Multiaddr& a) {
  if (a.host == Multiaddr::Host::ip) return kHosts[is_ip4(a.ip) ? 0 : 1];
  return *std::find_if(std::begin(kHosts), std::end(kHosts), [&](const HostForm& f) { return f.host == a.host; });
}

bool is_host_name(absl::string_view s) {
  return !s.empty() && s.size() <= 253 && std::all_of(s.begin(), s.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

Ip ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  Ip out;
  out.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
  return out;
}

bool is_ip4(const Ip& ip) {
  static const Ip kMapped = ip4(0, 0, 0, 0);
  return std::equal(ip.bytes.begin(), ip.bytes.begin() + 12, kMapped.bytes.begin());
}

absl::StatusOr<IpNetwork> IpNetwork::parse(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
  const auto ip = parse_ip(parts.first);
  unsigned bits = 0;
  if (!ip.ok() || !absl::SimpleAtoi(parts.second, &bits) || bits > (is_ip4(*ip) ? 32U : 128U))
    return absl::InvalidArgumentError(absl::StrCat("not a network such as 10.0.0.0/8 or 2001:db8::/32: ", text));
  return IpNetwork{*ip, is_ip4(*ip) ? bits + 96 : bits};
}

bool IpNetwork::contains(const Ip& ip) const {
  for (unsigned i = 0; i < bits; i += 8) {
    const auto mask = static_cast<std::uint8_t>(bits - i >= 8 ? 0xffU : 0xffU << (8 - (bits - i)));
    if (((ip.bytes[i / 8] ^ base.bytes[i / 8]) & mask) != 0) return false;
  }
  return true;
}

Ip network_of(const Ip& ip) {
  if (is_ip4(ip) || is_loopback(ip)) return ip;
  Ip out = ip;
  std::fill(out.bytes.begin() + 8, out.bytes.end(), std::uint8_t{0});
  return out;
}

bool is_loopback(const Ip& ip) {
  if (is_ip4(ip)) return ip.bytes[12] == 127;
  Ip one;
  one.bytes[15] = 1;
  return ip == one;
}

bool is_local(const Ip& ip) {
  const auto& b = ip.bytes;
  if (is_loopback(ip)) return true;
  if (is_ip4(ip))
    return b[12] == 10 || (b[12] == 172 && (b[13] & 0xf0U) == 16) || (b[12] == 192 && b[13] == 168) ||
           (b[12] == 169 && b[13] == 254);
  return (b[0] & 0xfeU) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0U) == 0x80);
}

bool is_unspecified(const Ip& ip) { return ip == Ip{} || ip == ip4(0, 0, 0, 0); }

std::string to_string(const Ip& ip) {
  char text[INET6_ADDRSTRLEN] = {};
  const bool v4 = is_ip4(ip);
  inet_ntop(v4 ? AF_INET : AF_INET6, ip.data() + (v4 ? 12 : 0), text, sizeof text);
  return text;
}

std::string to_string(const SocketAddress& a) {
  return is_ip4(a.ip) ? absl::StrCat(to_string(a.ip), ":", a.port) : absl::StrCat("[", to_string(a.ip), "]:", a.port);
}

absl::StatusOr<Ip> parse_ip(absl::string_view text) {
  const std::string s{text};
  Ip out = ip4(0, 0, 0, 0);
  if (inet_pton(AF_INET, s.c_str(), out.data() + 12) == 1) return out;
  if (inet_pton(AF_INET6, s.c_str(), out.data()) == 1) return out;
  return absl::InvalidArgumentError(absl::StrCat("not an IP address: ", text));
}

absl::StatusOr<Multiaddr> Multiaddr::parse(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("multiaddr ", text.substr(0, 300), ": ", why));
  };
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
  if (parts.size() < 5 || !parts[0].empty()) return bad("want /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID");
  const auto* form =
      std::find_if(std::begin(kHosts), std::end(kHosts), [&](const HostForm& f) { return f.name == parts[1]; });
  if (form == std::end(kHosts)) return bad(absl::StrCat("cannot use /", parts[1]));
  Multiaddr out;
  out.host = form->host;
  if (form->host == Host::ip) {
    const auto ip = parse_ip(parts[2]);
    if (!ip.ok() || is_ip4(*ip) != (form->code == kIp4))
      return bad(absl::StrCat(parts[2], " is no ", form->name, " address"));
    out.ip = *ip;
  } else {
    if (!is_host_name(parts[2])) return bad(absl::StrCat(parts[2], " is no host name"));
    out.name = std::string{parts[2]};
  }
  std::uint32_t port = 0;
  if (parts[3] != "tcp") return bad(absl::StrCat("cannot use /", parts[3], ", only /tcp"));
  if (!absl::SimpleAtoi(parts[4], &port) || port > 65535) return bad(absl::StrCat(parts[4], " is no port"));
  out.tcp = static_cast<std::uint16_t>(port);
  if (parts.size() == 5) return out;
  if (parts.size() != 7 || parts[5] != "p2p") return bad("want /p2p/PEER-ID behind the port and nothing more");
  const auto peer = PeerId::parse(parts[6]);
  if (!peer.ok()) return bad(absl::StrCat(parts[6], " is no peer id"));
  out.peer = *peer;
  return out;
}

absl::StatusOr<Multiaddr> Multiaddr::decode(BytesView in) {
  const auto bad = [] { return absl::InvalidArgumentError("multiaddr: malformed"); };
  const auto other = [] { return absl::UnimplementedError("multiaddr: of another kind"); };
  const auto varint = [&]() -> absl::StatusOr<std::uint64_t> {
    TOWLINE_ASSIGN_OR_RETURN(const auto v, read_uvarint(in));
    if (!v) return bad();
    in = in.subspan(v->size);
    return v->value;
  };
  const auto take = [&](std::uint64_t n) -> std::optional<BytesView> {
    if (n > in.size()) return std::nullopt;
    const BytesView v = in.first(n);
    in = in.subspan(n);
    return v;
  };
  TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t code, varint());
  const auto* form =
      std::find_if(std::begin(kHosts), std::end(kHosts), [&](const HostForm& f) { return f.code == code; });
  if (form == std::end(kHosts)) return other();
  Multiaddr out;
  out.host = form->host;
  if (form->host == Host::ip) {
    const std::size_t n = form->code == kIp4 ? 4 : 16;
    const auto ip = take(n);
    if (!ip) return bad();
    out.ip = ip4(0, 0, 0, 0);
    std::copy(ip->begin(), ip->end(), out.ip.bytes.begin() + static_cast<std::ptrdiff_t>(16 - n));
    // An IPv4-mapped address would be written as an ip4 address.
    if (is_ip4(out.ip) != (form->code == kIp4)) return bad();
  } else {
    TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t n, varint());
    const auto name = take(n);
    if (!name) return bad();
    out.name = towline::to_string(*name);
    if (!is_host_name(out.name)) return bad();
  }
  TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t transport, varint());
  if (transport != kTcp) return other();
  const auto port = take(2);
  if (!port) return bad();
  out.tcp = static_cast<std::uint16_t>((*port)[0] << 8U | (*port)[1]);
  if (in.empty()) return out;
  TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t p2p, varint());
  if (p2p != kP2p) return other();
  TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t n, varint());
  const auto peer = take(n);
  if (!peer || !in.empty()) return bad();
  TOWLINE_ASSIGN_OR_RETURN(out.peer, PeerId::from(*peer));
  return out;
}

std::string Multiaddr::to_string() const {
  std::string out =
      absl::StrCat("/", form_of(*this).name, "/", host == Host::ip ? p2p::to_string(ip) : name, "/tcp/", tcp);
  if (peer) absl::StrAppend(&out, "/p2p/", peer->to_string());
  return out;
}

Bytes Multiaddr::encode() const {
  Bytes out;
  const auto& form = form_of(*this);
  append_uvarint(form.code, out);
  if (host == Host::ip) {
    out.insert(out.end(), ip.bytes.begin() + (form.code == kIp4 ? 12 : 0), ip.bytes.end());
  } else {
    append_delimited(as_bytes(name), out);
  }
  append_uvarint(kTcp, out);
  out.push_back(static_cast<std::uint8_t>(tcp >> 8U));
  out.push_back(static_cast<std::uint8_t>(tcp));
  if (peer) {
    append_uvarint(kP2p, out);
    append_delimited(peer->multihash(), out);
  }
  return out;
}

}  // namespace towline::p2p
