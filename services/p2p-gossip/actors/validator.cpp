#include "services/p2p-gossip/actors/validator.hpp"

#include <absl/time/clock.h>
#include <unistd.h>

#include <algorithm>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace towline::gossip {
namespace {

JudgeView first_view(const std::optional<Address>& signer) {
  JudgeView v;
  if (signer) v.signers.set(*signer, absl::Now());
  return v;
}

}  // namespace

p2p::Gossipsub::Verdict validation_result(gossip_block::Result result) {
  switch (result) {
    case gossip_block::Result::accept: return p2p::Gossipsub::Verdict::accept;
    case gossip_block::Result::ignore: return p2p::Gossipsub::Verdict::ignore;
    case gossip_block::Result::reject: break;
  }
  return p2p::Gossipsub::Verdict::reject;
}

Validator::Validator(caf::actor_system& system, const rollup::Config& config, gossip_block::Options options,
                     block_store_actor store, Metrics& metrics, std::function<void(bool)> suspend_penalties,
                     const std::optional<Address>& signer)
    : view_{first_view(signer)},
      judge_{actors_.add(system.spawn(
          judge, JudgeConfig{&config, std::move(store), &view_, &metrics, std::move(suspend_penalties)}))} {
  // One per core, at least two: one of them may be busy with a block of 10 MiB.
  const long cores = std::max(2L, sysconf(_SC_NPROCESSORS_ONLN));
  for (long i = 0; i < cores; ++i)
    checkers_.push_back(
        actors_.add(system.spawn<caf::detached>(checker, CheckerConfig{&config, options, &view_, judge_})));
}

void Validator::submit(ValidationJob job) {
  caf::anon_send(checkers_[next_++ % checkers_.size()], check_atom{},
                 ValidationJobPtr{std::make_shared<const ValidationJob>(std::move(job))});
}

void Validator::set_signer(const Address& signer) {
  caf::anon_send(judge_, signer_atom{}, AddressPtr{std::make_shared<const Address>(signer)});
}

void Validator::set_clock(std::optional<absl::Duration> ahead_of_sources) {
  caf::anon_send(judge_, clock_atom{},
                 ClockPtr{std::make_shared<const std::optional<absl::Duration>>(ahead_of_sources)});
}

std::vector<Address> Validator::signers() const { return view_.get()->signers.accepted(absl::Now()); }

std::string Validator::doubt() const { return view_.get()->doubt; }

void Validator::join(caf::actor_system& system) {
  checkers_.clear();
  actors_.end(system);
}

}  // namespace towline::gossip
