#include "libs/discv5/service.hpp"

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::discv5 {
namespace {

constexpr std::size_t kAlpha = 3, kLookupResult = Table::kBucketSize, kMaxCandidates = 64, kMaxAsked = 48;
/// Requests under way: to how many nodes, and how many to one.
constexpr std::size_t kMaxCalls = 128, kMaxCallsToOne = 4;
/// What one FINDNODE is answered with, and what we take for an answer.
constexpr std::size_t kMaxDistancesServed = 3, kMaxRecordsServed = 16, kMaxRecordBytes = 1000, kMaxAnswers = 5;
constexpr std::uint16_t kLeastPort = 1024;
constexpr absl::Duration kLookupInterval = absl::Seconds(5), kIdleLookupInterval = absl::Seconds(20);
constexpr absl::Duration kCheckInterval = absl::Milliseconds(500), kLiveFor = absl::Minutes(2);
constexpr absl::Duration kRecheckAfter = absl::Seconds(10);
constexpr std::size_t kVotesWanted = 10, kMaxVotes = 100;
constexpr absl::Duration kVoteCounts = absl::Minutes(30);
/// A second, from one address and in all. A challenge costs a hash, a handshake three operations on the curve.
constexpr std::uint32_t kChallenges[] = {20, 500}, kHandshakes[] = {20, 200}, kRequests[] = {200, 5000};

/// Whether a node at `to` may be told of an address, or we believe it from there: addresses of a local network mean
/// nothing outside, and would make us the tool of an attack on it.
bool relayable(const p2p::Ip& to, const p2p::Ip& ip) {
  const bool multicast = p2p::is_ip4(ip) ? ip.bytes[12] >= 224 : ip.bytes[0] == 0xff;
  if (multicast || p2p::is_unspecified(ip)) return false;
  if (p2p::is_loopback(ip)) return p2p::is_loopback(to);
  return !p2p::is_local(ip) || p2p::is_local(to);
}

}  // namespace

Service::Service(const secp256k1::SecretKey& key, Options options, Handler& handler, Random random)
    : key_{key},
      options_{std::move(options)},
      handler_{handler},
      random_{std::move(random)},
      fields_{options_.fields},
      local_{Enr::make(key_, options_.first_seq, fields_)},
      table_{local_.node_id()},
      challenge_limit_{kChallenges[0], kChallenges[1], absl::HashOf(this->random<8>())},
      handshake_limit_{kHandshakes[0], kHandshakes[1], absl::HashOf(this->random<8>())},
      request_limit_{kRequests[0], kRequests[1], absl::HashOf(this->random<8>())} {}

bool Service::add_boot_node(const Enr& record) {
  const auto address = address_of(record);
  if (address) add_boot_node(Contact{record.node_id(), record.public_key(), *address});
  return address.has_value();
}

void Service::send(const SocketAddress& to, const Bytes& packet) {
  ++stats_.packets_out;
  handler_.send(to, packet);
}

// -------------------------------------------------------------------- packets

void Service::on_packet(const SocketAddress& from, BytesView packet, absl::Time now) {
  ++stats_.packets_in;
  const auto p = decode_packet(local_.node_id(), packet);
  if (!p.ok()) {
    ++stats_.malformed;
    return;
  }
  if (const auto* o = std::get_if<Ordinary>(&p->auth)) return on_ordinary(from, *p, o->source, now);
  if (const auto* w = std::get_if<WhoAreYou>(&p->auth)) return on_whoareyou(from, *p, *w, now);
  on_handshake(from, *p, std::get<Handshake>(p->auth), now);
}

void Service::on_ordinary(const SocketAddress& from, const Packet& p, const NodeId& source, absl::Time now) {
  const SessionId id{source, from};
  if (Session* s = session(id)) {
    auto m = open(p, s->read);
    if (absl::IsDataLoss(m.status()) && s->old_read) m = open(p, *s->old_read);
    if (m.ok()) return on_message(id, *m, now);
    if (!absl::IsDataLoss(m.status())) {
      ++stats_.malformed;
      return;
    }
  }
  challenge(id, p.nonce, now);
}

void Service::challenge(const SessionId& who, const Nonce& nonce, absl::Time now) {
  // The handshake that answers the first challenge may be under way: a second one would make it void.
  if (const auto it = challenges_.find(who); it != challenges_.end() && now < it->second.deadline)
    return send(who.address, it->second.packet);
  if (!challenge_limit_.allow(who.address.ip, now)) {
    ++stats_.limited;
    return;
  }
  const Table::Node* known = table_.find(who.node);
  const WhoAreYou w{random<16>(), known == nullptr ? 0 : known->record.seq()};
  auto c = encode_whoareyou(who.node, random<16>(), nonce, w);
  auto& pending = challenges_[who];
  pending = {std::move(c.packet), std::move(c.data), {}, now + options_.handshake_timeout};
  if (known != nullptr) pending.known = known->record;
  send(who.address, pending.packet);
}

void Service::on_whoareyou(const SocketAddress& from, const Packet& p, const WhoAreYou& w, absl::Time now) {
  const auto it = std::find_if(calls_.begin(), calls_.end(), [&](const auto& entry) {
    const Call& c = entry.second.front();
    return c.nonce == p.nonce && c.to.address == from && !c.challenged;
  });
  if (it == calls_.end()) {
    ++stats_.unexpected;
    return;
  }
  Call& c = it->second.front();
  auto ephemeral = secp256k1::SecretKey::from(random<32>().view());
  while (!ephemeral.ok()) ephemeral = secp256k1::SecretKey::from(random<32>().view());
  const auto shared = ephemeral->ecdh(c.to.key);
  if (!shared.ok()) return fail(c.to.id, now);
  const SessionKeys keys = derive_keys(*shared, p.header, local_.node_id(), c.to.id);
  const Handshake h{local_.node_id(), key_.sign(id_signature_digest(p.header, ephemeral->public_key(), c.to.id)),
                    ephemeral->public_key(), w.enr_seq < local_.seq() ? local_.encoded() : Bytes{}};
  Session& s = put_session({c.to.id, from}, keys.recipient, keys.initiator);
  c.challenged = true;
  c.nonce = next_nonce(s);
  c.deadline = now + options_.handshake_timeout;
  send(from, encode_handshake(c.to.id, random<16>(), c.nonce, h, s.write, c.message));
}

void Service::on_handshake(const SocketAddress& from, const Packet& p, const Handshake& h, absl::Time now) {
  const SessionId id{h.source, from};
  const auto it = challenges_.find(id);
  if (it == challenges_.end() || now >= it->second.deadline) {
    ++stats_.unexpected;
    return;
  }
  if (!handshake_limit_.allow(from.ip, now)) {
    ++stats_.limited;
    return;
  }
  const PendingChallenge& c = it->second;
  // The challenge stays after a wrong answer: anybody can send one in the name of another.
  const auto bad = [&] { ++stats_.bad_handshake; };
  std::optional<Enr> record = c.known;
  if (!h.record.empty()) {
    auto told = Enr::decode(h.record);
    if (!told.ok() || told->node_id() != h.source) return bad();
    if (!record || told->seq() > record->seq()) record = *std::move(told);
  }
  if (!record || !secp256k1::verify(record->public_key(),
                                    id_signature_digest(c.data, h.ephemeral_key, local_.node_id()), h.id_signature))
    return bad();
  const auto ephemeral = secp256k1::parse_public_key(h.ephemeral_key.view());
  if (!ephemeral.ok()) return bad();
  const auto shared = key_.ecdh(*ephemeral);
  if (!shared.ok()) return bad();
  const SessionKeys keys = derive_keys(*shared, c.data, h.source, local_.node_id());
  const auto m = open(p, keys.initiator);
  if (!m.ok()) return bad();
  ++stats_.handshakes;
  challenges_.erase(it);
  put_session(id, keys.initiator, keys.recipient);
  learn(*record, from.ip);
  on_message(id, *m, now);
}

// -------------------------------------------------------------------- sessions

Service::Session* Service::session(const SessionId& id) {
  const auto it = session_index_.find(id);
  if (it == session_index_.end()) return nullptr;
  sessions_.splice(sessions_.begin(), sessions_, it->second);
  return &*it->second;
}

Service::Session& Service::put_session(const SessionId& id, const SessionKey& read, const SessionKey& write) {
  if (Session* s = session(id)) {
    *s = {id, read, write, s->read};
    return *s;
  }
  if (sessions_.size() >= kMaxSessions) {
    session_index_.erase(sessions_.back().id);
    sessions_.pop_back();
  }
  sessions_.push_front({id, read, write});
  session_index_[id] = sessions_.begin();
  return sessions_.front();
}

Nonce Service::next_nonce(Session& s) {
  // A counter, so that no key ever sees a nonce twice, and random bytes, so that nobody foretells one.
  Nonce n = random<12>();
  const std::uint32_t count = s.sent++;
  for (unsigned i = 0; i < 4; ++i) n.bytes[i] = static_cast<std::uint8_t>(count >> (24 - 8 * i));
  return n;
}

// -------------------------------------------------------------------- messages

void Service::on_message(const SessionId& from, const Message& m, absl::Time now) {
  if (const auto* pong = std::get_if<Pong>(&m)) return on_pong(from, *pong, now);
  if (const auto* nodes = std::get_if<Nodes>(&m)) return on_nodes(from, *nodes, now);
  if (std::holds_alternative<TalkResponse>(m)) {
    ++stats_.unexpected;  // we ask for none
    return;
  }
  if (!request_limit_.allow(from.address.ip, now)) {
    ++stats_.limited;
    return;
  }
  if (const auto* ping = std::get_if<Ping>(&m)) {
    reply(from, Pong{ping->id, local_.seq(), from.address.ip, from.address.port});
    if (const auto* n = table_.find(from.node))
      ask_record({from.node, n->record.public_key(), n->address}, ping->enr_seq, now);
  } else if (const auto* find = std::get_if<FindNode>(&m)) {
    serve(from, *find);
  } else {
    reply(from, TalkResponse{std::get<TalkRequest>(m).id, {}});  // no protocol of ours is spoken so
  }
}

void Service::reply(const SessionId& to, const Message& m) {
  Session* s = session(to);
  if (s == nullptr) return;
  const Nonce nonce = next_nonce(*s);
  send(to.address, encode_ordinary(to.node, local_.node_id(), random<16>(), nonce, s->write, m));
}

void Service::serve(const SessionId& to, const FindNode& m) {
  std::vector<const Enr*> records;
  std::vector<std::uint64_t> served;
  for (const std::uint64_t d : m.distances) {
    if (served.size() >= kMaxDistancesServed || std::find(served.begin(), served.end(), d) != served.end()) continue;
    served.push_back(d);
    if (d == 0) records.push_back(&local_);
    else
      for (const Table::Node* n : table_.live_at(d))
        if (n->record.node_id() != to.node && relayable(to.address.ip, n->address.ip)) records.push_back(&n->record);
  }
  if (records.size() > kMaxRecordsServed) records.resize(kMaxRecordsServed);
  std::vector<Nodes> answers{Nodes{m.id}};
  std::size_t bytes = 0;
  for (const Enr* r : records) {
    if (bytes + r->encoded().size() > kMaxRecordBytes) {
      answers.push_back(Nodes{m.id});
      bytes = 0;
    }
    bytes += r->encoded().size();
    answers.back().records.push_back(r->encoded());
  }
  for (Nodes& a : answers) {
    a.total = answers.size();
    reply(to, a);
  }
}

Service::Call* Service::asked(const SessionId& from, const RequestId& id) {
  const auto it = calls_.find(from.node);
  if (it != calls_.end()) {
    Call& c = it->second.front();
    if (c.id == id && c.to.address == from.address) return &c;
  }
  ++stats_.unexpected;
  return nullptr;
}

void Service::on_pong(const SessionId& from, const Pong& m, absl::Time now) {
  const Call* c = asked(from, m.id);
  if (c == nullptr || !std::holds_alternative<Ping>(c->message)) return;
  const Contact to = c->to;
  vote(from.address.ip, {m.ip, m.port}, now);
  succeed(from.node, now);
  table_.schedule(from.node, next_check(now));
  ask_record(to, m.enr_seq, now);
}

void Service::on_nodes(const SessionId& from, const Nodes& m, absl::Time now) {
  Call* c = asked(from, m.id);
  if (c == nullptr) return;
  const auto* question = std::get_if<FindNode>(&c->message);
  if (question == nullptr) return;
  for (const Bytes& encoded : m.records) {
    if (c->found.size() >= kMaxRecordsServed) break;
    auto record = Enr::decode(encoded);
    if (!record.ok()) continue;
    const std::uint64_t d = log_distance(from.node, record->node_id());
    const auto& wanted = question->distances;
    if (std::find(wanted.begin(), wanted.end(), d) != wanted.end()) c->found.push_back(*std::move(record));
  }
  if (++c->answers >= std::min<std::uint64_t>(m.total, kMaxAnswers)) succeed(from.node, now);
}

// -------------------------------------------------------------------- requests

bool Service::call(const Contact& to, Message m, Purpose purpose, absl::Time now) {
  if (calls_.size() >= kMaxCalls && !calls_.contains(to.id)) return false;
  auto& queue = calls_[to.id];
  if (queue.size() >= kMaxCallsToOne) return false;
  const auto id = random<8>();
  Call c{to, std::move(m), purpose, {id.bytes.begin(), id.bytes.end()}};
  std::visit([&](auto& x) { x.id = c.id; }, c.message);
  queue.push_back(std::move(c));
  ++stats_.requests;
  if (queue.size() == 1) transmit(queue.front(), now);
  return true;
}

void Service::transmit(Call& c, absl::Time now) {
  c.deadline = now + options_.request_timeout;
  if (Session* s = session({c.to.id, c.to.address})) {
    c.nonce = next_nonce(*s);
    return send(c.to.address, encode_ordinary(c.to.id, local_.node_id(), random<16>(), c.nonce, s->write, c.message));
  }
  c.nonce = random<12>();
  send(c.to.address, encode_noise(c.to.id, local_.node_id(), random<16>(), c.nonce, random<20>().view()));
}

void Service::ask_record(const Contact& to, std::uint64_t seq, absl::Time now) {
  const Table::Node* n = table_.find(to.id);
  if (n != nullptr && seq > n->record.seq()) call(to, FindNode{{}, {0}}, Purpose::record, now);
}

void Service::succeed(NodeId node, absl::Time now) {
  auto& queue = calls_.at(node);
  const Call c = std::move(queue.front());
  queue.pop_front();
  if (queue.empty()) calls_.erase(node);
  else transmit(queue.front(), now);
  for (const Enr& record : c.found) {
    const auto contact = learn(record, c.to.address.ip);
    if (contact && c.purpose == Purpose::lookup) add_candidate(*contact);
  }
  table_.on_answer(node, c.to.address);
  if (c.purpose == Purpose::lookup) end_of_question(node, true, now);
  else if (stats_.lookups == 0) next_lookup_ = now;  // somebody is there: no need to wait
}

void Service::fail(NodeId node, absl::Time now) {
  const auto it = calls_.find(node);
  const std::deque<Call> failed = std::move(it->second);
  calls_.erase(it);
  table_.on_failure(node, now + kRecheckAfter);
  for (const Call& c : failed) {
    ++stats_.timeouts;
    if (c.purpose == Purpose::lookup) end_of_question(node, false, now);
  }
}

void Service::on_timer(absl::Time now) {
  std::vector<NodeId> late;
  for (const auto& [node, queue] : calls_)
    if (now >= queue.front().deadline) late.push_back(node);
  for (const NodeId& node : late) fail(node, now);
  absl::erase_if(challenges_, [&](const auto& c) { return now >= c.second.deadline; });
  if (now >= next_check_) {
    next_check_ = now + kCheckInterval;
    if (const Table::Node* n = table_.due(now)) {
      const Contact to{n->record.node_id(), n->record.public_key(), n->address};
      table_.schedule(to.id, now + kRecheckAfter);
      call(to, Ping{{}, local_.seq()}, Purpose::check, now);
    }
  }
  if (lookup_) advance_lookup(now);
  else if (now >= next_lookup_) start_lookup(now);
}

absl::Time Service::next_check(absl::Time now) {
  // Spread, so that those that came together are not asked together.
  return now + kLiveFor + absl::Seconds(random<1>().bytes[0] % 60);
}

// -------------------------------------------------------------------- lookups

void Service::start_lookup(absl::Time now) {
  next_lookup_ = now + (want_more_ ? kLookupInterval : kIdleLookupInterval);
  if (table_.live() == 0)
    for (const Contact& b : boot_nodes_) call(b, FindNode{{}, {0}}, Purpose::record, now);
  // The first is for ourselves: it makes us known to our neighbours.
  lookup_ = Lookup{stats_.lookups == 0 ? local_.node_id() : random<32>()};
  for (const Table::Node* n : table_.closest(lookup_->target, kLookupResult))
    add_candidate({n->record.node_id(), n->record.public_key(), n->address});
  if (!lookup_->candidates.empty()) ++stats_.lookups;
  advance_lookup(now);
}

void Service::add_candidate(const Contact& c) {
  if (!lookup_ || c.id == local_.node_id()) return;
  auto& all = lookup_->candidates;
  const auto at = std::lower_bound(all.begin(), all.end(), c.id, [&](const Lookup::Candidate& x, const NodeId& id) {
    return nearer(lookup_->target, x.contact.id, id);
  });
  if (at != all.end() && at->contact.id == c.id) return;
  all.insert(at, {c});
  if (all.size() > kMaxCandidates) all.pop_back();
}

void Service::advance_lookup(absl::Time now) {
  auto& l = *lookup_;
  const std::size_t nearest = std::min(l.candidates.size(), kLookupResult);
  for (std::size_t i = 0; i < nearest && l.in_flight < kAlpha && l.asked < kMaxAsked; ++i) {
    auto& candidate = l.candidates[i];
    if (candidate.asked) continue;
    candidate.asked = true;
    for (auto& distances : questions(candidate.contact.id)) {
      if (!call(candidate.contact, FindNode{{}, std::move(distances)}, Purpose::lookup, now)) break;
      ++l.in_flight;
      ++l.asked;
    }
  }
  if (l.in_flight == 0) lookup_.reset();
}

std::vector<std::vector<std::uint64_t>> Service::questions(const NodeId& node) const {
  // Nobody answers for more than three distances at a time. In a network so small that a walk meets hardly anybody,
  // whoever is there is asked for nearly all that it can know.
  if (table_.size() < kLookupResult) return {{256, 255, 254}, {253, 252, 251}, {250, 249, 248}};
  // The target's bucket there, and the ones beside it.
  const std::uint64_t d = std::clamp<std::uint64_t>(log_distance(node, lookup_->target), 2, 255);
  return {{d, d + 1, d - 1}};
}

void Service::end_of_question(const NodeId& node, bool answered, absl::Time now) {
  if (!lookup_) return;
  --lookup_->in_flight;
  if (!answered) std::erase_if(lookup_->candidates, [&](const auto& c) { return c.contact.id == node; });
  advance_lookup(now);
}

// -------------------------------------------------------------------- records

std::optional<SocketAddress> Service::address_of(const Enr& record) const {
  const auto& f = record.fields();
  if (options_.ip4 && f.ip4 && f.udp4) return SocketAddress{*f.ip4, *f.udp4};
  const auto udp6 = f.udp6 ? f.udp6 : f.udp4;
  if (options_.ip6 && f.ip6 && udp6) return SocketAddress{*f.ip6, *udp6};
  return std::nullopt;
}

std::optional<Contact> Service::learn(const Enr& record, const p2p::Ip& sender) {
  if (record.node_id() == local_.node_id()) return std::nullopt;
  const auto address = address_of(record);
  if (!address || address->port < kLeastPort || !relayable(sender, address->ip)) return std::nullopt;
  table_.add(record, *address);
  const auto& theirs = record.fields().opstack;
  const auto& ours = fields_.opstack;
  const auto dial = record.multiaddr();
  if (theirs && ours && *theirs == *ours && dial && relayable(sender, dial->ip)) handler_.discovered(record);
  return Contact{record.node_id(), record.public_key(), *address};
}

std::size_t Service::peers_known() const {
  const auto nodes = table_.all();
  return static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [&](const Table::Node* n) {
    return n->live && n->record.fields().opstack == fields_.opstack;
  }));
}

void Service::vote(const p2p::Ip& voter, const SocketAddress& seen, absl::Time now) {
  // One address, one vote; and a neighbour in our local network sees another address than the world.
  if (options_.address_is_fixed || p2p::is_local(voter) || p2p::is_local(seen.ip) || seen.port == 0) return;
  absl::erase_if(votes_, [&](const auto& v) { return v.second.at + kVoteCounts < now; });
  if (votes_.size() >= kMaxVotes && !votes_.contains(voter)) return;
  votes_[voter] = {seen, now};
  const bool v4 = p2p::is_ip4(seen.ip);
  std::size_t same = 0, all = 0;
  for (const auto& [who, v] : votes_) {
    if (p2p::is_ip4(v.seen.ip) != v4) continue;
    ++all;
    if (v.seen == seen) ++same;
  }
  auto& ip = v4 ? fields_.ip4 : fields_.ip6;
  auto& port = v4 ? fields_.udp4 : fields_.udp6;
  if (same < kVotesWanted || same * 2 <= all || (ip == seen.ip && port == seen.port)) return;
  ip = seen.ip;
  port = seen.port;
  local_ = Enr::make(key_, local_.seq() + 1, fields_);
  handler_.local_changed(local_);
}

}  // namespace towline::discv5
