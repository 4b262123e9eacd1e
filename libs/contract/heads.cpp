#include "libs/contract/heads.hpp"

namespace towline::contract {

const char* name(EndpointKind k) {
  switch (k) {
    case EndpointKind::unknown: return "unknown";
    case EndpointKind::el: return "el";
    case EndpointKind::cl: return "cl";
    case EndpointKind::both: return "el+cl";
  }
  return "?";
}

}  // namespace towline::contract
