#include "libs/p2p/multistream.hpp"

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/p2p/wire.hpp"

namespace towline::p2p {
namespace {

constexpr absl::string_view kHeader = "/multistream/1.0.0";
constexpr absl::string_view kNotAvailable = "na";
constexpr std::size_t kMaxToken = 1024;
constexpr int kMaxProposals = 32;

}  // namespace

Multistream Multistream::dialer(std::vector<std::string> protocols) {
  Multistream m{true};
  m.protocols_ = {protocols.begin(), protocols.end()};
  m.send(kHeader);
  if (!m.protocols_.empty()) m.send(m.protocols_.front());
  return m;
}

Multistream Multistream::listener(std::vector<std::string> protocols) {
  Multistream m{false};
  m.protocols_ = {protocols.begin(), protocols.end()};
  m.send(kHeader);
  return m;
}

void Multistream::send(absl::string_view token) {
  append_uvarint(token.size() + 1, output_);
  output_.insert(output_.end(), token.begin(), token.end());
  output_.push_back('\n');
}

absl::StatusOr<std::optional<std::string>> Multistream::token(BytesView& in) {
  // Byte by byte: the bytes after the token belong to the protocol.
  while (true) {
    TOWLINE_ASSIGN_OR_RETURN(const auto length, read_uvarint(partial_));
    if (length) {
      if (length->value == 0 || length->value > kMaxToken) return absl::InvalidArgumentError("multistream: bad length");
      const std::size_t whole = length->size + length->value;
      const std::size_t n = std::min(whole - partial_.size(), in.size());
      partial_.insert(partial_.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
      in = in.subspan(n);
      if (partial_.size() < whole) return std::nullopt;
      if (partial_.back() != '\n') return absl::InvalidArgumentError("multistream: a token without its newline");
      std::string out = towline::to_string(BytesView{partial_}.subspan(length->size, length->value - 1));
      partial_.clear();
      return out;
    }
    if (in.empty()) return std::nullopt;
    partial_.push_back(in[0]);
    in = in.subspan(1);
  }
}

absl::StatusOr<std::optional<std::string>> Multistream::on_bytes(BytesView& in) {
  while (true) {
    TOWLINE_ASSIGN_OR_RETURN(auto got, token(in));
    if (!got) return std::nullopt;
    if (!header_seen_) {
      if (*got != kHeader) return absl::InvalidArgumentError("multistream: another header");
      header_seen_ = true;
      continue;
    }
    if (dials_) {
      if (protocols_.empty()) return absl::NotFoundError("multistream: no protocol in common");
      if (*got == protocols_.front()) return got;
      if (*got != kNotAvailable) return absl::InvalidArgumentError("multistream: an answer to no proposal");
      protocols_.pop_front();
      if (protocols_.empty()) return absl::NotFoundError("multistream: no protocol in common");
      send(protocols_.front());
      continue;
    }
    if (std::find(protocols_.begin(), protocols_.end(), *got) != protocols_.end()) {
      send(*got);
      return got;
    }
    if (++proposals_ > kMaxProposals) return absl::ResourceExhaustedError("multistream: too many proposals");
    send(kNotAvailable);
  }
}

}  // namespace towline::p2p
