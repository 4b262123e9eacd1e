#include "tools/devnet/sequencer.hpp"

#include <absl/container/flat_hash_set.h>
#include <absl/time/clock.h>

#include <deque>
#include <vector>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/payload.hpp"
#include "libs/gossip_block/envelope.hpp"
#include "services/p2p-gossip/core/block_codec.hpp"
#include "services/p2p-gossip/edge/blocking_network.hpp"

namespace towline::devnet {
namespace {

constexpr std::size_t kRemembered = 512;

}  // namespace

struct Sequencer::Impl {
  Impl(rollup::Config c, secp256k1::SecretKey p2p_key, secp256k1::SecretKey signer_key)
      : config{std::move(c)}, identity{std::move(p2p_key)}, signer{std::move(signer_key)} {}
  rollup::Config config;
  Metrics metrics;  // required by the network; not served
  p2p::Identity identity;
  secp256k1::SecretKey signer;
  std::unique_ptr<gossip::BlockingNetwork> network;
  absl::flat_hash_set<Hash32> known;
  std::deque<std::pair<std::uint64_t, std::int64_t>> published;
};

Sequencer::Sequencer(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Sequencer::~Sequencer() = default;

absl::StatusOr<std::unique_ptr<Sequencer>> Sequencer::start(const std::string& host, std::uint16_t port,
                                                            rollup::Config config, const Keys& keys) {
  TOWLINE_ASSIGN_OR_RETURN(auto p2p_key, secp256k1::SecretKey::from(keys.p2p.view()));
  TOWLINE_ASSIGN_OR_RETURN(auto signer_key, secp256k1::SecretKey::from(keys.signer.view()));
  auto impl = std::make_unique<Impl>(std::move(config), std::move(p2p_key), std::move(signer_key));
  gossip::NetworkConfig net;
  net.listen_ip = host;
  net.listen_port = port;
  net.node.agent = "towline-devnet";
  net.node.topics = gossip_block::topic_names(impl->config.l2_chain_id);
  impl->network = std::make_unique<gossip::BlockingNetwork>(
      net, impl->identity, gossip::block_codec(),
      // Only this node makes blocks, so messages of others are not passed on.
      [](const p2p::Gossipsub::Validation&, const gossip::Network::Done& done) {
        done(p2p::Gossipsub::Verdict::ignore);
      },
      impl->metrics);
  TOWLINE_RETURN_IF_ERROR(impl->network->start());
  return std::unique_ptr<Sequencer>{new Sequencer{std::move(impl)}};
}

void Sequencer::publish(const sim::Chain& chain) {
  const bool first = impl_->known.empty();
  std::vector<sim::BlockPtr> fresh;
  for (sim::BlockPtr b = chain.head(); b && impl_->known.insert(b->hash).second;
       b = chain.by_hash(b->header.parent_hash))
    if (!first) fresh.push_back(b);
  for (auto b = fresh.rbegin(); b != fresh.rend(); ++b) {
    const auto payload = eth::make_payload((*b)->header, (*b)->hash, (*b)->transactions);
    const auto version = gossip_block::version_at(impl_->config, payload.timestamp);
    const Bytes message = gossip_block::encode_message(impl_->config.l2_chain_id, version, payload, impl_->signer);
    impl_->published.emplace_back(payload.number, absl::ToUnixMillis(absl::Now()));
    if (impl_->published.size() > kRemembered) impl_->published.pop_front();
    // A block that was published before is no error: a reorg may come back to it.
    (void)impl_->network->publish(static_cast<std::size_t>(version) - 1, message);
  }
}

std::string Sequencer::address() const { return impl_->network->addresses()[0].to_string(); }
std::string Sequencer::signer() const { return to_hex(secp256k1::address_of(impl_->signer.public_key()).view()); }

nlohmann::json Sequencer::stats() const {
  nlohmann::json published = nlohmann::json::object();
  for (const auto& [number, at] : impl_->published) published[std::to_string(number)] = at;
  std::size_t mesh = 0;
  for (const auto& p : impl_->network->peers()) mesh += p.gossip.mesh.empty() ? 0U : 1U;
  return {{"published", published}, {"mesh", mesh}};
}

}  // namespace towline::devnet
