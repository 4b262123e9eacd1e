// Asks peers for the blocks that are missing below those of the network (payload_by_number), one after the other, and
// puts them on the board. In its own thread, since it waits for blocks and for answers. Only with --p2p.sync.req-resp.
//
// In: ticks from itself, the block board, the network's answers. Out: blocks for the board.
#pragma once
#include <caf/typed_actor.hpp>

#include "libs/rollup/config.hpp"
#include "services/p2p-gossip/actors/block_board.hpp"
#include "services/p2p-gossip/actors/network.hpp"

namespace towline::gossip {

using fill_atom = caf::atom_constant<caf::atom("fill")>;
using backfiller_actor = caf::typed_actor<caf::reacts_to<fill_atom>>;

struct BackfillerConfig {
  const rollup::Config* config;
  Network* network;
  BlockBoard* board;
  Metrics* metrics;
};

backfiller_actor::behavior_type backfiller(backfiller_actor::pointer self, const BackfillerConfig& config);

}  // namespace towline::gossip
