#include "libs/discv5/handshake.hpp"

namespace towline::discv5 {

Handshakes::Handshakes(const secp256k1::SecretKey& key, const NodeId& local, absl::Duration timeout,
                       const Random& random)
    : key_{key},
      local_{local},
      timeout_{timeout},
      challenge_limit_{kChallenges[0], kChallenges[1], absl::HashOf(random_bytes<8>(random))},
      handshake_limit_{kHandshakes[0], kHandshakes[1], absl::HashOf(random_bytes<8>(random))} {}

const Bytes* Handshakes::challenge(const SessionId& who, const Nonce& nonce, const Enr* known, const Random& random,
                                   absl::Time now) {
  if (const auto it = pending_.find(who); it != pending_.end() && now < it->second.deadline) return &it->second.packet;
  if (!challenge_limit_.allow(who.address.ip, now)) return nullptr;
  const WhoAreYou w{random_bytes<16>(random), known == nullptr ? 0 : known->seq()};
  auto c = encode_whoareyou(who.node, random_bytes<16>(random), nonce, w);
  auto& pending = pending_[who];
  pending = {std::move(c.packet), std::move(c.data), {}, now + timeout_};
  if (known != nullptr) pending.known = *known;
  return &pending.packet;
}

std::variant<Handshakes::Accepted, Handshakes::Refusal> Handshakes::accept(const SessionId& from, const Packet& p,
                                                                           const Handshake& h, absl::Time now) {
  const auto it = pending_.find(from);
  if (it == pending_.end() || now >= it->second.deadline) return Refusal::unexpected;
  if (!handshake_limit_.allow(from.address.ip, now)) return Refusal::limited;
  const Pending& challenge = it->second;
  std::optional<Enr> record = challenge.known;
  if (!h.record.empty()) {
    auto told = Enr::decode(h.record);
    if (!told.ok() || told->node_id() != h.source) return Refusal::bad_proof;
    if (!record || told->seq() > record->seq()) record = *std::move(told);
  }
  if (!record || !secp256k1::verify(record->public_key(), id_signature_digest(challenge.data, h.ephemeral_key, local_),
                                    h.id_signature))
    return Refusal::bad_proof;
  const auto ephemeral = secp256k1::parse_public_key(h.ephemeral_key.view());
  if (!ephemeral.ok()) return Refusal::bad_proof;
  const auto shared = key_.ecdh(*ephemeral);
  if (!shared.ok()) return Refusal::bad_proof;
  const SessionKeys keys = derive_keys(*shared, challenge.data, h.source, local_);
  auto message = open(p, keys.initiator);
  if (!message.ok()) return Refusal::bad_proof;
  pending_.erase(it);
  return Accepted{*std::move(record), keys, *std::move(message)};
}

std::optional<Handshakes::Answer> Handshakes::answer(const Contact& to, const Packet& p, const WhoAreYou& w,
                                                     const Enr& local, const Random& random) const {
  auto ephemeral = secp256k1::SecretKey::from(random_bytes<32>(random).view());
  while (!ephemeral.ok()) ephemeral = secp256k1::SecretKey::from(random_bytes<32>(random).view());
  const auto shared = ephemeral->ecdh(to.key);
  if (!shared.ok()) return std::nullopt;
  return Answer{derive_keys(*shared, p.header, local_, to.id),
                {local_, key_.sign(id_signature_digest(p.header, ephemeral->public_key(), to.id)),
                 ephemeral->public_key(), w.enr_seq < local.seq() ? local.encoded() : Bytes{}}};
}

void Handshakes::expire(absl::Time now) {
  absl::erase_if(pending_, [&](const auto& c) { return now >= c.second.deadline; });
}

}  // namespace towline::discv5
