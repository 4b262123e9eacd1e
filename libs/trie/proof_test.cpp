// Proofs of real clients and of another implementation, and every way in which a proof can be invalid.
#include "libs/trie/proof.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/ordered_root.hpp"
#include "tests/support/vectors.hpp"

namespace towline::trie {
namespace {

Bytes hex(const nlohmann::json& text) { return *parse_hex(text.get<std::string>()); }
Hash32 hash(const nlohmann::json& text) { return *parse_fixed_hex<32>(text.get<std::string>()); }

std::vector<Bytes> nodes_of(const nlohmann::json& list) {
  std::vector<Bytes> out;
  for (const auto& n : list) out.push_back(hex(n));
  return out;
}

struct Proof {
  std::string name;
  Hash32 root;
  Bytes key;
  Bytes value;  // empty: there is none
  std::vector<Bytes> nodes;
};

/// eth_getProof's answer as proofs: of the account, and of each slot.
void add_answer(const std::string& name, const Hash32& state_root, const nlohmann::json& answer,
                std::vector<Proof>& out) {
  const auto key_of = [](const nlohmann::json& text) {
    const Hash32 h = keccak256(hex(text));
    return Bytes{h.bytes.begin(), h.bytes.end()};
  };
  Bytes fields, account;
  rlp::append_u64(*parse_quantity(answer["nonce"].get<std::string>()), fields);
  rlp::append_u256(*parse_quantity256(answer["balance"].get<std::string>()), fields);
  rlp::append_string(hex(answer["storageHash"]), fields);
  rlp::append_string(hex(answer["codeHash"]), fields);
  rlp::append_list(fields, account);
  out.push_back({name, state_root, key_of(answer["address"]), account, nodes_of(answer["accountProof"])});
  for (const auto& s : answer["storageProof"]) {
    const Uint256 slot = *parse_quantity256([&] {
      // Some clients write a slot as a quantity, some as 32 bytes.
      std::string digits = s["key"].get<std::string>().substr(2);
      digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
      return "0x" + digits;
    }());
    const Hash32 key = keccak256(slot.view());
    Bytes value;
    const Uint256 word = *parse_quantity256(s["value"].get<std::string>());
    if (!word.is_zero()) rlp::append_u256(word, value);
    out.push_back({name + " slot " + s["key"].get<std::string>(),
                   hash(answer["storageHash"]),
                   {key.bytes.begin(), key.bytes.end()},
                   value,
                   nodes_of(s["proof"])});
  }
}

std::vector<Proof> all() {
  std::vector<Proof> out;
  const auto made = nlohmann::json::parse(towline::testing::read_vector("trie-proofs.json"));
  for (const auto& p : made["proofs"])
    out.push_back({p["name"], hash(p["root"]), hex(p["key"]), hex(p["value"]), nodes_of(p["nodes"])});
  for (const char* name : {"l1-proof-geth.json", "l1-signer-anvil.json"}) {
    const auto j = nlohmann::json::parse(towline::testing::read_vector(name));
    add_answer(name, hash(j["header"]["stateRoot"]), j["proof"], out);
  }
  return out;
}

TEST(Proof, RealOnesAndThoseOfAnotherImplementation) {
  int present = 0, absent = 0;
  for (const Proof& p : all()) {
    SCOPED_TRACE(p.name + " " + to_hex(p.key));
    const auto found = verify_proof(p.root, p.key, p.nodes);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->has_value(), !p.value.empty());
    if (*found) {
      EXPECT_EQ(to_hex(**found), to_hex(p.value));
    }
    ++(p.value.empty() ? absent : present);
  }
  EXPECT_GE(present, 18);
  EXPECT_GE(absent, 14);
}

TEST(Proof, NoAccountIsProvenAsWell) {
  const auto j = nlohmann::json::parse(towline::testing::read_vector("l1-signer-anvil.json"));
  const Hash32 key = keccak256(hex(j["no_account"]["address"]));
  const auto found =
      verify_proof(hash(j["header"]["stateRoot"]), key.view(), nodes_of(j["no_account"]["accountProof"]));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE(*found);
}

TEST(Proof, AnyChangeIsSeen) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random{seed};
  for (const Proof& p : all()) {
    if (p.nodes.empty()) continue;
    SCOPED_TRACE(p.name);
    const auto refused = [&](const std::vector<Bytes>& nodes) {
      return absl::IsInvalidArgument(verify_proof(p.root, p.key, nodes).status());
    };
    for (int i = 0; i < 20; ++i) {
      auto nodes = p.nodes;
      auto& node = nodes[random() % nodes.size()];
      node[random() % node.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
      EXPECT_TRUE(refused(nodes));
    }
    for (std::size_t i = 0; i < p.nodes.size(); ++i) {
      auto nodes = p.nodes;
      nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_TRUE(refused(nodes)) << "without node " << i;
      nodes = p.nodes;
      nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(i), nodes[i]);
      EXPECT_TRUE(refused(nodes)) << "with node " << i << " twice";
    }
    Hash32 other = p.root;
    other.bytes[0] ^= 1U;
    EXPECT_FALSE(verify_proof(other, p.key, p.nodes).ok());
  }
}

TEST(Proof, OfAnotherKeyProvesNothingOfThisOne) {
  // The two keys part at the root, so that neither proof leads to the other's leaf.
  const auto proofs = all();
  for (const Proof& p : proofs) {
    for (const Proof& q : proofs) {
      if (p.name != "300 random keys" || q.name != p.name || p.key[0] >> 4U == q.key[0] >> 4U) continue;
      EXPECT_FALSE(verify_proof(p.root, q.key, p.nodes).ok());
    }
  }
}

TEST(Proof, OfTheEmptyTrie) {
  const Bytes key(32, 1);
  for (const std::vector<Bytes>& nodes : {std::vector<Bytes>{}, std::vector<Bytes>{{0x80}}}) {
    const auto found = verify_proof(kEmptyRoot, key, nodes);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_FALSE(*found);
    Hash32 other = kEmptyRoot;
    other.bytes[31] ^= 1U;
    EXPECT_FALSE(verify_proof(other, key, nodes).ok());
  }
  EXPECT_FALSE(verify_proof(kEmptyRoot, key, std::vector<Bytes>{{0x80}, {0x80}}).ok());
}

Bytes list_of(const std::vector<Bytes>& items) {
  Bytes payload, out;
  for (const auto& i : items) payload.insert(payload.end(), i.begin(), i.end());
  rlp::append_list(payload, out);
  return out;
}
Bytes text(const Bytes& s) {
  Bytes out;
  rlp::append_string(s, out);
  return out;
}
/// A branch with `child` (encoded) at nibble 1.
Bytes branch(const Bytes& child, const Bytes& value = {0x80}) {
  std::vector<Bytes> items(16, Bytes{0x80});
  items[1] = child;
  items.push_back(value);
  return list_of(items);
}

// Each node hashes to the root, so it can be refused only for its form. The key is 0x12.
TEST(Proof, MalformedNodesAreRefused) {
  const Bytes leaf = list_of({text({0x32}), text({0x07})});  // the rest of the key: 2
  const std::pair<const char*, Bytes> rows[] = {
      {"a string", text({1, 2, 3})},
      {"nothing", {}},
      {"an empty list", list_of({})},
      {"one item", list_of({text({0x20, 0x12})})},
      {"three items", list_of({text({0x20, 0x12}), text({7}), text({7})})},
      {"sixteen items", list_of(std::vector<Bytes>(16, Bytes{0x80}))},
      {"eighteen items", list_of(std::vector<Bytes>(18, Bytes{0x80}))},
      {"bytes behind the list",
       [] {
         Bytes b = list_of({text({0x20, 0x12}), text({7})});
         b.push_back(0);
         return b;
       }()},
      {"an empty path", list_of({text({}), text({7})})},
      {"a path with an unknown flag", list_of({text({0x40, 0x12}), text({7})})},
      {"an even path with a nibble in its flag", list_of({text({0x21, 0x12}), text({7})})},
      {"a path that is a list", list_of({list_of({}), text({7})})},
      {"an extension without a path", list_of({text({0x00}), leaf})},
      {"an extension to nothing", list_of({text({0x11}), text({})})},
      {"an extension to a short hash", list_of({text({0x11}), text(Bytes(31, 1))})},
      {"a leaf without a value", list_of({text({0x20, 0x12}), text({})})},
      {"a leaf with a list as value", list_of({text({0x20, 0x12}), list_of({})})},
      {"a branch with a short hash", branch(text(Bytes(31, 1)))},
      {"a branch with a long hash", branch(text(Bytes(33, 1)))},
      {"a branch with one byte", branch({0x07})},
      {"a node in its parent that should be hashed", branch(list_of({text({0x32}), text(Bytes(29, 1))}))},
      {"a node in its parent that is no node", branch(list_of({}))},
      {"a list as a branch's value", list_of({text({0x00, 0x12}), branch({0x80}, list_of({}))})},
  };
  const Bytes key{0x12};
  for (const auto& [what, node] : rows) {
    const auto found = verify_proof(keccak256(node), key, std::vector<Bytes>{node});
    EXPECT_TRUE(absl::IsInvalidArgument(found.status())) << what << ": " << found.status();
  }
  // Counterparts of the rows above without the mistake, so that the rows are refused for it.
  for (const Bytes& good : {branch(leaf), list_of({text({0x20, 0x12}), text({7})}), list_of({text({0x11}), leaf})}) {
    // The last one has an extension to a leaf: no trie has that, but the proof holds.
    const std::vector<Bytes> nodes{good};
    const auto found = verify_proof(keccak256(good), key, nodes);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(to_hex(found->value()), "0x07");
  }
}

}  // namespace
}  // namespace towline::trie
