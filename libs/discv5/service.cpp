#include "libs/discv5/service.hpp"

#include <algorithm>

#include "libs/discv5/find_node.hpp"

namespace towline::discv5 {
namespace {

/// NODES messages in the answer to one question.
constexpr std::size_t kMaxAnswers = 5;
constexpr std::uint16_t kLeastPort = 1024;
constexpr absl::Duration kLookupInterval = absl::Seconds(5), kIdleLookupInterval = absl::Seconds(20);
constexpr absl::Duration kCheckInterval = absl::Milliseconds(500), kLiveFor = absl::Minutes(2);
constexpr absl::Duration kRecheckAfter = absl::Seconds(10);
/// Per second: from one address, and in total.
constexpr std::uint32_t kRequests[] = {200, 5000};

Contact contact_of(const Table::Node& n) { return {n.record.node_id(), n.record.public_key(), n.address}; }

}  // namespace

Service::Service(const secp256k1::SecretKey& key, Options options, Handler& handler, Random random)
    : key_{key},
      options_{std::move(options)},
      handler_{handler},
      random_{std::move(random)},
      fields_{options_.fields},
      local_{Enr::make(key_, options_.first_seq, fields_)},
      table_{local_.node_id()},
      handshakes_{key_, local_.node_id(), options_.handshake_timeout, random_},
      request_limit_{kRequests[0], kRequests[1], absl::HashOf(random_bytes<8>(random_))} {}

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
  if (Session* s = sessions_.find(id)) {
    auto m = open(p, s->read);
    if (absl::IsDataLoss(m.status()) && s->old_read) m = open(p, *s->old_read);
    if (m.ok()) return on_message(id, *m, now);
    if (!absl::IsDataLoss(m.status())) {
      ++stats_.malformed;
      return;
    }
  }
  const Table::Node* known = table_.find(source);
  const Bytes* whoareyou =
      handshakes_.challenge(id, p.nonce, known == nullptr ? nullptr : &known->record, random_, now);
  if (whoareyou == nullptr) {
    ++stats_.limited;
    return;
  }
  send(from, *whoareyou);
}

void Service::on_whoareyou(const SocketAddress& from, const Packet& p, const WhoAreYou& w, absl::Time now) {
  Request* r = requests_.challenged_by(p.nonce, from);
  if (r == nullptr) {
    ++stats_.unexpected;
    return;
  }
  const auto answer = handshakes_.answer(r->to, p, w, local_, random_);
  if (!answer) return fail(r->to.id, now);
  Session& s = sessions_.put({r->to.id, from}, answer->keys.recipient, answer->keys.initiator);
  r->challenged = true;
  r->nonce = s.next_nonce(random_);
  r->deadline = now + options_.handshake_timeout;
  send(from, encode_handshake(r->to.id, random_bytes<16>(random_), r->nonce, answer->handshake, s.write, r->message));
}

void Service::on_handshake(const SocketAddress& from, const Packet& p, const Handshake& h, absl::Time now) {
  const SessionId id{h.source, from};
  const auto result = handshakes_.accept(id, p, h, now);
  if (const auto* refusal = std::get_if<Handshakes::Refusal>(&result)) {
    switch (*refusal) {
      case Handshakes::Refusal::unexpected: ++stats_.unexpected; return;
      case Handshakes::Refusal::limited: ++stats_.limited; return;
      case Handshakes::Refusal::bad_proof: ++stats_.bad_handshake; return;
    }
  }
  const auto& accepted = std::get<Handshakes::Accepted>(result);
  ++stats_.handshakes;
  sessions_.put(id, accepted.keys.initiator, accepted.keys.recipient);
  learn(accepted.record, from.ip);
  on_message(id, accepted.message, now);
}

// -------------------------------------------------------------------- messages

void Service::on_message(const SessionId& from, const Message& m, absl::Time now) {
  if (const auto* pong = std::get_if<Pong>(&m)) return on_pong(from, *pong, now);
  if (const auto* nodes = std::get_if<Nodes>(&m)) return on_nodes(from, *nodes, now);
  if (std::holds_alternative<TalkResponse>(m)) {
    ++stats_.unexpected;  // we send no TALKREQ
    return;
  }
  if (!request_limit_.allow(from.address.ip, now)) {
    ++stats_.limited;
    return;
  }
  if (const auto* ping = std::get_if<Ping>(&m)) {
    reply(from, Pong{ping->id, local_.seq(), from.address.ip, from.address.port});
    if (const auto* n = table_.find(from.node)) ask_record(contact_of(*n), ping->enr_seq, now);
  } else if (const auto* find = std::get_if<FindNode>(&m)) {
    for (const Nodes& answer : answer_find_node(*find, from, local_, table_)) reply(from, answer);
  } else {
    reply(from, TalkResponse{std::get<TalkRequest>(m).id, {}});  // empty: we speak no protocol over TALKREQ
  }
}

void Service::reply(const SessionId& to, const Message& m) {
  Session* s = sessions_.find(to);
  if (s == nullptr) return;
  const Nonce nonce = s->next_nonce(random_);
  send(to.address, encode_ordinary(to.node, local_.node_id(), random_bytes<16>(random_), nonce, s->write, m));
}

Request* Service::answered_by(const SessionId& from, const RequestId& id) {
  Request* r = requests_.answered_by(from, id);
  if (r == nullptr) ++stats_.unexpected;
  return r;
}

void Service::on_pong(const SessionId& from, const Pong& m, absl::Time now) {
  const Request* r = answered_by(from, m.id);
  if (r == nullptr || !std::holds_alternative<Ping>(r->message)) return;
  const Contact to = r->to;
  on_address_seen(from.address.ip, {m.ip, m.port}, now);
  succeed(from.node, now);
  table_.schedule(from.node, next_check(now));
  ask_record(to, m.enr_seq, now);
}

void Service::on_nodes(const SessionId& from, const Nodes& m, absl::Time now) {
  Request* r = answered_by(from, m.id);
  if (r == nullptr) return;
  const auto* question = std::get_if<FindNode>(&r->message);
  if (question == nullptr) return;
  take_nodes(*question, from.node, m, r->found);
  if (++r->answers >= std::min<std::uint64_t>(m.total, kMaxAnswers)) succeed(from.node, now);
}

// -------------------------------------------------------------------- requests

bool Service::request(const Contact& to, Message m, Request::Purpose purpose, absl::Time now) {
  if (!requests_.has_room(to.id)) return false;
  const auto id = random_bytes<8>(random_);
  Request r{to, std::move(m), purpose, {id.bytes.begin(), id.bytes.end()}};
  std::visit([&](auto& x) { x.id = r.id; }, r.message);
  ++stats_.requests;
  if (Request* first = requests_.push(std::move(r))) transmit(*first, now);
  return true;
}

void Service::transmit(Request& r, absl::Time now) {
  const Contact& to = r.to;
  r.deadline = now + options_.request_timeout;
  if (Session* s = sessions_.find({to.id, to.address})) {
    r.nonce = s->next_nonce(random_);
    return send(to.address,
                encode_ordinary(to.id, local_.node_id(), random_bytes<16>(random_), r.nonce, s->write, r.message));
  }
  r.nonce = random_bytes<12>(random_);
  const auto iv = random_bytes<16>(random_);
  send(to.address, encode_noise(to.id, local_.node_id(), iv, r.nonce, random_bytes<20>(random_).view()));
}

void Service::ask_record(const Contact& to, std::uint64_t seq, absl::Time now) {
  const Table::Node* n = table_.find(to.id);
  if (n != nullptr && seq > n->record.seq()) request(to, FindNode{{}, {0}}, Request::Purpose::record, now);
}

void Service::succeed(const NodeId& node, absl::Time now) {
  const Request done = requests_.pop(node);
  if (Request* next = requests_.front(node)) transmit(*next, now);
  const bool of_lookup = done.purpose == Request::Purpose::lookup;
  for (const Enr& record : done.found) {
    const auto contact = learn(record, done.to.address.ip);
    if (contact && of_lookup) add_candidate(*contact);
  }
  table_.on_answer(node, done.to.address);
  if (of_lookup) end_of_question(node, true, now);
  else if (stats_.lookups == 0) next_lookup_ = now;  // The first lookup need not wait: a node is there to be asked.
}

void Service::fail(const NodeId& node, absl::Time now) {
  const auto failed = requests_.drop(node);
  table_.on_failure(node, now + kRecheckAfter);
  for (const Request& r : failed) {
    ++stats_.timeouts;
    if (r.purpose == Request::Purpose::lookup) end_of_question(node, false, now);
  }
}

void Service::on_timer(absl::Time now) {
  for (const NodeId& node : requests_.late(now)) fail(node, now);
  handshakes_.expire(now);
  if (now >= next_check_) {
    next_check_ = now + kCheckInterval;
    if (const Table::Node* n = table_.due(now)) {
      const Contact to = contact_of(*n);
      table_.schedule(to.id, now + kRecheckAfter);
      request(to, Ping{{}, local_.seq()}, Request::Purpose::check, now);
    }
  }
  if (lookup_) advance_lookup(now);
  else if (now >= next_lookup_) start_lookup(now);
}

absl::Time Service::next_check(absl::Time now) {
  // Spread over a minute, so that nodes that came together are not checked together.
  return now + kLiveFor + absl::Seconds(random_bytes<1>(random_).bytes[0] % 60);
}

// -------------------------------------------------------------------- lookups

void Service::start_lookup(absl::Time now) {
  next_lookup_ = now + (want_more_ ? kLookupInterval : kIdleLookupInterval);
  if (table_.live() == 0)
    for (const Contact& b : boot_nodes_) request(b, FindNode{{}, {0}}, Request::Purpose::record, now);
  // The first is for ourselves: it makes us known to our neighbours.
  lookup_.emplace(stats_.lookups == 0 ? local_.node_id() : random_bytes<32>(random_));
  for (const Table::Node* n : table_.closest(lookup_->target(), Lookup::kResult)) add_candidate(contact_of(*n));
  if (lookup_->has_candidates()) ++stats_.lookups;
  advance_lookup(now);
}

void Service::add_candidate(const Contact& c) {
  if (lookup_ && c.id != local_.node_id()) lookup_->add(c);
}

void Service::advance_lookup(absl::Time now) {
  const bool small_network = table_.size() < Lookup::kResult;
  while (const auto candidate = lookup_->next()) {
    for (auto& distances : lookup_->questions(candidate->id, small_network)) {
      if (!request(*candidate, FindNode{{}, std::move(distances)}, Request::Purpose::lookup, now)) break;
      lookup_->on_asked();
    }
  }
  if (lookup_->idle()) lookup_.reset();
}

void Service::end_of_question(const NodeId& node, bool answered, absl::Time now) {
  if (!lookup_) return;
  lookup_->on_end(node, answered);
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

void Service::on_address_seen(const p2p::Ip& voter, const SocketAddress& seen, absl::Time now) {
  if (options_.address_is_fixed || !address_vote_.vote(voter, seen, now)) return;
  const bool v4 = p2p::is_ip4(seen.ip);
  auto& ip = v4 ? fields_.ip4 : fields_.ip6;
  auto& port = v4 ? fields_.udp4 : fields_.udp6;
  if (ip == seen.ip && port == seen.port) return;
  ip = seen.ip;
  port = seen.port;
  local_ = Enr::make(key_, local_.seq() + 1, fields_);
  handler_.local_changed(local_);
}

}  // namespace towline::discv5
