#include "services/sync-coordinator/actors/decision_store.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"
#include "services/sync-coordinator/actors/decision_file.hpp"

namespace towline::coordinator {

decision_store_impl::behavior_type decision_store(decision_store_impl::pointer self) {
  guard(self, "decision_store");
  // An exit message overtakes the others; one to itself comes after them.
  self->set_exit_handler([self](const caf::exit_msg&) { self->send(self, stop_atom{}); });
  return {[](keep_atom, const std::string& path, const DecisionsPtr& decisions) {
            if (auto st = save_decisions(path, *decisions); !st.ok())
              log::warn("decisions are not kept", {log::kv("why", st)});
          },
          [self](stop_atom) { self->quit(caf::exit_reason::user_shutdown); }};
}

}  // namespace towline::coordinator
