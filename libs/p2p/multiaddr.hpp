// Multiaddresses in the forms that OP Stack nodes use: /ip4|ip6|dns|dns4|dns6/.../tcp/PORT[/p2p/ID]. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <optional>
#include <string>

#include "libs/p2p/peer_id.hpp"

namespace towline::p2p {

/// IPv4 addresses are mapped into IPv6 (::ffff:a.b.c.d).
using Ip = FixedBytes<16>;
Ip ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
bool is_ip4(const Ip& ip);
bool is_loopback(const Ip& ip);
/// The network that counts as one operator for limits: an IPv4 address, or a /64 of IPv6.
Ip network_of(const Ip& ip);
/// Whether the address is private (RFC 1918, RFC 4193), link-local or loopback.
bool is_local(const Ip& ip);
/// Whether the address is all zero ("any").
bool is_unspecified(const Ip& ip);
/// "10.0.0.1" or "2001:db8::1".
std::string to_string(const Ip& ip);
absl::StatusOr<Ip> parse_ip(absl::string_view text);

/// "10.0.0.0/8", "2001:db8::/32".
struct IpNetwork {
  Ip base;
  unsigned bits = 128;  // prefix length of 128 bits: 96 more than in the text of an IPv4 network
  /// INVALID_ARGUMENT: not a network.
  static absl::StatusOr<IpNetwork> parse(absl::string_view text);
  bool contains(const Ip& ip) const;
};

struct SocketAddress {
  Ip ip;
  std::uint16_t port = 0;
  auto operator<=>(const SocketAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const SocketAddress& a) {  // NOLINT(readability-identifier-naming): Abseil looks for it
    return H::combine(std::move(h), a.ip, a.port);
  }
};
/// "10.0.0.1:9222" or "[2001:db8::1]:9222".
std::string to_string(const SocketAddress& a);

struct Multiaddr {
  enum class Host { ip, dns, dns4, dns6 };
  Host host = Host::ip;
  Ip ip;
  std::string name;  // of a DNS host
  std::uint16_t tcp = 0;
  std::optional<PeerId> peer;
  bool operator==(const Multiaddr&) const = default;

  /// INVALID_ARGUMENT says which part is wrong.
  static absl::StatusOr<Multiaddr> parse(absl::string_view text);
  /// Reads the binary form. UNIMPLEMENTED: a valid address of another kind (udp, quic, relays).
  static absl::StatusOr<Multiaddr> decode(BytesView in);
  std::string to_string() const;
  Bytes encode() const;
};

}  // namespace towline::p2p
