// The network for callers that wait for its answers: main, tests, the devnet's sequencer. For any thread except the
// loop's and the actors'. After stop(): UNAVAILABLE, and no peers.
#pragma once
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "services/p2p-gossip/edge/tcp_transport.hpp"

namespace towline::gossip {

class BlockingNetwork : public Network {
 public:
  using Network::Network;

  std::vector<Peer> peers() { return view().peers; }
  std::vector<p2p::Multiaddr> addresses() { return view().addresses; }
  /// Publishes a validated message of our own. Returns the number of peers that it was sent to at once. ALREADY_EXISTS:
  /// it was seen before.
  absl::StatusOr<std::size_t> publish(std::size_t topic, BytesView message) {
    auto copy = std::make_shared<const Bytes>(message.begin(), message.end());
    return wait<absl::StatusOr<std::size_t>>([&](auto done) { Network::publish(topic, copy, std::move(done)); });
  }
  absl::Status ban(const std::string& target, absl::Duration how_long, const std::string& reason) {
    return wait<absl::Status>([&](auto done) { Network::ban(target, how_long, reason, std::move(done)); });
  }
  absl::Status unban(const std::string& target) {
    return wait<absl::Status>([&](auto done) { Network::unban(target, std::move(done)); });
  }
  std::vector<Ban> bans() {
    return wait<std::vector<Ban>>([&](auto done) { Network::bans(std::move(done)); });
  }
  /// Waits until the peer is connected or the dial has failed.
  absl::Status connect(const p2p::Multiaddr& address) {
    return wait<absl::Status>([&](auto done) { Network::connect(address, std::move(done)); });
  }

 private:
  View view() {
    return wait<View>([&](auto done) { look(std::move(done)); });
  }

  /// Runs `ask(done)`, and waits until `done` gets the answer. A stopped loop answers nobody.
  template <typename R, typename F>
  R wait(F ask) {
    auto promise = std::make_shared<std::promise<R>>();
    ask(std::function<void(R)>{[promise](R r) { promise->set_value(std::move(r)); }});
    auto result = promise->get_future();
    while (result.wait_for(std::chrono::milliseconds{100}) != std::future_status::ready) {
      if (!stopped()) continue;
      if constexpr (std::is_constructible_v<R, absl::Status>) return R{absl::UnavailableError("shutting down")};
      else return R{};
    }
    return result.get();
  }
};

}  // namespace towline::gossip
