// discv5 on a UDP socket: one thread with an Asio loop owns the socket and the protocol (libs/discv5/service), separate
// from the connections' loop, so that a flood of packets delays no block. Discovered nodes of our chain become
// candidates of the network, and live nodes are kept in a file for the next start.
#pragma once
#include <absl/status/statusor.h>
#include <functional>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "libs/actor_kit/file_store.hpp"
#include "libs/discv5/service.hpp"
#include "services/p2p-gossip/edge/tcp_transport.hpp"

namespace towline::gossip {

using BootNode = std::variant<discv5::Enr, discv5::Enode>;
/// "enr:..." or "enode://...". INVALID_ARGUMENT tells what is wrong with it.
absl::StatusOr<BootNode> parse_boot_node(absl::string_view text);

struct DiscoveryConfig {
  std::string listen_ip = "0.0.0.0";
  std::uint16_t listen_port = 0;  // 0: any
  /// The address in our record, if it differs from the one listened on. If both are unspecified, other nodes tell us.
  std::string advertise_ip;
  std::uint16_t advertise_port = 0, advertise_tcp = 0;
  std::uint64_t chain_id = 0;
  std::vector<BootNode> boot_nodes;
  /// The file for live nodes; null: in memory only.
  KeptFilePtr nodes_file;
};

class Discovery {
 public:
  Discovery(DiscoveryConfig config, const secp256k1::SecretKey& key, Network& network, Metrics& metrics);
  ~Discovery();

  /// INVALID_ARGUMENT, UNAVAILABLE: the socket cannot listen at this address.
  absl::Status start();
  void stop();

  // For any thread.
  std::string enr() const;
  std::uint16_t port() const;
  /// The number of live nodes of our chain.
  std::size_t peers_known() const;
  /// `turn` runs on the loop, for the watchdog.
  void ask_turn(std::function<void()> turn);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace towline::gossip
