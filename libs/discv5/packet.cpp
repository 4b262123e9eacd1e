#include "libs/discv5/packet.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/status.hpp"
#include "libs/crypto/openssl.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::discv5 {
namespace {

// protocol id ‖ version, and the sizes around them.
constexpr std::array<std::uint8_t, 8> kProtocol = {'d', 'i', 's', 'c', 'v', '5', 0, 1};
constexpr std::size_t kStaticHeader = 23;
constexpr std::size_t kOrdinaryAuth = 32, kWhoAreYouAuth = 24, kHandshakeAuth = 34;
constexpr std::size_t kSignature = 64, kKey = 33;
constexpr std::size_t kMaxRequestId = 8;
constexpr std::size_t kMaxDistances = 257, kMaxRecords = 64;

absl::Status bad_packet(absl::string_view what) { return absl::InvalidArgumentError(absl::StrCat("discv5: ", what)); }

template <typename T>
void append(const T& from, Bytes& to) {
  to.insert(to.end(), std::begin(from), std::end(from));
}
template <std::size_t N>
void append(const FixedBytes<N>& from, Bytes& to) {
  to.insert(to.end(), from.bytes.begin(), from.bytes.end());
}

FixedBytes<16> mask_key(const NodeId& to) { return *FixedBytes<16>::from(to.view().first(16)); }

/// masking-iv ‖ static header ‖ authdata, not yet masked.
Bytes header(const MaskingIv& iv, std::uint8_t flag, const Nonce& nonce, const Bytes& auth) {
  Bytes out;
  append(iv, out);
  append(kProtocol, out);
  out.push_back(flag);
  append(nonce, out);
  out.push_back(static_cast<std::uint8_t>(auth.size() >> 8U));
  out.push_back(static_cast<std::uint8_t>(auth.size()));
  append(auth, out);
  return out;
}

Bytes masked(const NodeId& to, const Bytes& plain, BytesView message) {
  const BytesView view{plain};
  Bytes out{view.begin(), view.begin() + 16};
  append(crypto::aes128_ctr(mask_key(to), *MaskingIv::from(view.first(16)), view.subspan(16)), out);
  append(message, out);
  return out;
}

}  // namespace

Bytes encode(const Message& m) {
  Bytes body;
  const auto string = [&](BytesView v) { rlp::append_string(v, body); };
  std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        string(x.id);
        if constexpr (std::is_same_v<T, Ping>) rlp::append_u64(x.enr_seq, body);
        if constexpr (std::is_same_v<T, Pong>) {
          rlp::append_u64(x.enr_seq, body);
          string(p2p::is_ip4(x.ip) ? x.ip.view().subspan(12) : x.ip.view());
          rlp::append_u64(x.port, body);
        }
        if constexpr (std::is_same_v<T, FindNode>) {
          Bytes list;
          for (const auto d : x.distances) rlp::append_u64(d, list);
          rlp::append_list(list, body);
        }
        if constexpr (std::is_same_v<T, Nodes>) {
          rlp::append_u64(x.total, body);
          Bytes list;
          for (const auto& r : x.records) append(r, list);
          rlp::append_list(list, body);
        }
        if constexpr (std::is_same_v<T, TalkRequest>) {
          string(x.protocol);
          string(x.request);
        }
        if constexpr (std::is_same_v<T, TalkResponse>) string(x.response);
      },
      m);
  Bytes out{static_cast<std::uint8_t>(m.index() + 1)};
  rlp::append_list(body, out);
  return out;
}

absl::StatusOr<Message> decode_message(BytesView in) {
  if (in.empty()) return bad_packet("an empty message");
  const std::uint8_t type = in[0];
  if (type == 0 || type > 6) return absl::UnimplementedError("discv5: a message of an unknown type");
  rlp::Reader whole{in.subspan(1)};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, whole.list());
  TOWLINE_RETURN_IF_ERROR(whole.finish());
  const auto bytes = [&]() -> absl::StatusOr<Bytes> {
    TOWLINE_ASSIGN_OR_RETURN(const BytesView v, r.string());
    return Bytes{v.begin(), v.end()};
  };
  TOWLINE_ASSIGN_OR_RETURN(const RequestId id, bytes());
  if (id.size() > kMaxRequestId) return bad_packet("a request id of more than 8 bytes");
  const auto done = [&](Message m) -> absl::StatusOr<Message> {
    TOWLINE_RETURN_IF_ERROR(r.finish());
    return m;
  };
  switch (type) {
    case 1: {
      Ping m{id};
      TOWLINE_ASSIGN_OR_RETURN(m.enr_seq, r.u64());
      return done(m);
    }
    case 2: {
      Pong m{id};
      TOWLINE_ASSIGN_OR_RETURN(m.enr_seq, r.u64());
      TOWLINE_ASSIGN_OR_RETURN(const BytesView ip, r.string());
      if (ip.size() != 4 && ip.size() != 16) return bad_packet("an IP address of another length");
      m.ip = p2p::ip4(0, 0, 0, 0);
      std::copy(ip.begin(), ip.end(), m.ip.bytes.begin() + static_cast<std::ptrdiff_t>(16 - ip.size()));
      TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t port, r.u64());
      if (port > 65535) return bad_packet("a port that is none");
      m.port = static_cast<std::uint16_t>(port);
      return done(m);
    }
    case 3: {
      FindNode m{id};
      TOWLINE_ASSIGN_OR_RETURN(rlp::Reader list, r.list());
      while (!list.empty()) {
        TOWLINE_ASSIGN_OR_RETURN(const std::uint64_t d, list.u64());
        if (d > 256 || m.distances.size() >= kMaxDistances) return bad_packet("distances that are none");
        m.distances.push_back(d);
      }
      return done(m);
    }
    case 4: {
      Nodes m{id};
      TOWLINE_ASSIGN_OR_RETURN(m.total, r.u64());
      TOWLINE_ASSIGN_OR_RETURN(rlp::Reader list, r.list());
      while (!list.empty()) {
        TOWLINE_ASSIGN_OR_RETURN(const rlp::Item record, list.next());
        if (record.kind != rlp::Kind::list || m.records.size() >= kMaxRecords)
          return bad_packet("records that are none");
        m.records.emplace_back(record.encoding.begin(), record.encoding.end());
      }
      return done(m);
    }
    case 5: {
      TalkRequest m{id, {}, {}};
      TOWLINE_ASSIGN_OR_RETURN(m.protocol, bytes());
      TOWLINE_ASSIGN_OR_RETURN(m.request, bytes());
      return done(m);
    }
    default: {
      TalkResponse m{id, {}};
      TOWLINE_ASSIGN_OR_RETURN(m.response, bytes());
      return done(m);
    }
  }
}

absl::StatusOr<Packet> decode_packet(const NodeId& local, BytesView in) {
  if (in.size() < kMinPacket || in.size() > kMaxPacket) return bad_packet("a packet of another size");
  const MaskingIv iv = *MaskingIv::from(in.first(16));
  // The static header says how much of the rest is header, too.
  const Bytes fixed = crypto::aes128_ctr(mask_key(local), iv, in.subspan(16, kStaticHeader));
  if (!std::equal(kProtocol.begin(), kProtocol.end(), fixed.begin()))
    return bad_packet("another protocol, or for another node");
  const std::uint8_t flag = fixed[8];
  const std::size_t auth_size = static_cast<std::size_t>(fixed[21]) << 8U | fixed[22];
  if (in.size() < 16 + kStaticHeader + auth_size) return bad_packet("a header that is cut");
  Packet out;
  out.nonce = *Nonce::from(BytesView{fixed}.subspan(9, 12));
  append(iv, out.header);
  append(crypto::aes128_ctr(mask_key(local), iv, in.subspan(16, kStaticHeader + auth_size)), out.header);
  const BytesView sealed = in.subspan(16 + kStaticHeader + auth_size);
  out.sealed.assign(sealed.begin(), sealed.end());
  ByteReader auth{BytesView{out.header}.subspan(16 + kStaticHeader)};
  switch (flag) {
    case 0:
      if (auth_size != kOrdinaryAuth) return bad_packet("authdata of another size");
      out.auth = Ordinary{*NodeId::from(*auth.take(32))};
      return out;
    case 1: {
      if (auth_size != kWhoAreYouAuth || !sealed.empty()) return bad_packet("authdata of another size");
      WhoAreYou w;
      w.id_nonce = *IdNonce::from(*auth.take(16));
      w.enr_seq = *auth.be(8);
      out.auth = w;
      return out;
    }
    case 2: {
      if (auth_size < kHandshakeAuth) return bad_packet("authdata of another size");
      Handshake h;
      h.source = *NodeId::from(*auth.take(32));
      if (*auth.u8() != kSignature || *auth.u8() != kKey || auth.remaining() < kSignature + kKey ||
          auth.remaining() > kSignature + kKey + Enr::kMaxSize)
        return bad_packet("authdata of another size");
      h.id_signature = *secp256k1::Signature::from(*auth.take(kSignature));
      h.ephemeral_key = *secp256k1::PublicKey::from(*auth.take(kKey));
      const BytesView record = *auth.take(auth.remaining());
      h.record.assign(record.begin(), record.end());
      out.auth = h;
      return out;
    }
    default: return bad_packet("an unknown kind of packet");
  }
}

absl::StatusOr<Message> open(const Packet& p, const SessionKey& key) {
  TOWLINE_ASSIGN_OR_RETURN(const Bytes plain, crypto::aes128_gcm_open(key, p.nonce, p.header, p.sealed));
  return decode_message(plain);
}

Bytes encode_ordinary(const NodeId& to, const NodeId& from, const MaskingIv& iv, const Nonce& nonce,
                      const SessionKey& key, const Message& m) {
  const Bytes h = header(iv, 0, nonce, {from.bytes.begin(), from.bytes.end()});
  return masked(to, h, crypto::aes128_gcm_seal(key, nonce, h, encode(m)));
}

Bytes encode_noise(const NodeId& to, const NodeId& from, const MaskingIv& iv, const Nonce& nonce, BytesView noise) {
  return masked(to, header(iv, 0, nonce, {from.bytes.begin(), from.bytes.end()}), noise);
}

Bytes encode_handshake(const NodeId& to, const MaskingIv& iv, const Nonce& nonce, const Handshake& hs,
                       const SessionKey& key, const Message& m) {
  Bytes auth;
  append(hs.source, auth);
  auth.push_back(kSignature);
  auth.push_back(kKey);
  append(hs.id_signature, auth);
  append(hs.ephemeral_key, auth);
  append(hs.record, auth);
  const Bytes h = header(iv, 2, nonce, auth);
  return masked(to, h, crypto::aes128_gcm_seal(key, nonce, h, encode(m)));
}

Challenge encode_whoareyou(const NodeId& to, const MaskingIv& iv, const Nonce& request_nonce, const WhoAreYou& w) {
  Bytes auth;
  append(w.id_nonce, auth);
  for (int shift = 56; shift >= 0; shift -= 8)
    auth.push_back(static_cast<std::uint8_t>(w.enr_seq >> static_cast<unsigned>(shift)));
  const Bytes h = header(iv, 1, request_nonce, auth);
  return {masked(to, h, {}), h};
}

SessionKeys derive_keys(const secp256k1::PublicKey& shared, BytesView challenge_data, const NodeId& a,
                        const NodeId& b) {
  Bytes info;
  append(absl::string_view{"discovery v5 key agreement"}, info);
  append(a, info);
  append(b, info);
  const Bytes keys = crypto::hkdf_sha256(shared.view(), challenge_data, info, 32);
  return {*SessionKey::from(BytesView{keys}.first(16)), *SessionKey::from(BytesView{keys}.last(16))};
}

Hash32 id_signature_digest(BytesView challenge_data, const secp256k1::PublicKey& ephemeral, const NodeId& recipient) {
  return crypto::sha256({as_bytes("discovery v5 identity proof"), challenge_data, ephemeral.view(), recipient.view()});
}

}  // namespace towline::discv5
