#include "libs/discv5/table.hpp"

#include <algorithm>
#include <bit>

namespace towline::discv5 {
namespace {

constexpr int kMaxFailures = 3;

/// The /24 of an IPv4 address, the /64 of an IPv6 one.
BytesView network_of(const p2p::Ip& ip) { return ip.view().first(p2p::is_ip4(ip) ? 15 : 8); }

bool same_network(const p2p::Ip& a, const p2p::Ip& b) {
  const BytesView x = network_of(a), y = network_of(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

}  // namespace

std::uint64_t log_distance(const NodeId& a, const NodeId& b) {
  for (std::size_t i = 0; i < 32; ++i) {
    const auto x = static_cast<std::uint8_t>(a.bytes[i] ^ b.bytes[i]);
    if (x != 0) return 8 * (32 - i) - static_cast<std::uint64_t>(std::countl_zero(x));
  }
  return 0;
}

bool nearer(const NodeId& target, const NodeId& a, const NodeId& b) {
  for (std::size_t i = 0; i < 32; ++i) {
    const auto x = a.bytes[i] ^ target.bytes[i], y = b.bytes[i] ^ target.bytes[i];
    if (x != y) return x < y;
  }
  return false;
}

std::size_t Table::bucket_of(const NodeId& id) const {
  const std::uint64_t d = log_distance(local_, id);
  return d <= 240 ? 0 : static_cast<std::size_t>(d - 240);
}

bool Table::network_has_room(const Bucket& bucket, const p2p::SocketAddress& address, const NodeId& except) const {
  if (p2p::is_local(address.ip)) return true;
  const auto count = [&](const Bucket& b) {
    return static_cast<std::size_t>(std::count_if(b.nodes.begin(), b.nodes.end(), [&](const Node& n) {
      return n.record.node_id() != except && same_network(n.address.ip, address.ip);
    }));
  };
  if (count(bucket) >= kPerNetworkInBucket) return false;
  std::size_t all = 0;
  for (const Bucket& b : buckets_) all += count(b);
  return all < kPerNetwork;
}

bool Table::add(const Enr& record, const p2p::SocketAddress& address) {
  const NodeId& id = record.node_id();
  if (id == local_) return false;
  Bucket& bucket = buckets_[bucket_of(id)];
  const auto same = [&](const Node& n) { return n.record.node_id() == id; };
  if (const auto known = std::find_if(bucket.nodes.begin(), bucket.nodes.end(), same); known != bucket.nodes.end()) {
    if (record.seq() <= known->record.seq()) return false;
    if (address != known->address) {
      if (!network_has_room(bucket, address, id)) return false;
      known->address = address;
      known->live = false;
      known->next_check = absl::InfinitePast();
    }
    known->record = record;
    return true;
  }
  if (bucket.nodes.size() < kBucketSize) {
    if (!network_has_room(bucket, address, id)) return false;
    bucket.nodes.push_back({record, address});
    return true;
  }
  std::erase_if(bucket.spares, same);
  if (bucket.spares.size() >= kSpares) bucket.spares.erase(bucket.spares.begin());
  bucket.spares.push_back({record, address});
  return false;
}

void Table::on_answer(const NodeId& id, const p2p::SocketAddress& address) {
  Node* n = mutable_find(id);
  if (n == nullptr || n->address != address) return;
  n->live = true;
  n->failures = 0;
}

void Table::schedule(const NodeId& id, absl::Time next_check) {
  if (Node* n = mutable_find(id)) n->next_check = next_check;
}

void Table::on_failure(const NodeId& id, absl::Time next_check) {
  Bucket& bucket = buckets_[bucket_of(id)];
  const auto it =
      std::find_if(bucket.nodes.begin(), bucket.nodes.end(), [&](const Node& n) { return n.record.node_id() == id; });
  if (it == bucket.nodes.end()) return;
  it->next_check = next_check;
  if (++it->failures < kMaxFailures && it->live) return;
  bucket.nodes.erase(it);
  while (!bucket.spares.empty()) {
    Node spare = std::move(bucket.spares.back());
    bucket.spares.pop_back();
    if (!network_has_room(bucket, spare.address, spare.record.node_id())) continue;
    bucket.nodes.push_back(std::move(spare));
    return;
  }
}

Table::Node* Table::mutable_find(const NodeId& id) {
  for (Node& n : buckets_[bucket_of(id)].nodes)
    if (n.record.node_id() == id) return &n;
  return nullptr;
}

const Table::Node* Table::find(const NodeId& id) const { return const_cast<Table*>(this)->mutable_find(id); }

std::vector<const Table::Node*> Table::all() const {
  std::vector<const Node*> out;
  for (const Bucket& b : buckets_)
    for (const Node& n : b.nodes) out.push_back(&n);
  return out;
}

std::vector<const Table::Node*> Table::closest(const NodeId& target, std::size_t n) const {
  auto out = all();
  const auto middle = out.begin() + static_cast<std::ptrdiff_t>(std::min(n, out.size()));
  std::partial_sort(out.begin(), middle, out.end(), [&](const Node* a, const Node* b) {
    return nearer(target, a->record.node_id(), b->record.node_id());
  });
  out.erase(middle, out.end());
  return out;
}

std::vector<const Table::Node*> Table::live_at(std::uint64_t distance) const {
  std::vector<const Node*> out;
  for (const Node& n : buckets_[distance <= 240 ? 0 : distance - 240].nodes)
    if (n.live && log_distance(local_, n.record.node_id()) == distance) out.push_back(&n);
  return out;
}

const Table::Node* Table::due(absl::Time now) const {
  const Node* out = nullptr;
  for (const Node* n : all())
    if (n->next_check <= now && (out == nullptr || n->next_check < out->next_check)) out = n;
  return out;
}

std::size_t Table::size() const { return all().size(); }

std::size_t Table::live() const {
  const auto nodes = all();
  return static_cast<std::size_t>(std::count_if(nodes.begin(), nodes.end(), [](const Node* n) { return n->live; }));
}

}  // namespace towline::discv5
