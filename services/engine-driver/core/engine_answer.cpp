#include "services/engine-driver/core/engine_answer.hpp"

#include <absl/strings/str_cat.h>

namespace towline::driver {

const char* name(Reaction r) {
  switch (r) {
    case Reaction::proceed: return "proceed";
    case Reaction::missing_state: return "missing_state";
    case Reaction::invalid: return "invalid";
    case Reaction::not_applied: return "not_applied";
    case Reaction::retry: return "retry";
    case Reaction::start_over: return "start_over";
    case Reaction::auth_failed: return "auth_failed";
    case Reaction::unsupported: return "unsupported";
  }
  return "?";
}

Reaction react(const EngineAnswer& a) {
  switch (a.kind) {
    case EngineAnswer::Kind::status:
      switch (a.status) {
        case PayloadStatus::valid: return Reaction::proceed;
        case PayloadStatus::invalid: return Reaction::invalid;
        case PayloadStatus::syncing:
        case PayloadStatus::accepted: return Reaction::missing_state;
      }
      return Reaction::retry;
    case EngineAnswer::Kind::error:
      switch (a.code) {
        case -38002:  // inconsistent forkchoice
        case -38006:  // reorg too deep
          return Reaction::not_applied;
        case -32700:  // parse error
        case -32600:  // invalid request
        case -32601:  // no such method
        case -32602:  // bad parameters
        case -38003:  // bad attributes (an update by a session carries none)
        case -38004:  // request too large
        case -38005:  // the method's version does not fit the payload's fork
          return Reaction::unsupported;
        case -38001:  // unknown payload id (belongs to engine_getPayload)
        default:      // -32603 internal, -32000 server, and any other code
          return Reaction::retry;
      }
    case EngineAnswer::Kind::http: return a.code == 401 || a.code == 403 ? Reaction::auth_failed : Reaction::retry;
    case EngineAnswer::Kind::timeout:
    case EngineAnswer::Kind::transport:
    case EngineAnswer::Kind::malformed: return Reaction::retry;
    case EngineAnswer::Kind::came_back: return Reaction::start_over;
  }
  return Reaction::retry;
}

std::string describe(const EngineAnswer& a) {
  static constexpr const char* kStatuses[] = {"VALID", "INVALID", "SYNCING", "ACCEPTED"};
  switch (a.kind) {
    case EngineAnswer::Kind::status:
      return a.message.empty() ? kStatuses[static_cast<int>(a.status)]
                               : absl::StrCat(kStatuses[static_cast<int>(a.status)], " (", a.message, ")");
    case EngineAnswer::Kind::error: return absl::StrCat("error ", a.code, " (", a.message, ")");
    case EngineAnswer::Kind::http:
      return absl::StrCat("HTTP ", a.code, a.message.empty() ? "" : " (", a.message, a.message.empty() ? "" : ")");
    case EngineAnswer::Kind::timeout: return "no answer in time";
    case EngineAnswer::Kind::transport: return absl::StrCat("not reachable: ", a.message);
    case EngineAnswer::Kind::malformed: return absl::StrCat("not a JSON-RPC answer: ", a.message);
    case EngineAnswer::Kind::came_back: return absl::StrCat("the EL came back as another one: ", a.message);
  }
  return "?";
}

}  // namespace towline::driver
