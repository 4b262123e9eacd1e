// The p2p network on sockets: one thread with an Asio loop owns the libp2p node, the connection manager and all
// sockets. Blocks are checked elsewhere (actors/checker, actors/judge), and their results come back as tasks; the bans
// are written by file_store. The loop never blocks. If this thread dies, the process does.
//
// In: bytes, the clock, calls of the edge. Out: messages to validate, and valid blocks to peers.
#pragma once
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/actor_kit/file_store.hpp"
#include "libs/p2p/node.hpp"
#include "libs/telemetry/metrics.hpp"
#include "services/p2p-gossip/core/connection_manager.hpp"

namespace towline::gossip {

struct NetworkConfig {
  std::string listen_ip = "0.0.0.0";
  std::uint16_t listen_port = 9222;  // 0: any
  /// The address announced to others, if it differs from the one listened on.
  std::string advertise_ip;
  std::uint16_t advertise_port = 0;
  std::vector<p2p::Multiaddr> static_peers;
  ConnectionManager::Options peers;
  p2p::Node::Options node;
  absl::Duration dial_timeout = absl::Seconds(10);
  bool ban_peers = true;
  absl::Duration ban_duration = absl::Hours(1);
  /// The file for the bans; null: in memory only.
  KeptFilePtr bans_file;
};

class Network {
 public:
  /// Validate is called on the loop; `Done` may be called on any thread.
  using Done = std::function<void(p2p::Gossipsub::Verdict)>;
  using Validate = std::function<void(p2p::Gossipsub::Validation, Done)>;

  Network(NetworkConfig config, const p2p::Identity& identity, p2p::Gossipsub::Codec codec, Validate validate,
          Metrics& metrics);
  ~Network();

  /// Listens and starts dialling. INVALID_ARGUMENT: `listen_ip` or the bans file is wrong. UNAVAILABLE: the socket
  /// cannot listen.
  absl::Status start();
  void stop();

  struct Peer : p2p::Node::Peer {
    bool is_static = false;
  };
  struct View {
    std::vector<Peer> peers;
    std::vector<p2p::Multiaddr> addresses;
  };

  // For any thread. These calls return at once; `done` runs on the loop or, for bans, on the file store's thread, so it
  // must hand over and return. A stopped loop calls nobody.
  void look(std::function<void(View)> done);
  /// Publishes a validated message of our own. The answer is the number of peers that it was sent to at once.
  /// ALREADY_EXISTS: it was seen before.
  void publish(std::size_t topic, std::shared_ptr<const Bytes> message,
               std::function<void(absl::StatusOr<std::size_t>)> done);
  /// INVALID_ARGUMENT: not a peer id or an address. FAILED_PRECONDITION: a static peer. Other errors: the ban is in
  /// force, but the file cannot be written.
  void ban(const std::string& target, absl::Duration how_long, const std::string& reason, KeptFile::Done done);
  /// NOT_FOUND: the target is not banned.
  void unban(const std::string& target, KeptFile::Done done);
  void bans(std::function<void(std::vector<Ban>)> done);
  /// Answers when the peer is connected or the dial has failed.
  void connect(const p2p::Multiaddr& address, std::function<void(absl::Status)> done);

  // For any thread; these calls return at once.
  void add_candidate(const p2p::Multiaddr& address);
  void suspend_penalties(bool on);
  /// The address at which others see us has changed.
  void set_external_address(const p2p::Ip& ip);
  bool wants_peers() const;
  bool stopped() const;
  /// `turn` runs on the loop, for the watchdog.
  void ask_turn(std::function<void()> turn);

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace towline::gossip
