// Conversions between Asio's addresses and p2p::Ip.
#pragma once
#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "libs/p2p/multiaddr.hpp"

namespace towline::gossip {

inline p2p::Ip to_ip(const boost::asio::ip::address& a) {
  if (a.is_v4()) {
    const auto b = a.to_v4().to_bytes();
    return p2p::ip4(b[0], b[1], b[2], b[3]);
  }
  p2p::Ip out;  // p2p::Ip has IPv4-mapped IPv6 addresses for IPv4
  const auto b = a.to_v6().to_bytes();
  std::copy(b.begin(), b.end(), out.bytes.begin());
  return out;
}

inline boost::asio::ip::address_v6 to_address_v6(const p2p::Ip& ip) {
  boost::asio::ip::address_v6::bytes_type b{};
  std::copy(ip.bytes.begin(), ip.bytes.end(), b.begin());
  return boost::asio::ip::make_address_v6(b);
}

inline boost::asio::ip::address to_address(const p2p::Ip& ip) {
  if (!p2p::is_ip4(ip)) return to_address_v6(ip);
  return boost::asio::ip::make_address_v4(
      boost::asio::ip::address_v4::bytes_type{ip.bytes[12], ip.bytes[13], ip.bytes[14], ip.bytes[15]});
}

}  // namespace towline::gossip
