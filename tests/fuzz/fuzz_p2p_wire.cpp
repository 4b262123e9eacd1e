// The decoders of a peer's bytes: multistream tokens, multiaddrs, peer ids, public keys, identify, gossip RPCs.
#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/identify.hpp"
#include "libs/p2p/multiaddr.hpp"
#include "libs/p2p/multistream.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView in{data + 1, size - 1};
  switch (data[0] % 6) {
    case 0:
      if (const auto a = p2p::Multiaddr::decode(in); a.ok()) {
        const auto again = p2p::Multiaddr::parse(a->to_string());
        fuzz::require(again.ok() && *again == *a);
        const Bytes bytes = a->encode();
        fuzz::require(Bytes(in.begin(), in.end()) == bytes);
      }
      break;
    case 1:
      if (const auto a = p2p::Multiaddr::parse(fuzz::text(in.data(), in.size())); a.ok())
        fuzz::require(*p2p::Multiaddr::decode(a->encode()) == *a);
      break;
    case 2:
      if (const auto k = p2p::PublicKey::parse(in); k.ok()) {
        fuzz::require(p2p::PublicKey::parse(k->encoded())->peer_id() == k->peer_id());
        (void)k->verify(in, in);
      }
      break;
    case 3: {
      p2p::Identify i;
      if (i.merge(in).ok()) fuzz::require(p2p::Identify{}.merge(i.encode()).ok());
      break;
    }
    case 4: (void)p2p::GossipRpc::parse(in); break;
    default: {
      auto m = data[0] % 12 < 6 ? p2p::Multistream::dialer({"/noise", "/x"}) : p2p::Multistream::listener({"/noise"});
      BytesView rest = in;
      (void)m.on_bytes(rest);
      fuzz::require(rest.size() <= in.size());
    }
  }
  return 0;
}
