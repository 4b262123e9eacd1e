// The message of /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0 (libp2p specs, identify). Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "libs/base/bytes.hpp"

namespace towline::p2p {

struct Identify {
  Bytes public_key;                 // PublicKey protobuf
  std::vector<Bytes> listen_addrs;  // binary multiaddrs
  std::vector<std::string> protocols;
  Bytes observed_addr;
  std::string protocol_version;
  std::string agent_version;

  Bytes encode() const;
  /// Merges one part: go-libp2p may send the message in several. RESOURCE_EXHAUSTED: above a bound.
  absl::Status merge(BytesView in);
};

}  // namespace towline::p2p
