#include "services/engine-driver/actors/engine.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::driver {
namespace {

struct Caller {
  EngineClient& client;
  Event operator()(const SendForkchoice& e) { return client.forkchoice_updated(e.update); }
  Event operator()(const ReadLabels&) { return client.labels(); }
  Event operator()(const ReadBlock& e) { return client.block_by_number(e.number); }
  Event operator()(const BuildTwin& e) { return client.build(e.parent, e.plan); }
  Event operator()(const SetHead& e) { return client.set_head(e.number); }
  /// Other effects do not concern the EL, or are no calls that block (SendPayload).
  template <class E>
  Event operator()(const E&) {
    return absl::InternalError("no call of the EL");
  }
};

}  // namespace

engine_actor::behavior_type engine(engine_actor::pointer self, EngineClient* client) {
  guard(self, "engine");
  return {
      [client](call_atom, const EffectPtr& e) { return std::make_shared<Event>(std::visit(Caller{*client}, *e)); },
      [client](blocks_atom, const NumbersPtr& numbers) -> BlocksPtr {
        return std::make_shared<const absl::StatusOr<std::vector<eth::BlockRef>>>(client->blocks_by_number(*numbers));
      }};
}

}  // namespace towline::driver
