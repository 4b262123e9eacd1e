// p2p-gossip on real sockets for tests, with access to its state.
#pragma once
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <fstream>
#include <mutex>
#include <set>

#include "libs/actor_kit/terminator.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/eth/payload.hpp"
#include "services/p2p-gossip/actors/validator.hpp"
#include "services/p2p-gossip/core/block_codec.hpp"
#include "services/p2p-gossip/edge/blocking_network.hpp"
#include "tests/support/hang.hpp"

namespace towline::gossip {

namespace asio = boost::asio;
using p2p::Gossipsub;
using towline::testing::kHang;

inline constexpr std::uint64_t kChain = 901;

inline secp256k1::SecretKey key(std::uint8_t i) { return *secp256k1::SecretKey::from(Bytes(32, i)); }

inline rollup::Config config() {
  rollup::Config c;
  c.l2_chain_id = kChain;
  for (auto& t : c.fork_times) t = 0;
  return c;
}

inline eth::Payload block(std::uint64_t number, std::size_t bytes = 100) {
  eth::Payload p;
  p.number = number;
  p.timestamp = static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now()));
  p.transactions.push_back(Bytes(bytes, static_cast<std::uint8_t>(number)));
  p.has_withdrawals = true;
  p.blob_gas_used = p.excess_blob_gas = 0;
  p.parent_beacon_block_root = p.withdrawals_root = Hash32{};
  p.block_hash = eth::hash_of(p);
  return p;
}

inline Bytes message(std::uint64_t number, const secp256k1::SecretKey& signer, std::size_t bytes = 100) {
  return gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, block(number, bytes), signer);
}

/// For tests of stalling handshakes. An honest handshake that a slow machine delays this long is repeated.
inline void with_short_handshakes(NetworkConfig& c) { c.node.negotiation_timeout = absl::Seconds(2); }

/// p2p-gossip without its gRPC; or, with `validates` false, a peer that says what the test wants.
class Peer {
 public:
  using Change = std::function<void(NetworkConfig&)>;
  Peer(std::uint8_t i, bool validates, std::vector<p2p::Multiaddr> dial = {}, const Change& change = {},
       rollup::Config chain = config())
      : config_{std::move(chain)}, identity_{key(i)}, signer_{secp256k1::address_of(key(200).public_key())} {
    watcher_ = std::make_shared<const Watcher>(Watcher{[this](const ValidBlock& b) {
                                                         const std::lock_guard lock{mutex_};
                                                         numbers_.insert(b.payload->number);
                                                         caf::anon_send(store_, room_atom{}, watcher_);
                                                       },
                                                       [] {}, [] {}});
    caf::anon_send(store_, join_atom{}, watcher_);
    NetworkConfig c;
    c.listen_ip = "127.0.0.1";
    c.listen_port = 0;
    c.static_peers = std::move(dial);
    c.node.topics = gossip_block::topic_names(kChain);
    c.node.negotiation_timeout = kHang;
    if (change) change(c);
    if (validates) {
      validator_ = std::make_unique<Validator>(
          system_, config_, gossip_block::Options{kChain}, store_, metrics,
          [this](bool on) { network->suspend_penalties(on); }, signer_);
    }
    network = std::make_unique<BlockingNetwork>(
        c, identity_,
        // Peers that do not validate skip decompression: their memory use does not matter.
        validates
            ? block_codec()
            : Gossipsub::Codec{[](const std::string& topic, BytesView data) {
                                 return Gossipsub::Identified{gossip_block::message_id(topic, data, nullptr), nullptr};
                               },
                               [](BytesView) { return std::size_t{0}; }},
        [this](Gossipsub::Validation v, const Network::Done& done) {
          if (!validator_) return done(Gossipsub::Verdict::ignore);
          ValidationJob job;
          job.version = static_cast<gossip_block::PayloadVersion>(v.topic + 1);
          job.body = v.body;
          job.peer = v.from.to_string();
          job.received = v.received - steady_ahead();
          job.done = [done](const gossip_block::Checked&, gossip_block::Result result) {
            done(validation_result(result));
          };
          validator_->submit(std::move(job));
        },
        metrics);
    const auto st = network->start();
    EXPECT_TRUE(st.ok()) << st;
  }
  ~Peer() {
    network->stop();
    if (validator_) validator_->join(system_);
    actors_.end(system_);
  }

  p2p::Multiaddr address() { return network->addresses()[0]; }
  std::size_t in_mesh() {
    std::size_t n = 0;
    for (const auto& p : network->peers()) n += p.gossip.mesh.empty() ? 0U : 1U;
    return n;
  }
  bool has(std::uint64_t number) {
    const std::lock_guard lock{mutex_};
    return numbers_.contains(number);
  }
  bool connected(const p2p::PeerId& other) {
    for (const auto& p : network->peers())
      if (p.id == other) return true;
    return false;
  }
  std::string doubt() const { return validator_->doubt(); }
  bool connected(Peer& other) { return connected(other.identity_.peer_id()); }
  /// The value of a series, for example `blocks_total{rule="none"}`; 0 before it was counted.
  double metric(const std::string& series) const {
    const std::string text = metrics.text(), line = absl::StrCat("\ntowline_gossip_", series, " ");
    const auto at = text.find(line);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
  }

  Metrics metrics;

 private:
  const rollup::Config config_;
  caf::actor_system_config caf_config_;
  caf::actor_system system_{caf_config_};
  Published<ValidBlockPtr> last_{nullptr};
  Terminator actors_;
  block_store_actor store_ = actors_.add(system_.spawn(block_store, BlockStoreConfig{512, 32U << 20U, &last_}));
  std::mutex mutex_;
  std::set<std::uint64_t> numbers_;
  WatcherPtr watcher_;
  p2p::Identity identity_;
  Address signer_;
  std::unique_ptr<Validator> validator_;

 public:
  std::unique_ptr<BlockingNetwork> network;
};

template <typename F>
bool eventually(F f) {
  const absl::Time deadline = absl::Now() + kHang;
  while (absl::Now() < deadline) {
    if (f()) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return f();
}

/// 0 with the address sanitizer, which retains freed memory.
inline std::size_t resident_mib() {
#ifdef __SANITIZE_ADDRESS__
  return 0;
#endif
  std::ifstream in{"/proc/self/statm"};
  std::size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * 4096 >> 20U;
}

/// The index of the v4 topic.
inline constexpr std::size_t kTopic = 3;

}  // namespace towline::gossip
