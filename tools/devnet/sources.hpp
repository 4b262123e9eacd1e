// The remote nodes of the devnet: execution clients (sources) and a consensus client.
#pragma once
#include "tools/devnet/rpc_server.hpp"

namespace towline::devnet {

/// eth_chainId, eth_blockNumber, eth_getBlockBy*, debug_getRaw*, web3_clientVersion.
RpcServer::Handler el_source(World& world, NodeState& state);
/// optimism_syncStatus, optimism_rollupConfig.
RpcServer::Handler cl_source(World& world, NodeState& state);

/// The result of eth_getBlockBy*; `full`: with transactions, else with their hashes.
std::string block_result(const sim::Block& block, bool full);

}  // namespace towline::devnet
