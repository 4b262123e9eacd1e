#include "libs/p2p/gossip_streams.hpp"

namespace towline::p2p {

void GossipStreams::lose_in() {
  in_.reset();
  buffered_in_all_ -= reader_.buffered();
  reader_ = DelimitedReader{kMaxRpc};
}

absl::Status GossipStreams::on_data(BytesView data, absl::Time now, const OnRpc& on_rpc) {
  buffered_in_all_ -= reader_.buffered();
  if (reader_.buffered() == 0) rpc_since_ = now;
  reader_.append(data);
  absl::Status st;
  while (st.ok()) {
    const auto rpc = reader_.next();
    if (!rpc.ok()) st = rpc.status();
    if (!rpc.ok() || !*rpc) break;
    rpc_since_ = now;
    st = on_rpc(**rpc);
  }
  buffered_in_all_ += reader_.buffered();
  return st;
}

absl::Status GossipStreams::check_in(absl::Time now) const {
  if (reader_.buffered() > 0 && now - rpc_since_ > kRpcTime)
    return absl::DeadlineExceededError("a message of the peer does not come to its end");
  return absl::OkStatus();
}

void GossipStreams::on_out_gone(absl::Time now) {
  // An open stream was lost: the peer restarted its gossip. A stream that never opened was refused: the peer has no
  // gossip, or not yet.
  const bool was_open = out_.has_value();
  out_.reset();
  reopen_at_ = was_open && reopens_.take(1, now) ? now : now + kReopenLater;
}

void GossipStreams::reopen_soon(absl::Time now) {
  if (reopen_at_ != absl::InfiniteFuture()) reopen_at_ = now;
}

bool GossipStreams::reopen_due(absl::Time now) {
  if (now < reopen_at_) return false;
  reopen_at_ = absl::InfiniteFuture();
  return true;
}

absl::Status GossipStreams::check_out(std::size_t queued, absl::Time now) {
  if (queued == 0 || queued < last_queued_) progress_at_ = now;
  last_queued_ = queued;
  if (queued > kMaxQueuedWithControl || now - progress_at_ > kStalled)
    return absl::DeadlineExceededError("the peer does not read what it is sent");
  return absl::OkStatus();
}

}  // namespace towline::p2p
