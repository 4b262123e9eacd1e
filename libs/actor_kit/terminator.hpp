// Ends a service's actors in order: an actor ends before the actors that it works with.
#pragma once
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/atom.hpp>
#include <caf/scoped_actor.hpp>
#include <vector>

namespace towline {

/// The message by which a service that stops tells an actor to end its streams and to begin nothing new. The terminator
/// ends the actor later.
using stop_atom = caf::atom_constant<caf::atom("stop")>;

class Terminator {
 public:
  /// The actor ends before those that were added earlier.
  template <class Handle>
  Handle add(Handle actor) {
    actors_.push_back(caf::actor_cast<caf::actor>(actor));
    return actor;
  }
  /// Waits for each actor and drops its handle: the thread of a detached actor lasts as long as a handle to it. Calls
  /// that block in an actor must have been told to end before.
  void end(caf::actor_system& system) {
    caf::scoped_actor self{system};
    for (; !actors_.empty(); actors_.pop_back()) {
      self->send_exit(actors_.back(), caf::exit_reason::user_shutdown);
      self->wait_for(actors_.back());
    }
  }

 private:
  std::vector<caf::actor> actors_;
};

}  // namespace towline
