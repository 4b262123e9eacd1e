#include "services/engine-driver/actors/state_store.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::driver {

state_store_actor::behavior_type state_store(state_store_actor::pointer self, const StateFile* file) {
  guard(self, "state_store");
  return {[file](save_atom, const PersistentPtr& p) -> StatusPtr {
    return std::make_shared<const absl::Status>(file->save(*p));
  }};
}

}  // namespace towline::driver
