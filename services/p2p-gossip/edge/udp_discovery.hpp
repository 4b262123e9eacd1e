// discv5 on a UDP socket: one thread with an Asio loop owns the socket and the protocol (libs/discv5/service), apart
// from the connections' loop, so that a flood of packets delays no block. Nodes of our chain that it finds become
// candidates of the network; nodes that it has found are kept in a file for the next start.
#pragma once
#include <absl/status/statusor.h>
#include <functional>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "libs/discv5/service.hpp"
#include "services/p2p-gossip/edge/tcp_transport.hpp"

namespace towline::gossip {

using BootNode = std::variant<discv5::Enr, discv5::Enode>;
/// "enr:..." or "enode://...". INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<BootNode> parse_boot_node(absl::string_view text);

struct DiscoveryConfig {
  std::string listen_ip = "0.0.0.0";
  std::uint16_t listen_port = 0;  // 0: any
  /// What our record says, where it differs from what is listened on. Empty with a listen_ip of "any": others tell us.
  std::string advertise_ip;
  std::uint16_t advertise_port = 0, advertise_tcp = 0;
  std::uint64_t chain_id = 0;
  std::vector<BootNode> boot_nodes;
  /// Found nodes are kept here; empty: in memory only.
  std::string nodes_file;
};

class Discovery {
 public:
  Discovery(DiscoveryConfig config, const secp256k1::SecretKey& key, Network& network, Metrics& metrics);
  ~Discovery();

  /// INVALID_ARGUMENT, UNAVAILABLE: the address cannot be used.
  absl::Status start();
  void stop();

  // Any thread.
  std::string enr() const;
  std::uint16_t port() const;
  /// Nodes of our chain that answer.
  std::size_t peers_known() const;
  /// `turn` is called when the loop gets to it.
  void ask_turn(std::function<void()> turn);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace towline::gossip
