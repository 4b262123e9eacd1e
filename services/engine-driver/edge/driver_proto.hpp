// The driver's values as messages.
#pragma once
#include "services/engine-driver/core/state.hpp"
#include "towline/v1/engine_driver.pb.h"

namespace towline::driver {

v1::DriverState to_proto(const DriverState& s);
v1::Labels to_proto(const Labels& l);
v1::ImportProgress to_proto(const ImportProgress& p);
v1::Outcome to_proto(Outcome o);
v1::Refusal to_proto(Refusal r);

}  // namespace towline::driver
