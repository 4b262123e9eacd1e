// Merkle-Patricia proofs. The input is a key and nodes. A marker in a node is replaced by the hash of the next node, so
// that the walk goes deeper than one node. A proof is accepted for its own root only.
#include <algorithm>

#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/proof.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  rlp::Reader outer{{data, size}};
  auto list = outer.list();
  if (!list.ok()) return 0;
  const auto key = list->string();
  if (!key.ok()) return 0;
  std::vector<Bytes> nodes;
  while (!list->empty()) {
    const auto node = list->string();
    if (!node.ok()) return 0;
    nodes.emplace_back(node->begin(), node->end());
  }
  if (nodes.empty()) return 0;
  const Bytes marker(Hash32::kSize, 0xee);
  for (std::size_t i = nodes.size() - 1; i-- > 0;) {
    const auto at = std::search(nodes[i].begin(), nodes[i].end(), marker.begin(), marker.end());
    const Hash32 next = keccak256(nodes[i + 1]);
    if (at != nodes[i].end()) std::copy(next.bytes.begin(), next.bytes.end(), at);
  }
  const Hash32 root = keccak256(nodes[0]);
  const auto found = trie::verify_proof(root, *key, nodes);
  if (!found.ok()) return 0;
  if (*found) {
    const BytesView last{nodes.back()};
    fuzz::require(!(*found)->empty() && (*found)->data() >= last.data() &&
                  (*found)->data() + (*found)->size() <= last.data() + last.size());
  }
  nodes.push_back(nodes.back());
  fuzz::require(!trie::verify_proof(root, *key, nodes).ok());
  nodes.pop_back();
  Bytes& node = nodes[size % nodes.size()];
  if (node == Bytes{0x80}) return 0;  // the empty trie
  node[size % node.size()] ^= 1U;
  fuzz::require(!trie::verify_proof(root, *key, nodes).ok());
  return 0;
}
