#include "libs/trie/ordered_root.hpp"

#include <algorithm>

#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"

namespace towline::trie {
namespace {

struct Entry {
  Bytes nibbles;  // of rlp(index)
  const Bytes* value = nullptr;
};

Bytes nibbles_of_index(std::uint64_t index) {
  Bytes key;
  rlp::append_u64(index, key);
  Bytes out;
  for (std::uint8_t b : key) {
    out.push_back(b >> 4U);
    out.push_back(b & 0xfU);
  }
  return out;
}

/// Hex-prefix encoding (yellow paper, appendix C).
void append_path(BytesView nibbles, bool leaf, Bytes& out) {
  Bytes path;
  const bool odd = nibbles.size() % 2 != 0;
  std::uint8_t flag = static_cast<std::uint8_t>((leaf ? 0x20 : 0) | (odd ? 0x10 : 0));
  if (odd) {
    flag = static_cast<std::uint8_t>(flag | nibbles[0]);
    nibbles = nibbles.subspan(1);
  }
  path.push_back(flag);
  for (std::size_t i = 0; i < nibbles.size(); i += 2)
    path.push_back(static_cast<std::uint8_t>(nibbles[i] << 4U | nibbles[i + 1]));
  rlp::append_string(path, out);
}

/// A node's encoding. That of a leaf ends with its value, which may be large and is not copied.
struct Encoding {
  Bytes head;
  BytesView value = {};

  Hash32 hash() const { return keccak256({head, value}); }
};

/// Appends a node as its parent holds it: the encoding itself if shorter than a hash, else its hash.
void append_reference(const Encoding& node, Bytes& out) {
  if (node.head.size() + node.value.size() >= 32) return rlp::append_string(node.hash().view(), out);
  out.insert(out.end(), node.head.begin(), node.head.end());
  out.insert(out.end(), node.value.begin(), node.value.end());
}

/// The node over entries whose first `depth` nibbles are equal. No key is a prefix of another, so no branch has a
/// value.
Encoding encode(std::span<const Entry> entries, std::size_t depth) {
  Bytes payload;
  Bytes out;
  if (entries.size() == 1) {
    const Entry& e = entries[0];
    append_path(BytesView{e.nibbles}.subspan(depth), true, payload);
    rlp::append_string_header(*e.value, payload);
    rlp::append_list_header(payload.size() + e.value->size(), out);
    out.insert(out.end(), payload.begin(), payload.end());
    return {std::move(out), *e.value};
  }
  // The entries are sorted, so a common prefix of the first and the last is common to all.
  const Bytes& first = entries.front().nibbles;
  const Bytes& last = entries.back().nibbles;
  std::size_t shared = depth;
  while (first[shared] == last[shared]) ++shared;
  if (shared > depth) {
    append_path(BytesView{first}.subspan(depth, shared - depth), false, payload);
    append_reference(encode(entries, shared), payload);
    rlp::append_list(payload, out);
    return {std::move(out)};
  }
  std::size_t at = 0;
  for (std::uint8_t nibble = 0; nibble < 16; ++nibble) {
    std::size_t end = at;
    while (end < entries.size() && entries[end].nibbles[depth] == nibble) ++end;
    if (end == at) {
      payload.push_back(0x80);
    } else {
      append_reference(encode(entries.subspan(at, end - at), depth + 1), payload);
    }
    at = end;
  }
  payload.push_back(0x80);
  rlp::append_list(payload, out);
  return {std::move(out)};
}

}  // namespace

Hash32 ordered_root(std::span<const Bytes> items) {
  if (items.empty()) return kEmptyRoot;
  std::vector<Entry> entries(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) entries[i] = {nibbles_of_index(i), &items[i]};
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.nibbles < b.nibbles; });
  return encode(entries, 0).hash();
}

}  // namespace towline::trie
