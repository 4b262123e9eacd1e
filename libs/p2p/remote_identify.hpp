// A peer's own description by identify and identify push (libp2p specs, identify). The messages of a stream are merged,
// at most 8192 bytes each; after the tenth the stream is reset. A peer that names another key than its connection's is
// disconnected. Pure.
#pragma once
#include <absl/status/statusor.h>

#include "libs/p2p/identify.hpp"
#include "libs/p2p/peer_id.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {

class RemoteIdentify {
 public:
  static constexpr std::size_t kMaxMessage = 8192;
  static constexpr int kMaxMessages = 10;
  /// The messages of one stream.
  struct Stream {
    DelimitedReader reader{kMaxMessage};
    int messages = 0;
  };
  enum class Next { read_on, reset_stream };

  /// An error: close the connection.
  absl::StatusOr<Next> on_data(Stream& stream, BytesView data, const PublicKey& key);
  const Identify& get() const { return identify_; }
  bool speaks(absl::string_view protocol) const;

 private:
  Identify identify_;
};

}  // namespace towline::p2p
