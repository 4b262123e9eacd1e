#include "services/engine-driver/core/prepared_payload.hpp"

#include <absl/strings/str_cat.h>

#include "libs/eth/engine_json.hpp"
#include "libs/eth/envelope.hpp"

namespace towline::driver {

absl::StatusOr<PreparedPayload> prepare(const rollup::Config& config, const eth::Payload& payload) {
  const int version = rollup::new_payload_version(config, payload.timestamp);
  if (version != eth::new_payload_version_by_shape(payload)) {
    return absl::InvalidArgumentError(
        absl::StrCat("payload ", eth::to_string(payload.ref()), " has the shape of engine_newPayloadV",
                     eth::new_payload_version_by_shape(payload), ", but its fork asks for V", version,
                     ": are the fork times of the rollup config right?"));
  }
  PreparedPayload p;
  p.ref = payload.ref();
  p.gas_used = payload.gas_used;
  p.transactions = payload.transactions.size();
  p.refused = eth::check_envelopes(payload.transactions);
  if (!p.refused.ok()) return p;
  p.body = absl::StrCat(R"({"jsonrpc":"2.0","id":0,"method":"engine_newPayloadV)", version, R"(","params":)");
  eth::append_new_payload_params(payload, version, p.body);
  p.body += '}';
  return p;
}

}  // namespace towline::driver
