#include "services/engine-driver/core/prepared_payload.hpp"

#include <absl/strings/str_cat.h>

#include "libs/eth/engine_json.hpp"
#include "libs/eth/envelope.hpp"

namespace towline::driver {

PreparedPayload prepare(const eth::Payload& payload) {
  // The block hash covers the payload's shape, so the shape is right even if our fork schedule is outdated. The EL
  // decides.
  const int version = eth::new_payload_version_by_shape(payload);
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
