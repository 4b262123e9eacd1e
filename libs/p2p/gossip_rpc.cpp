#include "libs/p2p/gossip_rpc.hpp"

#include "libs/base/status.hpp"

namespace towline::p2p {
namespace {

absl::string_view text(BytesView v) { return {reinterpret_cast<const char*>(v.data()), v.size()}; }

absl::Status too_many() { return absl::ResourceExhaustedError("gossip rpc: more parts than a peer may send"); }

/// Calls `on_field` for each field of bytes, `on_number` for each number.
template <typename OnBytes, typename OnNumber>
absl::Status walk(BytesView in, OnBytes on_bytes, OnNumber on_number) {
  for (pb::Reader r{in}; !r.empty();) {
    TOWLINE_ASSIGN_OR_RETURN(const pb::Field f, r.next());
    if (f.is_bytes) {
      TOWLINE_RETURN_IF_ERROR(on_bytes(f.number, f.bytes));
    } else {
      on_number(f.number, f.value);
    }
  }
  return absl::OkStatus();
}

void ignore(std::uint32_t, std::uint64_t) {}

absl::Status parse_control(BytesView in, GossipRpc& out, std::size_t& ids) {
  const auto collect = [&ids](std::uint32_t field, BytesView message, std::vector<BytesView>& to) {
    return walk(
        message,
        [&](std::uint32_t n, BytesView v) {
          if (n != field) return absl::OkStatus();
          if (++ids > GossipRpc::kMaxIds) return too_many();
          to.push_back(v);
          return absl::OkStatus();
        },
        ignore);
  };
  return walk(
      in,
      [&](std::uint32_t n, BytesView v) -> absl::Status {
        if (out.have.size() + out.graft.size() + out.prune.size() > GossipRpc::kMaxTopics) return too_many();
        switch (n) {
          case 1: {
            GossipRpc::Have h;
            TOWLINE_RETURN_IF_ERROR(walk(
                v,
                [&](std::uint32_t k, BytesView topic) {
                  if (k == 1) h.topic = text(topic);
                  return absl::OkStatus();
                },
                ignore));
            TOWLINE_RETURN_IF_ERROR(collect(2, v, h.ids));
            out.have.push_back(std::move(h));
            return absl::OkStatus();
          }
          case 2: return collect(1, v, out.want);
          case 3:
            return walk(
                v,
                [&](std::uint32_t k, BytesView topic) {
                  if (k == 1) out.graft.push_back(text(topic));
                  return out.graft.size() > GossipRpc::kMaxTopics ? too_many() : absl::OkStatus();
                },
                ignore);
          case 4: {
            GossipRpc::Prune p;
            TOWLINE_RETURN_IF_ERROR(walk(
                v,
                [&](std::uint32_t k, BytesView topic) {
                  if (k == 1) p.topic = text(topic);
                  return absl::OkStatus();
                },
                [&](std::uint32_t k, std::uint64_t s) {
                  if (k == 3) p.backoff_s = s;
                }));
            out.prune.push_back(p);
            return absl::OkStatus();
          }
          case 5: return collect(1, v, out.dont_want);
          default: return absl::OkStatus();
        }
      },
      ignore);
}

}  // namespace

absl::StatusOr<GossipRpc> GossipRpc::parse(BytesView in) {
  GossipRpc out;
  std::size_t ids = 0;
  const absl::Status st = walk(
      in,
      [&](std::uint32_t n, BytesView v) -> absl::Status {
        switch (n) {
          case 1: {
            Subscription s;
            TOWLINE_RETURN_IF_ERROR(walk(
                v,
                [&](std::uint32_t k, BytesView topic) {
                  if (k == 2) s.topic = text(topic);
                  return absl::OkStatus();
                },
                [&](std::uint32_t k, std::uint64_t on) {
                  if (k == 1) s.subscribe = on != 0;
                }));
            out.subscriptions.push_back(s);
            return out.subscriptions.size() > kMaxTopics ? too_many() : absl::OkStatus();
          }
          case 2: {
            Message m;
            TOWLINE_RETURN_IF_ERROR(walk(
                v,
                [&](std::uint32_t k, BytesView part) {
                  if (k == 2) m.data = part;
                  if (k == 4) m.topic = text(part);
                  m.is_signed |= k == 1 || k == 3 || k == 5 || k == 6;
                  return absl::OkStatus();
                },
                ignore));
            out.messages.push_back(m);
            return out.messages.size() > kMaxMessages ? too_many() : absl::OkStatus();
          }
          case 3: return parse_control(v, out, ids);
          default: return absl::OkStatus();
        }
      },
      ignore);
  if (!st.ok()) return st;
  return out;
}

void GossipRpcWriter::subscription(absl::string_view topic, bool subscribe, Bytes& out) {
  Bytes part;
  pb::Writer w{part};
  w.varint(1, subscribe ? 1 : 0);
  w.string(2, topic);
  pb::Writer{out}.bytes(1, part);
}

void GossipRpcWriter::message(absl::string_view topic, BytesView data, Bytes& out) {
  Bytes part;
  part.reserve(data.size() + topic.size() + 16);
  pb::Writer w{part};
  w.bytes(2, data);
  w.string(4, topic);
  pb::Writer{out}.bytes(2, part);
}

void GossipRpcWriter::control(const Control& c, Bytes& out) {
  if (c.empty()) return;
  Bytes all;
  pb::Writer w{all};
  Bytes part;
  const auto ids = [&](std::uint32_t number, std::uint32_t field, const std::vector<BytesView>& list) {
    if (list.empty()) return;
    part.clear();
    for (const auto& id : list) pb::Writer{part}.bytes(field, id);
    w.bytes(number, part);
  };
  for (const auto& h : c.have) {
    part.clear();
    pb::Writer{part}.string(1, h.topic);
    for (const auto& id : h.ids) pb::Writer{part}.bytes(2, id);
    w.bytes(1, part);
  }
  ids(2, 1, c.want);
  for (const auto& topic : c.graft) {
    part.clear();
    pb::Writer{part}.string(1, topic);
    w.bytes(3, part);
  }
  for (const auto& p : c.prune) {
    part.clear();
    pb::Writer{part}.string(1, p.topic);
    if (p.backoff_s) pb::Writer{part}.varint(3, *p.backoff_s);
    w.bytes(4, part);
  }
  ids(5, 1, c.dont_want);
  pb::Writer{out}.bytes(3, all);
}

}  // namespace towline::p2p
