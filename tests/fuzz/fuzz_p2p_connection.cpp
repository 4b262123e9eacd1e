// A peer that does a correct handshake and then sends arbitrary bytes: yamux frames, streams, gossip, identify.
#include "libs/p2p/node.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

namespace {

struct Host final : p2p::Node::Handler {
  absl::Status admit(const p2p::PeerId&, const p2p::SocketAddress&, bool) override { return absl::OkStatus(); }
  void on_peer_connected(const p2p::PeerId&, const p2p::SocketAddress&, bool) override {}
  void on_peer_replaced(const p2p::PeerId&, const p2p::SocketAddress&, bool) override {}
  void on_peer_disconnected(const p2p::PeerId&, const absl::Status&) override {}
  void on_bad_score(const p2p::PeerId&, double) override {}
  void validate(p2p::Gossipsub::Validation) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const p2p::Identity ours{*secp256k1::SecretKey::from(Bytes(32, 1))};
  static const p2p::Identity theirs{*secp256k1::SecretKey::from(Bytes(32, 2))};
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  Host host;
  p2p::Node::Options options;
  options.topics = {"/t"};
  p2p::Node node{ours,
                 options,
                 {[](const std::string&, BytesView d) {
                    p2p::MessageId id;
                    for (std::size_t i = 0; i < d.size(); ++i) id.bytes[i % 20] ^= d[i];
                    return p2p::Gossipsub::Identified{id, nullptr};
                  },
                  [](BytesView d) { return d.size(); }},
                 host,
                 1,
                 now};
  node.add_connection(1, false, {p2p::ip4(10, 0, 0, 1), 1}, {}, now);
  // The peer's side by hand: multistream, Noise with early data, then the input.
  auto select = p2p::Multistream::dialer({"/noise"});
  Bytes out = select.take_output();
  node.on_bytes(1, out, now);
  p2p::NoiseHandshake handshake{
      true, theirs, {*Hash32::from(Bytes(32, 3)), *Hash32::from(Bytes(32, 4))}, {}, {"/yamux/1.0.0"}};
  out = handshake.take_output();
  node.on_bytes(1, out, now);
  Bytes back;
  node.output(1, back, 10'000);
  BytesView rest{back};
  if (!select.on_bytes(rest).ok()) return 0;
  auto done = handshake.on_bytes(rest);
  fuzz::require(done.ok() && done->has_value());
  node.on_bytes(1, handshake.take_output(), now);
  fuzz::require(node.peer_count() == 1);
  p2p::NoiseSession session{(**done).ciphers};
  BytesView in{data, size};
  while (!in.empty() && node.status(1).ok()) {
    const std::size_t n = std::min<std::size_t>(in.size(), 1 + in[0] * 16U);
    Bytes sealed;
    session.seal(in.first(n), sealed);
    node.on_bytes(1, sealed, now);
    in = in.subspan(n);
    back.clear();
    node.output(1, back, 100'000);
  }
  node.on_timer(now + absl::Seconds(1));
  node.remove_connection(1, absl::OkStatus(), now);
  return 0;
}
