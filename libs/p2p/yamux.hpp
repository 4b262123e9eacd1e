// yamux /yamux/1.0.0: many streams over one connection, with flow control both ways. Bytes and the time in; bytes and
// calls to the handler out. Received data is handed on at once and never kept here. Data to send waits for the peer's
// window, and the owner of this object bounds it. Pure.
#pragma once
#include <absl/container/btree_map.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "libs/base/bytes.hpp"

namespace towline::p2p {

using StreamId = std::uint32_t;
/// Bytes that several streams send, without a copy for each.
using SharedBytes = std::shared_ptr<const Bytes>;

class Yamux {
 public:
  struct Handler {
    virtual ~Handler() = default;
    /// The peer opened a stream.
    virtual void on_open(StreamId id) = 0;
    virtual void on_data(StreamId id, BytesView data) = 0;
    /// The peer will send no more on the stream.
    virtual void on_end(StreamId id) = 0;
    /// The stream is gone in both directions.
    virtual void on_reset(StreamId id) = 0;
  };
  struct Options {
    std::size_t max_inbound_streams = 64;
    /// The most streams that a peer may open in 10 s: more is a flood of opens and resets.
    std::size_t max_opens = 1000;
    absl::Duration ping_interval = absl::Seconds(30);
    absl::Duration ping_timeout = absl::Seconds(10);
  };
  Yamux(bool client, Handler& handler, Options options, absl::Time now);

  /// An error ends the session; output() then still has the GoAway that says so.
  absl::Status on_bytes(BytesView in, absl::Time now);
  /// DEADLINE_EXCEEDED: the peer is silent.
  absl::Status on_timer(absl::Time now);
  absl::Time next_timer() const;

  /// RESOURCE_EXHAUSTED: too many streams that the peer has not acknowledged.
  absl::StatusOr<StreamId> open();
  /// Bytes for a stream that is gone or finished are dropped.
  void write(StreamId id, SharedBytes data);
  /// Half-closes once everything was sent.
  void finish(StreamId id);
  void reset(StreamId id);
  /// Bytes that wait for the peer's window or for the connection.
  std::size_t queued(StreamId id) const;

  bool wants_output() const;
  /// Appends frames, about `max` bytes: control frames first, then the streams in turn.
  void output(Bytes& out, std::size_t max);

  /// Round trip of the last ping.
  absl::Duration latency() const { return latency_; }
  std::size_t streams() const { return streams_.size(); }

 private:
  struct Chunk {
    SharedBytes bytes;
    std::size_t at = 0;
  };
  struct Stream {
    bool inbound = false;
    bool acknowledged = false;
    bool local_done = false, fin_sent = false, remote_done = false;
    std::uint32_t send_window = 0, receive_window = 0, consumed = 0;
    std::deque<Chunk> queue;
    std::size_t queued = 0;
  };
  struct Frame {
    std::uint8_t type = 0;
    std::uint16_t flags = 0;
    StreamId stream = 0;
    std::uint32_t length = 0;
  };
  static Bytes encode(const Frame& f);

  absl::Status on_frame(const Frame& f, absl::Time now);
  absl::Status on_stream_frame(const Frame& f, absl::Time now);
  absl::Status on_syn(const Frame& f, absl::Time now);
  void on_body(BytesView part);
  absl::Status fail(const char* why);
  void control(const Frame& f);
  void erase_if_done(StreamId id);
  void erase(StreamId id);
  bool sendable(const Stream& s) const;

  const bool client_;
  Handler& handler_;
  const Options options_;
  absl::btree_map<StreamId, Stream> streams_;
  StreamId next_id_;
  std::size_t inbound_ = 0, unacknowledged_ = 0;
  StreamId turn_ = 0;
  Bytes header_;
  /// The data frame whose body is arriving.
  StreamId body_stream_ = 0;
  std::uint32_t body_left_ = 0;
  std::uint16_t body_flags_ = 0;
  Bytes control_;
  absl::Time opens_since_;
  std::size_t opens_ = 0;
  std::uint32_t ping_value_ = 0;
  std::optional<absl::Time> ping_sent_;
  /// Whether any frame came since the last ping.
  bool heard_ = false;
  /// When the next ping is due, or the answer to the one under way.
  absl::Time next_ping_;
  absl::Duration latency_ = absl::ZeroDuration();
  bool failed_ = false;
};

}  // namespace towline::p2p
