// The two gossip streams of a connection: the peer sends its RPCs on the stream that it opened, and we send ours on the
// stream that we opened. This class decides when ours is opened again, which RPCs a slow reader does not get, and when
// the peer is too slow to keep. Pure.
#pragma once
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <optional>

#include "libs/p2p/token_bucket.hpp"
#include "libs/p2p/wire.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

class GossipStreams {
 public:
  static constexpr std::size_t kMaxRpc = 10U << 20U;
  /// The time from the first byte of an RPC to its last.
  static constexpr absl::Duration kRpcTime = absl::Seconds(30);
  /// Bytes that may wait for a slow reader: above the first bound droppable RPCs are dropped, above the second the peer
  /// is disconnected. A peer whose queue does not shrink for kStalled is disconnected, too.
  static constexpr std::size_t kMaxQueued = 4U << 20U, kMaxQueuedWithControl = 16U << 20U;
  static constexpr absl::Duration kStalled = absl::Seconds(30);
  /// A lost stream is opened again at once if the token bucket allows it (tokens per second, burst), else later.
  static constexpr double kReopens = 1.0 / 60, kReopensBurst = 5;
  static constexpr absl::Duration kReopenLater = absl::Seconds(30);

  using OnRpc = std::function<absl::Status(BytesView rpc)>;

  /// `buffered_in_all` is the sum of buffered() over all connections; it is kept up to date.
  explicit GossipStreams(std::size_t& buffered_in_all) : buffered_in_all_{buffered_in_all} {}
  /// Called when the peer is authenticated.
  void start(absl::Time now) { progress_at_ = now; }

  // The peer's stream.
  const std::optional<StreamId>& in() const { return in_; }
  void on_in_open(StreamId id) { in_ = id; }
  /// Forgets the stream and what has arrived of an RPC.
  void lose_in();
  /// An error: close the connection.
  absl::Status on_data(BytesView data, absl::Time now, const OnRpc& on_rpc);
  absl::Status check_in(absl::Time now) const;
  /// Bytes of an RPC that has arrived in part.
  std::size_t buffered() const { return reader_.buffered(); }

  // Our stream. `queued`: its bytes that the peer has not read.
  const std::optional<StreamId>& out() const { return out_; }
  void on_out_open(StreamId id) { out_ = id; }
  void on_out_gone(absl::Time now);
  /// The peer says that it speaks gossip: a stream that waits to be opened again is due.
  void reopen_soon(absl::Time now);
  /// True once each time that the stream is to be opened again.
  bool reopen_due(absl::Time now);
  static bool drops(bool droppable, std::size_t queued) { return droppable && queued > kMaxQueued; }
  absl::Status check_out(std::size_t queued, absl::Time now);

 private:
  std::size_t& buffered_in_all_;
  std::optional<StreamId> in_, out_;
  DelimitedReader reader_{kMaxRpc};
  absl::Time rpc_since_;
  TokenBucket reopens_{kReopens, kReopensBurst};
  absl::Time reopen_at_ = absl::InfiniteFuture();
  std::size_t last_queued_ = 0;
  absl::Time progress_at_;
};

}  // namespace towline::p2p
