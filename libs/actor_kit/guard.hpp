// Ends the process when an actor fails, so that nobody overlooks the failure.
#pragma once
#include <caf/error.hpp>
#include <exception>
#include <string>

namespace towline {

/// Logs why and ends the process with kExitBroken.
[[noreturn]] void end_process(const char* actor, const std::exception_ptr& why);
/// Also for an actor that does not answer although another cannot go on without it.
[[noreturn]] void end_process(const char* actor, const std::string& why);

/// Called first in an actor's behaviour. CAF ends an actor that throws and tells nobody: the service would stand still
/// while /readyz is 200. The actor's data are in no known state, so the process ends instead, with a line that names
/// the actor, and its supervisor starts it again.
template <class Self>
void guard(Self* self, const char* actor) {
  self->set_exception_handler([actor](std::exception_ptr& why) -> caf::error { end_process(actor, why); });
}

}  // namespace towline
