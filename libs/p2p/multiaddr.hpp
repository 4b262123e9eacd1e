// Multiaddresses, the few forms that OP Stack nodes use: /ip4|ip6|dns|dns4|dns6/.../tcp/PORT[/p2p/ID]. Pure.
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
/// "10.0.0.1" or "2001:db8::1".
std::string to_string(const Ip& ip);
absl::StatusOr<Ip> parse_ip(absl::string_view text);

struct Multiaddr {
  enum class Host { ip, dns, dns4, dns6 };
  Host host = Host::ip;
  Ip ip;
  std::string name;  // of a dns host
  std::uint16_t tcp = 0;
  std::optional<PeerId> peer;
  bool operator==(const Multiaddr&) const = default;

  /// INVALID_ARGUMENT says which part is wrong.
  static absl::StatusOr<Multiaddr> parse(absl::string_view text);
  /// The binary form. UNIMPLEMENTED: a valid address of another kind (udp, quic, relays).
  static absl::StatusOr<Multiaddr> decode(BytesView in);
  std::string to_string() const;
  Bytes encode() const;
};

}  // namespace towline::p2p
