// multistream-select 1.0: the two ends of a stream agree on a protocol. Exact about where the negotiation ends, because
// a peer that knows what we speak sends the first bytes of the protocol right behind its proposal. Pure.
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
  /// Proposes `protocols`, best first. Its first output is the header and the first proposal in one.
  static Multistream dialer(std::vector<std::string> protocols);
  /// Accepts the first proposal that is one of `protocols`.
  static Multistream listener(std::vector<std::string> protocols);

  /// What to send; empty if nothing.
  Bytes take_output() { return std::exchange(output_, {}); }
  /// Eats from the front of `in` what belongs to the negotiation. The protocol once both have agreed, nullopt before.
  /// INVALID_ARGUMENT: not multistream. NOT_FOUND: no protocol in common. RESOURCE_EXHAUSTED: proposals without end.
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
