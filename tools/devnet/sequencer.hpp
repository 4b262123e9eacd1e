// The devnet's sequencer on the p2p network: signs and gossips new blocks over real libp2p connections.
#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "libs/rollup/config.hpp"
#include "libs/sim/chain.hpp"

namespace towline::devnet {

class Sequencer {
 public:
  /// secp256k1 keys: its identity on the network, and the signer of its blocks.
  struct Keys {
    Hash32 p2p, signer;
  };
  /// Listens on `host`:`port` (0: any). UNAVAILABLE: the address is not available.
  static absl::StatusOr<std::unique_ptr<Sequencer>> start(const std::string& host, std::uint16_t port,
                                                          rollup::Config config, const Keys& keys);
  ~Sequencer();

  /// Publishes the head and the new blocks below it; the first call only notes the head.
  void publish(const sim::Chain& chain);
  /// The multiaddr with /p2p, and the address of the signing key.
  std::string address() const;
  std::string signer() const;
  /// {"published": {"number": Unix milliseconds, ..}, "mesh": peers that get blocks at once}.
  nlohmann::json stats() const;

 private:
  struct Impl;
  explicit Sequencer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline::devnet
