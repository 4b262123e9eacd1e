// The RPC message of gossipsub (libp2p specs, pubsub/gossipsub): views into the bytes that arrived, and a writer. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <vector>

#include "libs/p2p/wire.hpp"

namespace towline::p2p {

using MessageId = FixedBytes<20>;

struct GossipRpc {
  struct Subscription {
    bool subscribe = false;
    absl::string_view topic;
  };
  struct Message {
    absl::string_view topic;
    BytesView data;
    /// The message has a field that StrictNoSign forbids, even if empty: from, seqno, signature or key.
    bool is_signed = false;
  };
  struct Have {
    absl::string_view topic;
    std::vector<BytesView> ids;
  };
  struct Prune {
    absl::string_view topic;
    std::optional<std::uint64_t> backoff_s;
  };
  std::vector<Subscription> subscriptions;
  std::vector<Message> messages;
  std::vector<Have> have;
  std::vector<BytesView> want, dont_want;
  std::vector<absl::string_view> graft;
  std::vector<Prune> prune;

  /// Bounds above the numbers that an honest peer sends. An RPC above a bound is an error and not cut off silently.
  static constexpr std::size_t kMaxMessages = 5000;
  static constexpr std::size_t kMaxIds = 20000;
  static constexpr std::size_t kMaxTopics = 256;

  /// The views point into `in`. INVALID_ARGUMENT: not an RPC. RESOURCE_EXHAUSTED: above a bound.
  static absl::StatusOr<GossipRpc> parse(BytesView in);
};

/// Appends the parts of an RPC. Views must live until the call returns.
struct GossipRpcWriter {
  static void subscription(absl::string_view topic, bool subscribe, Bytes& out);
  static void message(absl::string_view topic, BytesView data, Bytes& out);
  /// The control part, made of any of these; empty lists are left out.
  struct Control {
    struct Have {
      absl::string_view topic;
      std::vector<BytesView> ids;
    };
    std::vector<Have> have;
    std::vector<BytesView> want, dont_want;
    std::vector<std::string> graft;
    struct Prune {
      std::string topic;
      /// nullopt for a peer of version 1.0, which has no back-off.
      std::optional<std::uint64_t> backoff_s;
    };
    std::vector<Prune> prune;
    bool empty() const { return have.empty() && want.empty() && dont_want.empty() && graft.empty() && prune.empty(); }
  };
  static void control(const Control& c, Bytes& out);
};

}  // namespace towline::p2p
