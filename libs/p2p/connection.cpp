#include "libs/p2p/connection.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::p2p {
namespace {

const std::string kNoise = "/noise";
const std::string kYamux = "/yamux/1.0.0";

void append(const Bytes& from, Bytes& to) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

Connection::Connection(bool dialer, const Identity& identity, const NoiseHandshake::Keys& keys,
                       std::optional<PeerId> expected, const Options& options, Handler& handler, absl::Time now)
    : dialer_{dialer},
      identity_{identity},
      keys_{keys},
      expected_{std::move(expected)},
      options_{options},
      handler_{handler},
      deadline_{now + options.negotiation_timeout},
      now_{now} {
  multistream_ = dialer ? Multistream::dialer({kNoise}) : Multistream::listener({kNoise});
  append(multistream_->take_output(), plain_output_);
}

absl::Status Connection::on_bytes(BytesView in, absl::Time now) {
  now_ = now;
  while (!in.empty() && !session_) TOWLINE_RETURN_IF_ERROR(on_plain(in, now));
  if (in.empty()) return absl::OkStatus();
  text_.clear();
  TOWLINE_RETURN_IF_ERROR(session_->open(in, text_));
  return on_text(text_, now);
}

absl::Status Connection::on_plain(BytesView& in, absl::Time now) {
  if (stage_ == Stage::security) {
    TOWLINE_ASSIGN_OR_RETURN(const auto agreed, multistream_->on_bytes(in));
    append(multistream_->take_output(), plain_output_);
    if (!agreed) return absl::OkStatus();
    stage_ = Stage::handshake;
    handshake_.emplace(dialer_, identity_, keys_, expected_, std::vector{kYamux});
    append(handshake_->take_output(), plain_output_);
    return absl::OkStatus();
  }
  auto done = handshake_->on_bytes(in);
  append(handshake_->take_output(), plain_output_);
  if (!done.ok()) return done.status();
  if (!*done) return absl::OkStatus();
  peer_ = std::move(*done);
  handshake_.reset();
  session_.emplace(peer_->ciphers);
  if (peer_->muxer) return start_yamux(now);
  stage_ = Stage::muxer;
  multistream_ = dialer_ ? Multistream::dialer({kYamux}) : Multistream::listener({kYamux});
  session_->seal(multistream_->take_output(), plain_output_);
  return absl::OkStatus();
}

absl::Status Connection::on_text(BytesView text, absl::Time now) {
  if (stage_ == Stage::muxer) {
    const auto agreed = multistream_->on_bytes(text);
    session_->seal(multistream_->take_output(), plain_output_);
    if (!agreed.ok()) return agreed.status();
    if (!*agreed) return absl::OkStatus();
    TOWLINE_RETURN_IF_ERROR(start_yamux(now));
  }
  return yamux_->on_bytes(text, now);
}

absl::Status Connection::start_yamux(absl::Time now) {
  stage_ = Stage::open;
  multistream_.reset();
  yamux_ = std::make_unique<Yamux>(dialer_, static_cast<Yamux::Handler&>(*this), options_.yamux, now);
  return handler_.on_ready(peer_->remote_key, peer_->remote);
}

absl::Status Connection::on_timer(absl::Time now) {
  now_ = now;
  if (!yamux_) return now < deadline_ ? absl::OkStatus() : absl::DeadlineExceededError("the handshake took too long");
  std::vector<StreamId> late;
  for (const auto& [id, n] : negotiations_)
    if (now >= n.deadline) late.push_back(id);
  for (const StreamId id : late) {
    reset(id);
    handler_.on_stream_gone(id);
  }
  return yamux_->on_timer(now);
}

absl::Time Connection::next_timer() const {
  if (!yamux_) return deadline_;
  absl::Time t = yamux_->next_timer();
  for (const auto& [id, n] : negotiations_) t = std::min(t, n.deadline);
  return t;
}

absl::StatusOr<StreamId> Connection::open(std::vector<std::string> protocols, absl::Time now) {
  if (!yamux_) return absl::FailedPreconditionError("the connection is not ready");
  TOWLINE_ASSIGN_OR_RETURN(const StreamId id, yamux_->open());
  auto& n = negotiations_
                .insert_or_assign(id, Negotiation{Multistream::dialer(std::move(protocols)), false,
                                                  now + options_.negotiation_timeout})
                .first->second;
  send_negotiation(id, n.multistream);
  return id;
}

void Connection::send_negotiation(StreamId id, Multistream& m) {
  yamux_->write(id, std::make_shared<const Bytes>(m.take_output()));
}

void Connection::reset(StreamId id) {
  negotiations_.erase(id);
  if (yamux_) yamux_->reset(id);
}

bool Connection::wants_output() const { return !plain_output_.empty() || (yamux_ && yamux_->wants_output()); }

void Connection::output(Bytes& out, std::size_t max) {
  append(plain_output_, out);
  plain_output_.clear();
  if (!yamux_ || !yamux_->wants_output()) return;
  frames_.clear();
  yamux_->output(frames_, max);
  session_->seal(frames_, out);
}

void Connection::on_open(StreamId id) {
  auto& n = negotiations_
                .insert_or_assign(id, Negotiation{Multistream::listener(options_.protocols), true,
                                                  now_ + options_.negotiation_timeout})
                .first->second;
  send_negotiation(id, n.multistream);
}

void Connection::on_data(StreamId id, BytesView data) {
  if (const auto it = negotiations_.find(id); it != negotiations_.end()) {
    const bool inbound = it->second.inbound;
    const auto agreed = it->second.multistream.on_bytes(data);
    send_negotiation(id, it->second.multistream);
    if (!agreed.ok()) {
      reset(id);
      return handler_.on_stream_gone(id);
    }
    if (!*agreed) return;
    negotiations_.erase(it);
    handler_.on_stream(id, **agreed, inbound);
    if (data.empty()) return;
  }
  handler_.on_stream_data(id, data);
}

void Connection::on_end(StreamId id) {
  if (negotiations_.contains(id)) {
    reset(id);
    return handler_.on_stream_gone(id);
  }
  handler_.on_stream_end(id);
}

void Connection::on_reset(StreamId id) {
  negotiations_.erase(id);
  handler_.on_stream_gone(id);
}

}  // namespace towline::p2p
