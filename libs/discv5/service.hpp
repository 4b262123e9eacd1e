// The discv5 v5.1 protocol (devp2p, discv5-wire and discv5-theory) without its socket: sessions, requests, the table,
// lookups. Packets, the time and random bytes in; packets and the records of peers out. Every table is bounded, and
// what an unproven sender can make us do is limited per second. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "libs/discv5/packet.hpp"
#include "libs/discv5/rate_limit.hpp"
#include "libs/discv5/table.hpp"

namespace towline::discv5 {

using p2p::SocketAddress;

/// A node that can be asked, whether its record is known or not.
struct Contact {
  NodeId id;
  secp256k1::PublicKey key;
  SocketAddress address;
};

class Service {
 public:
  struct Options {
    /// What our record says at first. The ports stand there also where the address is not known yet.
    Enr::Fields fields;
    /// Of our record; must be higher than at the last start.
    std::uint64_t first_seq = 1;
    /// The address in `fields` is the operator's word: what others see does not change it.
    bool address_is_fixed = false;
    /// What the socket can reach.
    bool ip4 = true, ip6 = false;
    absl::Duration request_timeout = absl::Milliseconds(700), handshake_timeout = absl::Seconds(1);
  };
  struct Handler {
    virtual ~Handler() = default;
    virtual void send(const SocketAddress& to, const Bytes& packet) = 0;
    /// A verified record of a node of our chain that can be dialled; each time it is met.
    virtual void discovered(const Enr& record) = 0;
    virtual void local_changed(const Enr& record) = 0;
  };
  /// Fills the bytes; nobody may be able to foretell them.
  using Random = std::function<void(std::span<std::uint8_t>)>;
  struct Stats {
    std::uint64_t packets_in = 0, packets_out = 0;
    /// Packets that were dropped: no packet of the protocol; answers to nothing that we asked; more than the limits
    /// allow; a handshake with a wrong proof.
    std::uint64_t malformed = 0, unexpected = 0, limited = 0, bad_handshake = 0;
    std::uint64_t handshakes = 0, requests = 0, timeouts = 0, lookups = 0;
  };

  static constexpr std::size_t kMaxSessions = 1000;
  /// on_timer() wants to be called this often.
  static constexpr absl::Duration kTick = absl::Milliseconds(100);

  Service(const secp256k1::SecretKey& key, Options options, Handler& handler, Random random);

  /// Asked for their records while nobody else is known. False: its record has no address that we can use.
  bool add_boot_node(const Enr& record);
  void add_boot_node(const Contact& node) { boot_nodes_.push_back(node); }

  void on_packet(const SocketAddress& from, BytesView packet, absl::Time now);
  void on_timer(absl::Time now);
  /// More peers are wanted: lookups come every 5 s, else every 20 s.
  void want_more(bool more) { want_more_ = more; }

  const Enr& local() const { return local_; }
  const Table& table() const { return table_; }
  const Stats& stats() const { return stats_; }
  std::size_t sessions() const { return sessions_.size(); }
  /// Live nodes of our chain.
  std::size_t peers_known() const;

 private:
  struct SessionId {
    NodeId node;
    SocketAddress address;
    bool operator==(const SessionId&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const SessionId& s) {  // NOLINT(readability-identifier-naming): Abseil looks for it
      return H::combine(std::move(h), s.node, s.address);
    }
  };
  struct Session {
    SessionId id;
    SessionKey read, write;
    /// Of the session before: when both shake hands at once, each ends with the other's keys.
    std::optional<SessionKey> old_read{};
    std::uint32_t sent = 0;
  };
  /// A WHOAREYOU that waits for its handshake.
  struct PendingChallenge {
    Bytes packet, data;
    std::optional<Enr> known;
    absl::Time deadline;
  };
  enum class Purpose { check, record, lookup };
  struct Call {
    Contact to;
    Message message;
    Purpose purpose;
    RequestId id;
    Nonce nonce{};
    bool challenged = false;
    absl::Time deadline = absl::InfiniteFuture();
    std::vector<Enr> found{};
    std::size_t answers = 0;
  };
  struct Lookup {
    struct Candidate {
      Contact contact;
      bool asked = false;
    };
    NodeId target;
    std::vector<Candidate> candidates{};  // the nearest first
    std::size_t in_flight = 0, asked = 0;
  };

  template <std::size_t N>
  FixedBytes<N> random() {
    FixedBytes<N> out;
    random_(out.bytes);
    return out;
  }
  void send(const SocketAddress& to, const Bytes& packet);

  void on_ordinary(const SocketAddress& from, const Packet& p, const NodeId& source, absl::Time now);
  void on_whoareyou(const SocketAddress& from, const Packet& p, const WhoAreYou& w, absl::Time now);
  void on_handshake(const SocketAddress& from, const Packet& p, const Handshake& h, absl::Time now);
  void challenge(const SessionId& who, const Nonce& nonce, absl::Time now);
  Session* session(const SessionId& id);
  Session& put_session(const SessionId& id, const SessionKey& read, const SessionKey& write);
  Nonce next_nonce(Session& s);

  void on_message(const SessionId& from, const Message& m, absl::Time now);
  void reply(const SessionId& to, const Message& m);
  void serve(const SessionId& to, const FindNode& m);
  /// The request of `from` that is answered by an answer with this id.
  Call* asked(const SessionId& from, const RequestId& id);
  void on_pong(const SessionId& from, const Pong& m, absl::Time now);
  void on_nodes(const SessionId& from, const Nodes& m, absl::Time now);

  bool call(const Contact& to, Message m, Purpose purpose, absl::Time now);
  void transmit(Call& c, absl::Time now);
  /// Its record is newer than the one we have, or we have none.
  void ask_record(const Contact& to, std::uint64_t seq, absl::Time now);
  void succeed(NodeId node, absl::Time now);
  void fail(NodeId node, absl::Time now);

  void start_lookup(absl::Time now);
  void advance_lookup(absl::Time now);
  void add_candidate(const Contact& c);
  /// The distances that a candidate is asked for, for each request.
  std::vector<std::vector<std::uint64_t>> questions(const NodeId& node) const;
  void end_of_question(const NodeId& node, bool answered, absl::Time now);

  /// Where it listens for us; nullopt: it says nothing that we can use.
  std::optional<SocketAddress> address_of(const Enr& record) const;
  /// Takes a verified record that `sender` told of; where it can be asked.
  std::optional<Contact> learn(const Enr& record, const p2p::Ip& sender);
  void vote(const p2p::Ip& voter, const SocketAddress& seen, absl::Time now);
  absl::Time next_check(absl::Time now);

  const secp256k1::SecretKey key_;
  const Options options_;
  Handler& handler_;
  const Random random_;
  Enr::Fields fields_;
  Enr local_;
  Table table_;
  RateLimit challenge_limit_, handshake_limit_, request_limit_;
  std::vector<Contact> boot_nodes_;
  std::list<Session> sessions_;  // the one used last in front
  absl::flat_hash_map<SessionId, std::list<Session>::iterator> session_index_;
  absl::flat_hash_map<SessionId, PendingChallenge> challenges_;
  /// Those of one node wait for each other, so that one handshake serves all.
  absl::flat_hash_map<NodeId, std::deque<Call>> calls_;
  std::optional<Lookup> lookup_;
  struct Vote {
    SocketAddress seen;
    absl::Time at;
  };
  absl::flat_hash_map<p2p::Ip, Vote> votes_;
  bool want_more_ = true;
  absl::Time next_lookup_ = absl::InfinitePast(), next_check_ = absl::InfinitePast();
  Stats stats_;
};

}  // namespace towline::discv5
