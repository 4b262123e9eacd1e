// The actor that owns the fork schedule (core/fork_schedule), so that each of its news is logged once.
//
// In: what sources report about their forks, and proven headers. Out: log lines. No timers, no dependencies on other
// actors.
#pragma once
#include <caf/typed_actor.hpp>
#include <memory>

#include "libs/jsonrpc/jsonrpc.hpp"
#include "services/remote-fetcher/core/fork_schedule.hpp"

namespace towline::fetcher {

/// An answer, and the owner of its elements.
struct ForkAnswer {
  std::string endpoint;
  jsonrpc::Answer answer;
  std::shared_ptr<const void> holder;
};
using ForkAnswerPtr = std::shared_ptr<const ForkAnswer>;
using HeadersPtr = std::shared_ptr<const std::vector<eth::Header>>;

}  // namespace towline::fetcher

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::ForkAnswerPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::fetcher::HeadersPtr)

namespace towline::fetcher {

using rollup_atom = caf::atom_constant<caf::atom("rollup")>;
using eth_atom = caf::atom_constant<caf::atom("eth")>;
using forget_atom = caf::atom_constant<caf::atom("forget")>;
using headers_atom = caf::atom_constant<caf::atom("headers")>;

using fork_watch_actor = caf::typed_actor<
    // The answer to optimism_rollupConfig (a CL) or eth_config (an EL); an error or null means that the source does not
    // say.
    caf::reacts_to<rollup_atom, ForkAnswerPtr>, caf::reacts_to<eth_atom, ForkAnswerPtr>,
    // An endpoint is on another chain.
    caf::reacts_to<forget_atom, std::string>,
    // Headers whose hashes verify: they are valid, whatever the schedule says.
    caf::reacts_to<headers_atom, HeadersPtr>>;

fork_watch_actor::behavior_type fork_watch(fork_watch_actor::pointer self, const rollup::Config& own);

}  // namespace towline::fetcher
