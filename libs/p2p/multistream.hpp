// multistream-select 1.0: the two ends of a stream agree on a protocol. It consumes exactly the negotiation, because a
// peer that knows our protocols sends the protocol's first bytes right after its proposal. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/bytes.hpp"

namespace towline::p2p {

class Multistream {
 public:
  /// Proposes `protocols`, best first. The first output is the header together with the first proposal.
  static Multistream dialer(std::vector<std::string> protocols);
  /// Accepts the first proposal that is one of `protocols`.
  static Multistream listener(std::vector<std::string> protocols);

  /// The bytes to send; may be empty.
  Bytes take_output() { return std::exchange(output_, {}); }
  /// Removes the bytes of the negotiation from the front of `in`. Returns the protocol once both ends agreed, nullopt
  /// before. INVALID_ARGUMENT: not multistream. NOT_FOUND: no common protocol. RESOURCE_EXHAUSTED: too many proposals.
  absl::StatusOr<std::optional<std::string>> on_bytes(BytesView& in);

 private:
  explicit Multistream(bool dials) : dials_{dials} {}
  void send(absl::string_view token);
  /// One whole token, without its newline.
  absl::StatusOr<std::optional<std::string>> token(BytesView& in);

  bool dials_;
  bool header_seen_ = false;
  std::deque<std::string> protocols_;
  Bytes partial_;
  Bytes output_;
  int proposals_ = 0;
};

}  // namespace towline::p2p
