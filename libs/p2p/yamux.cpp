#include "libs/p2p/yamux.hpp"

#include <algorithm>
#include <limits>

#include "libs/base/status.hpp"

namespace towline::p2p {
namespace {

enum Type : std::uint8_t { kDataFrame = 0, kWindowUpdateFrame = 1, kPingFrame = 2, kGoAwayFrame = 3 };
enum Flag : std::uint16_t { kSyn = 1, kAck = 2, kFin = 4, kRst = 8 };
constexpr std::size_t kHeader = 12;
constexpr std::uint32_t kInitialWindow = 256U << 10U;
/// The receive window of a stream: enough for a whole block of common size. At most 1 MiB, so that no frame is longer.
constexpr std::uint32_t kOurWindow = 1U << 20U;
/// Small enough for every peer, and for a low latency of the frames behind it.
constexpr std::uint32_t kMaxFrame = 16U << 10U;
constexpr std::size_t kMaxUnacknowledged = 256;
/// Answers to pings, window updates and resets that a peer lets pile up by not reading.
constexpr std::size_t kMaxControl = 64U << 10U;
constexpr absl::Duration kOpensWindow = absl::Seconds(10);

}  // namespace

Yamux::Yamux(bool client, Handler& handler, Options options, absl::Time now)
    : client_{client},
      handler_{handler},
      options_{options},
      next_id_{client ? 1U : 2U},
      opens_since_{now},
      next_ping_{now} {}  // the first one at once: it measures the round trip

Bytes Yamux::encode(const Frame& f) {
  Bytes out{0, f.type, static_cast<std::uint8_t>(f.flags >> 8U), static_cast<std::uint8_t>(f.flags)};
  for (const std::uint32_t n : {f.stream, f.length})
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(n >> static_cast<unsigned>(shift)));
  return out;
}

void Yamux::control(const Frame& f) {
  const Bytes b = encode(f);
  control_.insert(control_.end(), b.begin(), b.end());
}

absl::Status Yamux::fail(const char* why) {
  if (!failed_) control({kGoAwayFrame, 0, 0, 1});
  failed_ = true;
  return absl::InvalidArgumentError(why);
}

absl::Status Yamux::on_bytes(BytesView in, absl::Time now) {
  heard_ = true;
  while (!in.empty()) {
    if (failed_) return absl::FailedPreconditionError("yamux: the session is over");
    if (body_left_ > 0) {
      const BytesView part = in.first(std::min<std::size_t>(in.size(), body_left_));
      in = in.subspan(part.size());
      on_body(part);
      continue;
    }
    const std::size_t n = std::min(kHeader - header_.size(), in.size());
    header_.insert(header_.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
    in = in.subspan(n);
    if (header_.size() < kHeader) break;
    ByteReader r{header_};
    if (*r.u8() != 0) return fail("yamux: unknown version");
    Frame f;
    f.type = *r.u8();
    f.flags = static_cast<std::uint16_t>(*r.be(2));
    f.stream = static_cast<StreamId>(*r.be(4));
    f.length = static_cast<std::uint32_t>(*r.be(4));
    header_.clear();
    TOWLINE_RETURN_IF_ERROR(on_frame(f, now));
    if (control_.size() > kMaxControl) return fail("yamux: the peer does not read");
  }
  return absl::OkStatus();
}

absl::Status Yamux::on_frame(const Frame& f, absl::Time now) {
  switch (f.type) {
    case kDataFrame:
    case kWindowUpdateFrame: return on_stream_frame(f, now);
    case kPingFrame:
      if (f.stream != 0) return fail("yamux: a ping on a stream");
      if ((f.flags & kSyn) != 0) {
        control({kPingFrame, kAck, 0, f.length});
      } else if (ping_sent_ && f.length == ping_value_) {
        latency_ = now - *ping_sent_;
        ping_sent_.reset();
        next_ping_ = now + options_.ping_interval;
      }
      return absl::OkStatus();
    case kGoAwayFrame: failed_ = true; return absl::UnavailableError("yamux: the peer ended the session");
    default: return fail("yamux: unknown frame type");
  }
}

absl::Status Yamux::on_syn(const Frame& f, absl::Time now) {
  if ((f.stream % 2 == 1) == client_) return fail("yamux: the peer opened a stream with an id of ours");
  if (streams_.contains(f.stream)) return fail("yamux: opened twice");
  if (now - opens_since_ > kOpensWindow) {
    opens_since_ = now;
    opens_ = 0;
  }
  if (++opens_ > options_.max_opens) return fail("yamux: streams opened too fast");
  if (inbound_ >= options_.max_inbound_streams) {
    control({kWindowUpdateFrame, kRst, f.stream, 0});
    return absl::OkStatus();
  }
  ++inbound_;
  Stream s;
  s.inbound = s.acknowledged = true;
  s.send_window = kInitialWindow;
  s.receive_window = kOurWindow;
  streams_.emplace(f.stream, std::move(s));
  control({kWindowUpdateFrame, kAck, f.stream, kOurWindow - kInitialWindow});
  handler_.on_open(f.stream);
  return absl::OkStatus();
}

absl::Status Yamux::on_stream_frame(const Frame& f, absl::Time now) {
  if (f.stream == 0) return fail("yamux: data on the session's own id");
  if ((f.flags & kSyn) != 0) TOWLINE_RETURN_IF_ERROR(on_syn(f, now));
  const auto it = streams_.find(f.stream);
  if (it == streams_.end()) {
    // A stream that we have closed: data still on the way to it is drained.
    if (f.type == kDataFrame) {
      if (f.length > kOurWindow) return fail("yamux: a frame over the window");
      body_stream_ = f.stream;
      body_left_ = f.length;
      body_flags_ = 0;
    }
    return absl::OkStatus();
  }
  Stream& s = it->second;
  if ((f.flags & kAck) != 0 && !s.acknowledged) {
    s.acknowledged = true;
    --unacknowledged_;
  }
  if ((f.flags & kRst) != 0) {
    erase(f.stream);
    handler_.on_reset(f.stream);
    if (f.type == kDataFrame && f.length > 0) return fail("yamux: a reset with data");
    return absl::OkStatus();
  }
  if (f.type == kWindowUpdateFrame) {
    if (f.length > std::numeric_limits<std::uint32_t>::max() - s.send_window)
      return fail("yamux: a window larger than 32 bits");
    s.send_window += f.length;
  } else {
    if (f.length > s.receive_window) return fail("yamux: data over the window");
    if (s.remote_done && f.length > 0) return fail("yamux: data behind the end");
    s.receive_window -= f.length;
    body_stream_ = f.stream;
    body_left_ = f.length;
    body_flags_ = f.flags;
    if (f.length > 0) return absl::OkStatus();
  }
  if ((f.flags & kFin) != 0 && !s.remote_done) {
    s.remote_done = true;
    handler_.on_end(f.stream);
    erase_if_done(f.stream);
  }
  return absl::OkStatus();
}

void Yamux::on_body(BytesView part) {
  body_left_ -= static_cast<std::uint32_t>(part.size());
  const StreamId id = body_stream_;
  auto it = streams_.find(id);
  if (it == streams_.end()) return;
  it->second.consumed += static_cast<std::uint32_t>(part.size());
  if (it->second.consumed >= kOurWindow / 2 && !it->second.remote_done) {
    control({kWindowUpdateFrame, 0, id, it->second.consumed});
    it->second.receive_window += it->second.consumed;
    it->second.consumed = 0;
  }
  handler_.on_data(id, part);
  if (body_left_ > 0 || (body_flags_ & kFin) == 0) return;
  it = streams_.find(id);
  if (it == streams_.end() || it->second.remote_done) return;
  it->second.remote_done = true;
  handler_.on_end(id);
  erase_if_done(id);
}

absl::Status Yamux::on_timer(absl::Time now) {
  if (failed_) return absl::FailedPreconditionError("yamux: the session is over");
  if (now < next_ping_) return absl::OkStatus();
  if (ping_sent_ && !heard_) return absl::DeadlineExceededError("yamux: the peer does not answer pings");
  if (ping_sent_) {
    // No pong, but other frames: the peer lives and is busy.
    ping_sent_.reset();
    next_ping_ = now + options_.ping_interval;
    return absl::OkStatus();
  }
  control({kPingFrame, kSyn, 0, ++ping_value_});
  ping_sent_ = now;
  heard_ = false;
  next_ping_ = now + options_.ping_timeout;
  return absl::OkStatus();
}

absl::Time Yamux::next_timer() const { return next_ping_; }

absl::StatusOr<StreamId> Yamux::open() {
  if (failed_) return absl::FailedPreconditionError("yamux: the session is over");
  if (unacknowledged_ >= kMaxUnacknowledged)
    return absl::ResourceExhaustedError("yamux: the peer acknowledges no stream");
  const StreamId id = next_id_;
  next_id_ += 2;
  Stream s;
  s.send_window = kInitialWindow;
  s.receive_window = kOurWindow;
  ++unacknowledged_;
  streams_.emplace(id, std::move(s));
  control({kWindowUpdateFrame, kSyn, id, kOurWindow - kInitialWindow});
  return id;
}

void Yamux::write(StreamId id, SharedBytes data) {
  const auto it = streams_.find(id);
  if (it == streams_.end() || it->second.local_done || data->empty()) return;
  it->second.queued += data->size();
  it->second.queue.push_back({std::move(data)});
}

void Yamux::finish(StreamId id) {
  const auto it = streams_.find(id);
  if (it != streams_.end()) it->second.local_done = true;
}

void Yamux::reset(StreamId id) {
  if (!streams_.contains(id)) return;
  control({kWindowUpdateFrame, kRst, id, 0});
  erase(id);
}

std::size_t Yamux::queued(StreamId id) const {
  const auto it = streams_.find(id);
  return it == streams_.end() ? 0 : it->second.queued;
}

bool Yamux::sendable(const Stream& s) const {
  if (s.queue.empty()) return s.local_done && !s.fin_sent;
  return s.send_window > 0;
}

bool Yamux::wants_output() const {
  return !control_.empty() ||
         (!failed_ && std::any_of(streams_.begin(), streams_.end(), [&](const auto& s) { return sendable(s.second); }));
}

void Yamux::output(Bytes& out, std::size_t max) {
  const auto take_control = [&] {
    out.insert(out.end(), control_.begin(), control_.end());
    control_.clear();
  };
  take_control();
  if (failed_) return;
  // One frame of each stream in turn, beginning after the stream that was served last.
  auto it = streams_.upper_bound(turn_);
  std::size_t idle = 0;
  while (out.size() < max && idle < streams_.size()) {
    if (it == streams_.end()) it = streams_.begin();
    Stream& s = it->second;
    if (!sendable(s)) {
      ++idle;
      ++it;
      continue;
    }
    idle = 0;
    turn_ = it->first;
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>({kMaxFrame, s.queued, s.send_window}));
    const bool last = s.local_done && size == s.queued;
    const Bytes header = size == 0 ? encode({kWindowUpdateFrame, kFin, it->first, 0})
                                   : encode({kDataFrame, static_cast<std::uint16_t>(last ? kFin : 0), it->first, size});
    out.insert(out.end(), header.begin(), header.end());
    for (std::uint32_t left = size; left > 0;) {
      Chunk& c = s.queue.front();
      const BytesView part =
          BytesView{*c.bytes}.subspan(c.at).first(std::min<std::size_t>(left, c.bytes->size() - c.at));
      out.insert(out.end(), part.begin(), part.end());
      c.at += part.size();
      left -= static_cast<std::uint32_t>(part.size());
      if (c.at == c.bytes->size()) s.queue.pop_front();
    }
    s.queued -= size;
    s.send_window -= size;
    const StreamId id = it->first;
    ++it;
    if (last) {
      s.fin_sent = true;
      const StreamId next = it == streams_.end() ? 0 : it->first;
      erase_if_done(id);
      it = streams_.lower_bound(next);
    }
  }
}

void Yamux::erase_if_done(StreamId id) {
  const auto it = streams_.find(id);
  if (it != streams_.end() && it->second.fin_sent && it->second.remote_done) erase(id);
}

void Yamux::erase(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  if (it->second.inbound) --inbound_;
  if (!it->second.acknowledged) --unacknowledged_;
  streams_.erase(it);
}

}  // namespace towline::p2p
