// Engine API request parameters, appended to one buffer without a JSON tree (execution-apis: paris, shanghai, cancun,
// prague, amsterdam). Pure.
#pragma once
#include <string>

#include "libs/eth/types.hpp"

namespace towline::eth {

/// The newPayload version that a payload's shape asks for: 5 with a slot number (Amsterdam), 4 with a withdrawals root
/// (Isthmus), 3 with a parent beacon block root (Ecotone), else 2. The block's hash covers its shape, so this is right
/// even where a fork schedule is outdated.
int new_payload_version_by_shape(const Payload& p);

/// Appends the parameters of engine_newPayloadV<version>, with their brackets. Keys of inactive forks are left out.
void append_new_payload_params(const Payload& p, int version, std::string& out);

/// Appends the parameters of engine_forkchoiceUpdated. A zero hash leaves that label as it is. `attributes`:
/// PayloadAttributes as JSON.
void append_forkchoice_params(const Hash32& head, const Hash32& safe, const Hash32& finalized, std::string& out,
                              const std::string& attributes = "null");

}  // namespace towline::eth
