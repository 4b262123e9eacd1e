// A node with which we share keys sends arbitrary messages: each input is a list of messages with a length byte each.
// The service's own requests go on between them.
#include "libs/discv5/service.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace towline::discv5 {
namespace {

struct Peer final : Service::Handler {
  std::vector<Bytes> sent;
  void send(const SocketAddress&, const Bytes& packet) override { sent.push_back(packet); }
  void discovered(const Enr&) override {}
  void local_changed(const Enr&) override {}
};

void feed(BytesView in) {
  static const auto kOurs = *secp256k1::SecretKey::from(Bytes(32, 1));
  static const auto kTheirs = *secp256k1::SecretKey::from(Bytes(32, 2));
  const NodeId them = node_id_of(kTheirs.public_key());
  const SocketAddress from{p2p::ip4(44, 1, 1, 1), 9222};
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  std::uint8_t counter = 1;
  const auto random = [&](std::span<std::uint8_t> out) {
    for (auto& b : out) b = counter++;
  };
  Peer peer;
  Service::Options o;
  o.fields.ip4 = p2p::ip4(44, 2, 2, 2);
  o.fields.udp4 = o.fields.tcp4 = 9222;
  o.fields.opstack = OpStack{901, 0};
  Service service{kOurs, std::move(o), peer, random};
  const NodeId us = service.local().node_id();
  service.on_packet(from, encode_noise(us, them, {}, {}, Bytes(20)), now);
  const auto challenge = decode_packet(them, peer.sent.at(0));
  const auto keys = derive_keys(*kTheirs.ecdh(service.local().public_key()), challenge->header, them, us);
  Enr::Fields fields;
  fields.ip4 = from.ip;
  fields.udp4 = fields.tcp4 = from.port;
  fields.opstack = OpStack{901, 0};
  static const auto kRecord = Enr::make(kTheirs, 1, fields);
  const Handshake h{them, kTheirs.sign(id_signature_digest(challenge->header, kTheirs.public_key(), us)),
                    kTheirs.public_key(), kRecord.encoded()};
  service.on_packet(from, encode_handshake(us, {}, {}, h, keys.initiator, Ping{{1}, 1}), now);
  fuzz::require(service.sessions() == 1);
  Nonce nonce;
  while (!in.empty()) {
    const std::size_t n = std::min<std::size_t>(in[0], in.size() - 1);
    auto m = decode_message(in.subspan(1, n));
    in = in.subspan(1 + n);
    now += absl::Milliseconds(150);
    peer.sent.clear();
    service.on_timer(now);
    if (!m.ok()) continue;
    // Answers use the id of the last request.
    for (const Bytes& p : peer.sent) {
      const auto q = decode_packet(them, p);
      if (!q.ok() || !std::holds_alternative<Ordinary>(q->auth)) continue;
      const auto question = open(*q, keys.recipient);
      if (!question.ok()) continue;
      const RequestId id = std::visit([](const auto& x) { return x.id; }, *question);
      std::visit([&](auto& x) { x.id = id; }, *m);
    }
    ++nonce.bytes[0];
    service.on_packet(from, encode_ordinary(us, them, {}, nonce, keys.initiator, *m), now);
  }
  fuzz::require(service.sessions() == 1);
  fuzz::require(service.table().size() <= Table::kBuckets * Table::kBucketSize);
}

}  // namespace
}  // namespace towline::discv5

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  towline::discv5::feed({data, size});
  return 0;
}
