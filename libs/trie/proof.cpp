#include "libs/trie/proof.hpp"

#include <algorithm>
#include <array>

#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"

namespace towline::trie {
namespace {

absl::Status bad(const char* why) { return absl::InvalidArgumentError(why); }

/// Reads nibbles from bytes: the rest of a key, or the path of a node.
class Nibbles {
 public:
  explicit Nibbles(BytesView bytes, std::size_t from = 0) : bytes_{bytes}, at_{from} {}
  std::size_t size() const { return 2 * bytes_.size() - at_; }
  std::uint8_t operator[](std::size_t i) const {
    const std::uint8_t b = bytes_[(at_ + i) / 2];
    return (at_ + i) % 2 == 0 ? b >> 4U : b & 0xfU;
  }
  bool begins_with(const Nibbles& other) const {
    if (other.size() > size()) return false;
    for (std::size_t i = 0; i < other.size(); ++i)
      if ((*this)[i] != other[i]) return false;
    return true;
  }
  void drop(std::size_t n) { at_ += n; }

 private:
  BytesView bytes_;
  std::size_t at_;
};

struct Path {
  bool leaf;
  Nibbles nibbles;
};

/// Hex-prefix encoding (yellow paper, appendix C).
absl::StatusOr<Path> decode_path(BytesView in) {
  if (in.empty() || in[0] >= 0x40) return bad("a node's path has no such form");
  const bool odd = (in[0] & 0x10U) != 0;
  if (!odd && (in[0] & 0xfU) != 0) return bad("a node's path has no such form");
  const Path path{in[0] >= 0x20, Nibbles{in, odd ? 1U : 2U}};
  if (!path.leaf && path.nibbles.size() == 0) return bad("an extension node without a path");
  return path;
}

/// A node of two or of seventeen items.
struct Node {
  std::array<rlp::Item, 17> items;
  std::size_t count = 0;
};

absl::StatusOr<Node> decode_node(BytesView encoding) {
  rlp::Reader outer{encoding};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  Node node;
  while (!r.empty()) {
    if (node.count == node.items.size()) return bad("a node has more than 17 items");
    TOWLINE_ASSIGN_OR_RETURN(node.items[node.count], r.next());
    ++node.count;
  }
  if (node.count != 2 && node.count != 17) return bad("a node has neither 2 nor 17 items");
  return node;
}

/// Walks down from the root; `take` returns the encoding of the node that a reference names.
class Walk {
 public:
  Walk(BytesView key, std::span<const Bytes> nodes) : key_{key}, nodes_{nodes} {}

  absl::StatusOr<std::optional<BytesView>> from(const Hash32& root) {
    TOWLINE_ASSIGN_OR_RETURN(BytesView encoding, hashed(root.view()));
    // Each step consumes at least one nibble of the key, or ends.
    while (true) {
      TOWLINE_ASSIGN_OR_RETURN(const Node node, decode_node(encoding));
      rlp::Item next;
      if (node.count == 17) {
        if (key_.size() == 0) return value(node.items[16], true);
        next = node.items[key_[0]];
        key_.drop(1);
        if (next.kind == rlp::Kind::string && next.payload.empty()) return std::nullopt;
      } else {
        if (node.items[0].kind != rlp::Kind::string) return bad("a node's path is a list");
        TOWLINE_ASSIGN_OR_RETURN(const Path path, decode_path(node.items[0].payload));
        const bool on_path = key_.begins_with(path.nibbles);
        if (path.leaf) {
          if (!on_path || key_.size() != path.nibbles.size()) return std::nullopt;
          return value(node.items[1], false);
        }
        if (!on_path) return std::nullopt;
        next = node.items[1];
        key_.drop(path.nibbles.size());
      }
      TOWLINE_ASSIGN_OR_RETURN(encoding, named_by(next));
    }
  }
  /// OK: every node was needed.
  absl::Status finish() const {
    return nodes_.empty() ? absl::OkStatus() : bad("the proof has more nodes than it needs");
  }

 private:
  static absl::StatusOr<std::optional<BytesView>> value(const rlp::Item& item, bool may_be_empty) {
    if (item.kind != rlp::Kind::string) return bad("a value is a list");
    if (!item.payload.empty()) return item.payload;
    if (may_be_empty) return std::nullopt;
    return bad("a leaf without a value");
  }
  absl::StatusOr<BytesView> named_by(const rlp::Item& reference) {
    // A node that is shorter than a hash is embedded in its parent.
    if (reference.kind == rlp::Kind::list) {
      if (reference.encoding.size() < Hash32::kSize) return reference.encoding;
      return bad("a node stands in its parent that is too long for it");
    }
    if (reference.payload.size() != Hash32::kSize) return bad("a node is named by something that is no hash");
    return hashed(reference.payload);
  }
  absl::StatusOr<BytesView> hashed(BytesView hash) {
    if (nodes_.empty()) return bad("the proof ends too early");
    const BytesView encoding = nodes_.front();
    nodes_ = nodes_.subspan(1);
    const Hash32 got = keccak256(encoding);
    if (!std::equal(hash.begin(), hash.end(), got.bytes.begin(), got.bytes.end()))
      return bad("a node does not hash to what its parent, or the root, says");
    return encoding;
  }

  Nibbles key_;
  std::span<const Bytes> nodes_;
};

}  // namespace

absl::StatusOr<std::optional<BytesView>> verify_proof(const Hash32& root, BytesView key, std::span<const Bytes> nodes) {
  // Clients encode the proof of an empty trie as no node, or as its one empty node.
  if (root == kEmptyRoot && (nodes.empty() || (nodes.size() == 1 && nodes[0] == Bytes{0x80}))) return std::nullopt;
  Walk walk{key, nodes};
  TOWLINE_ASSIGN_OR_RETURN(const std::optional<BytesView> found, walk.from(root));
  TOWLINE_RETURN_IF_ERROR(walk.finish());
  return found;
}

}  // namespace towline::trie
