// The expensive part of a block's validation, which depends on no other block: form, hash, signature
// (libs/gossip_block). There are several checkers, so that a block of 10 MiB at one of them does not delay the others.
//
// Owns: nothing. In: a message of the network. Out: the message with its result, to the judge.
#pragma once
#include "services/p2p-gossip/actors/judge.hpp"

namespace towline::gossip {

using check_atom = caf::atom_constant<caf::atom("check")>;
using checker_actor = caf::typed_actor<caf::reacts_to<check_atom, ValidationJobPtr>>;

/// The pointers must outlive the actor.
struct CheckerConfig {
  const rollup::Config* rollup;
  gossip_block::Options options;
  const Published<JudgeView>* view;
  judge_actor judge;
};

checker_actor::behavior_type checker(checker_actor::pointer self, CheckerConfig config);

}  // namespace towline::gossip

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::gossip::ValidationJobPtr)
