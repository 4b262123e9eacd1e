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
  /// Its name on the network, and what signs its blocks: secp256k1 keys.
  struct Keys {
    Hash32 p2p, signer;
  };
  /// Listens on `host`:`port` (0: any). UNAVAILABLE: it cannot.
  static absl::StatusOr<std::unique_ptr<Sequencer>> start(const std::string& host, std::uint16_t port,
                                                          rollup::Config config, const Keys& keys);
  ~Sequencer();

  /// The head and those blocks below it that are new; the first call only notes where the chain is.
  void publish(const sim::Chain& chain);
  /// Multiaddr with /p2p, and the address whose key signs.
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
