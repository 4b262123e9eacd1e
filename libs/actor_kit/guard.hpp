// What every actor has: an end that nobody overlooks.
#pragma once
#include <caf/error.hpp>
#include <exception>
#include <string>

namespace towline {

/// As for a loop that hangs.
inline constexpr int kActorFailed = 3;

/// Logs why and ends the process with kActorFailed.
[[noreturn]] void end_process(const char* actor, const std::exception_ptr& why);
/// As well for an actor without which another cannot go on, and that does not answer: it is gone.
[[noreturn]] void end_process(const char* actor, const std::string& why);

/// First thing in an actor's behaviour. CAF ends an actor that throws, and nobody is told: the service would stand
/// still under a green /readyz. What the actor owned is in no known state, so the process ends instead, with a line
/// that names it, and its supervisor starts it again.
template <class Self>
void guard(Self* self, const char* actor) {
  self->set_exception_handler([actor](std::exception_ptr& why) -> caf::error { end_process(actor, why); });
}

}  // namespace towline
