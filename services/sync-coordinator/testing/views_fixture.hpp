// Views for the table tests of the choices. Both sides are at block 100, safe 90, finalized 80, known by these labels
// and by whatever a test adds.
#pragma once
#include "services/sync-coordinator/core/views.hpp"

namespace towline::coordinator {

inline eth::BlockRef block(std::uint64_t n, std::uint8_t branch = 0, std::uint8_t parents_branch = 255) {
  const auto hash = [](std::uint64_t number, std::uint8_t b) {
    Hash32 h;
    h.bytes[0] = static_cast<std::uint8_t>(number);
    h.bytes[1] = b;
    h.bytes[31] = 1;
    return h;
  };
  return {n, hash(n, branch), n == 0 ? Hash32{} : hash(n - 1, parents_branch == 255 ? branch : parents_branch),
          1000 + 2 * n};
}

struct ViewsFixture {
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  Views v{LocalChain{block(0).id()}, RemoteView{true, true}, GossipView{true, 100}, {}, {}, Backoffs{}};
  contract::EngineState engine = [] {
    contract::EngineState s;
    s.status = contract::EngineStatus::ready;
    s.engine_session = 1;
    s.labels = {block(100), block(90), block(80)};
    return s;
  }();
  contract::HeadSnapshot heads = [] {
    contract::HeadSnapshot s;
    s.endpoint = "a";
    s.unsafe = block(100);
    s.safe = block(90);
    s.finalized = block(80);
    s.groups = s.agree = 1;
    return s;
  }();

  void local() { v.local.on_state(engine, v.gossip.blocks()); }
  void remote() { v.remote.on_heads(heads, v.gossip.blocks(), now); }
  void both() {
    local();
    remote();
  }
  void gossip(const eth::BlockRef& b) { v.gossip.on_block(b, v.local, now); }
};

}  // namespace towline::coordinator
