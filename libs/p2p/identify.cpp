#include "libs/p2p/identify.hpp"

#include "libs/base/status.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {
namespace {

constexpr std::size_t kMaxProtocols = 1000, kMaxAddrs = 500, kMaxText = 256;

/// Text of a peer that ends up in logs and tables.
std::string printable(BytesView v) {
  std::string out = towline::to_string(v.first(std::min(v.size(), kMaxText)));
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

}  // namespace

Bytes Identify::encode() const {
  Bytes out;
  pb::Writer w{out};
  w.bytes(1, public_key);
  for (const auto& a : listen_addrs) w.bytes(2, a);
  for (const auto& p : protocols) w.string(3, p);
  if (!observed_addr.empty()) w.bytes(4, observed_addr);
  w.string(5, protocol_version);
  w.string(6, agent_version);
  return out;
}

absl::Status Identify::merge(BytesView in) {
  for (pb::Reader r{in}; !r.empty();) {
    TOWLINE_ASSIGN_OR_RETURN(const auto f, r.next());
    if (!f.is_bytes) continue;
    switch (f.number) {
      case 1: public_key.assign(f.bytes.begin(), f.bytes.end()); break;
      case 2: listen_addrs.emplace_back(f.bytes.begin(), f.bytes.end()); break;
      case 3: protocols.push_back(printable(f.bytes)); break;
      case 4: observed_addr.assign(f.bytes.begin(), f.bytes.end()); break;
      case 5: protocol_version = printable(f.bytes); break;
      case 6: agent_version = printable(f.bytes); break;
      default: break;
    }
  }
  if (protocols.size() > kMaxProtocols || listen_addrs.size() > kMaxAddrs)
    return absl::ResourceExhaustedError("identify: more than a peer may say");
  return absl::OkStatus();
}

}  // namespace towline::p2p
