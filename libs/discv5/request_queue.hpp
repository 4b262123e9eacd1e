// Our requests that wait for an answer. Only the first request to a node is on the way, the others wait for it, so that
// one handshake serves all. At most 128 nodes at a time, and 4 requests to each. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>
#include <vector>

#include "libs/discv5/contact.hpp"

namespace towline::discv5 {

struct Request {
  enum class Purpose { check, record, lookup };
  Contact to;
  Message message;
  Purpose purpose;
  RequestId id;
  /// The nonce of the packet that was sent last, which a WHOAREYOU repeats.
  Nonce nonce{};
  bool challenged = false;
  absl::Time deadline = absl::InfiniteFuture();
  /// The records of the NODES messages so far, and the number of these messages.
  std::vector<Enr> found{};
  std::size_t answers = 0;
};

class RequestQueue {
 public:
  static constexpr std::size_t kMaxNodes = 128, kMaxPerNode = 4;

  bool has_room(const NodeId& node) const;
  /// There must be room. The request, if it is to be sent now; null: it waits for others.
  Request* push(Request r);
  /// The request that a WHOAREYOU with this nonce answers; null: none.
  Request* challenged_by(const Nonce& nonce, const SocketAddress& from);
  /// The request that an answer with this id belongs to; null: none.
  Request* answered_by(const SessionId& from, const RequestId& id);
  /// Takes out the first request to a node, which must have one.
  Request pop(const NodeId& node);
  /// The next request to a node; null: none.
  Request* front(const NodeId& node);
  /// Takes out all requests to a node.
  std::deque<Request> drop(const NodeId& node);
  std::vector<NodeId> late(absl::Time now) const;

 private:
  absl::flat_hash_map<NodeId, std::deque<Request>> by_node_;  // no empty ones
};

}  // namespace towline::discv5
