#include "services/p2p-gossip/actors/checker.hpp"

#include <absl/time/clock.h>

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::gossip {

checker_actor::behavior_type checker(checker_actor::pointer self, CheckerConfig config) {
  guard(self, "checker");
  return {[self, config = std::move(config)](check_atom, const ValidationJobPtr& job) {
    auto checked = gossip_block::check(*config.rollup, config.options, job->version, job->body.get(),
                                       config.view->get()->signers.accepted(absl::Now()), job->received);
    self->send(config.judge, checked_atom{}, std::make_shared<CheckedJob>(CheckedJob{job, std::move(checked)}));
  }};
}

}  // namespace towline::gossip
