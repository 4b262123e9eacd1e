// The fetcher's values as messages.
#pragma once
#include "services/remote-fetcher/core/heads.hpp"
#include "towline/v1/remote_fetcher.pb.h"

namespace towline::fetcher {

v1::EndpointKind to_proto(Kind k);
v1::Hold to_proto(Hold h);
v1::HeadSnapshot to_proto(const HeadSnapshot& s, absl::Time now);

}  // namespace towline::fetcher
