#include "libs/actor_kit/guard.hpp"

#include <unistd.h>

#include "libs/base/exit_code.hpp"
#include "libs/telemetry/log.hpp"

namespace towline {

void end_process(const char* actor, const std::exception_ptr& why) {
  std::string what = "not a std::exception";
  try {
    std::rethrow_exception(why);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  end_process(actor, what);
}

void end_process(const char* actor, const std::string& why) {
  log::error("an actor failed, ending now", {log::kv("actor", actor), log::kv("why", why)});
  _exit(kExitBroken);
}

}  // namespace towline
