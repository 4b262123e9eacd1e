#include "libs/p2p/remote_identify.hpp"

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::p2p {

absl::StatusOr<RemoteIdentify::Next> RemoteIdentify::on_data(Stream& stream, BytesView data, const PublicKey& key) {
  stream.reader.append(data);
  while (true) {
    const auto message = stream.reader.next();
    if (!message.ok() || stream.messages >= kMaxMessages) return Next::reset_stream;
    if (!*message) return Next::read_on;
    Identify merged = ++stream.messages == 1 ? Identify{} : identify_;
    TOWLINE_RETURN_IF_ERROR(merged.merge(**message));
    if (!merged.public_key.empty() && merged.public_key != key.encoded())
      return absl::UnauthenticatedError("identify: another key than the connection's");
    // A push contains only changes, often just the protocols and addresses.
    if (merged.agent_version.empty()) merged.agent_version = identify_.agent_version;
    if (merged.protocol_version.empty()) merged.protocol_version = identify_.protocol_version;
    identify_ = std::move(merged);
  }
}

bool RemoteIdentify::speaks(absl::string_view protocol) const {
  const auto& all = identify_.protocols;
  return std::find(all.begin(), all.end(), protocol) != all.end();
}

}  // namespace towline::p2p
