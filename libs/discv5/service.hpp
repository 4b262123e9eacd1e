// The discv5 v5.1 protocol (devp2p, discv5-wire and discv5-theory) without its socket: what each packet leads to, when
// nodes are checked, and when a lookup begins. Its parts decide the rest: session_table, handshake, request_queue,
// table, lookup, find_node, address_vote. Packets, the time and random bytes in; packets and the records of peers out.
// Every table is bounded, and what an unproven sender can make us do is limited per second. Pure.
#pragma once
#include <absl/time/time.h>

#include <optional>
#include <vector>

#include "libs/discv5/address_vote.hpp"
#include "libs/discv5/contact.hpp"
#include "libs/discv5/handshake.hpp"
#include "libs/discv5/lookup.hpp"
#include "libs/discv5/random.hpp"
#include "libs/discv5/rate_limit.hpp"
#include "libs/discv5/request_queue.hpp"
#include "libs/discv5/session_table.hpp"
#include "libs/discv5/table.hpp"

namespace towline::discv5 {

class Service {
 public:
  struct Options {
    /// The contents of our first record. It has the ports even where the address is not known yet.
    Enr::Fields fields;
    /// The sequence number of our first record; must be higher than at the last start.
    std::uint64_t first_seq = 1;
    /// The operator gave the address in `fields`: votes of others do not change it.
    bool address_is_fixed = false;
    /// The address families that the socket can reach.
    bool ip4 = true, ip6 = false;
    absl::Duration request_timeout = absl::Milliseconds(700), handshake_timeout = absl::Seconds(1);
  };
  struct Handler {
    virtual ~Handler() = default;
    virtual void send(const SocketAddress& to, const Bytes& packet) = 0;
    /// A verified record of a node of our chain that can be dialled; called each time that the node is met.
    virtual void discovered(const Enr& record) = 0;
    /// Our own record changed.
    virtual void local_changed(const Enr& record) = 0;
  };
  using Random = discv5::Random;
  struct Stats {
    std::uint64_t packets_in = 0, packets_out = 0;
    /// Dropped packets: not of the protocol; answers to no question of ours; more than the limits allow; handshakes
    /// with a wrong proof.
    std::uint64_t malformed = 0, unexpected = 0, limited = 0, bad_handshake = 0;
    std::uint64_t handshakes = 0, requests = 0, timeouts = 0, lookups = 0;
  };

  static constexpr std::size_t kMaxSessions = SessionTable::kMaxSessions;
  /// How often to call on_timer().
  static constexpr absl::Duration kTick = absl::Milliseconds(100);

  Service(const secp256k1::SecretKey& key, Options options, Handler& handler, Random random);

  /// Boot nodes are asked while no other node is known. False: the record has no address that we can use.
  bool add_boot_node(const Enr& record);
  void add_boot_node(const Contact& node) { boot_nodes_.push_back(node); }

  void on_packet(const SocketAddress& from, BytesView packet, absl::Time now);
  void on_timer(absl::Time now);
  /// Whether more peers are wanted: then lookups come every 5 s, else every 20 s.
  void want_more(bool more) { want_more_ = more; }

  const Enr& local() const { return local_; }
  const Table& table() const { return table_; }
  const Stats& stats() const { return stats_; }
  std::size_t sessions() const { return sessions_.size(); }
  /// The number of live nodes of our chain.
  std::size_t peers_known() const;

 private:
  void send(const SocketAddress& to, const Bytes& packet);

  void on_ordinary(const SocketAddress& from, const Packet& p, const NodeId& source, absl::Time now);
  void on_whoareyou(const SocketAddress& from, const Packet& p, const WhoAreYou& w, absl::Time now);
  void on_handshake(const SocketAddress& from, const Packet& p, const Handshake& h, absl::Time now);

  void on_message(const SessionId& from, const Message& m, absl::Time now);
  void reply(const SessionId& to, const Message& m);
  /// Our request that a message answers. Null: none; the message counts as unexpected.
  Request* answered_by(const SessionId& from, const RequestId& id);
  void on_pong(const SessionId& from, const Pong& m, absl::Time now);
  void on_nodes(const SessionId& from, const Nodes& m, absl::Time now);

  bool request(const Contact& to, Message m, Request::Purpose purpose, absl::Time now);
  void transmit(Request& r, absl::Time now);
  /// Asks a node for its record if `seq` is newer than the record that we have.
  void ask_record(const Contact& to, std::uint64_t seq, absl::Time now);
  void succeed(const NodeId& node, absl::Time now);
  void fail(const NodeId& node, absl::Time now);

  void start_lookup(absl::Time now);
  void advance_lookup(absl::Time now);
  void add_candidate(const Contact& c);
  void end_of_question(const NodeId& node, bool answered, absl::Time now);

  /// Where a node listens for us; nullopt: its record names no address that we can reach.
  std::optional<SocketAddress> address_of(const Enr& record) const;
  /// Takes a verified record that `sender` told us. Returns the contact for asking that node.
  std::optional<Contact> learn(const Enr& record, const p2p::Ip& sender);
  void on_address_seen(const p2p::Ip& voter, const SocketAddress& seen, absl::Time now);
  absl::Time next_check(absl::Time now);

  const secp256k1::SecretKey key_;
  const Options options_;
  Handler& handler_;
  const Random random_;
  Enr::Fields fields_;
  Enr local_;
  Table table_;
  Handshakes handshakes_;
  RateLimit request_limit_;
  std::vector<Contact> boot_nodes_;
  SessionTable sessions_;
  RequestQueue requests_;
  std::optional<Lookup> lookup_;
  AddressVote address_vote_;
  bool want_more_ = true;
  absl::Time next_lookup_ = absl::InfinitePast(), next_check_ = absl::InfinitePast();
  Stats stats_;
};

}  // namespace towline::discv5
