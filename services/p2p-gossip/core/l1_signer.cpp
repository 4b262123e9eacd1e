#include "services/p2p-gossip/core/l1_signer.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/rlp/rlp.hpp"
#include "libs/trie/proof.hpp"

namespace towline::gossip {
namespace {

/// A path has 64 nibbles, and each node consumes at least one.
constexpr std::size_t kMaxNodes = 65;

absl::StatusOr<std::vector<Bytes>> nodes_of(simdjson::dom::element object, const char* name) {
  simdjson::dom::array list;
  if (object[name].get(list) != simdjson::SUCCESS) return absl::InvalidArgumentError(absl::StrCat(name, ": missing"));
  if (list.size() > kMaxNodes) return absl::InvalidArgumentError(absl::StrCat(name, ": too many nodes"));
  std::vector<Bytes> out;
  for (const auto node : list) {
    std::string_view text;
    if (node.get(text) != simdjson::SUCCESS) return absl::InvalidArgumentError(absl::StrCat(name, ": not strings"));
    auto bytes = parse_hex({text.data(), text.size()});
    if (!bytes.ok()) return absl::InvalidArgumentError(absl::StrCat(name, ": ", bytes.status().message()));
    out.push_back(*std::move(bytes));
  }
  return out;
}

/// From the RLP of an account: [nonce, balance, storage root, code hash].
absl::StatusOr<Hash32> storage_root(BytesView account) {
  rlp::Reader outer{account};
  TOWLINE_ASSIGN_OR_RETURN(rlp::Reader r, outer.list());
  TOWLINE_RETURN_IF_ERROR(outer.finish());
  TOWLINE_RETURN_IF_ERROR(r.u64().status());
  TOWLINE_RETURN_IF_ERROR(r.u256().status());
  TOWLINE_ASSIGN_OR_RETURN(const Hash32 root, r.fixed<32>());
  TOWLINE_RETURN_IF_ERROR(r.fixed<32>().status());
  TOWLINE_RETURN_IF_ERROR(r.finish());
  return root;
}

}  // namespace

absl::StatusOr<L1Block> read_l1_block(simdjson::dom::element block) {
  TOWLINE_ASSIGN_OR_RETURN(const eth::JsonHeader h, eth::header_from_json(block));
  // An omitted field would shift the later ones, but the state root precedes all optional fields.
  const Hash32 hash = eth::hash_header(h.header);
  if (hash != h.claimed_hash) {
    return absl::DataLossError(absl::StrCat("header ", h.header.number, " hashes to ", short_hex(hash.view()),
                                            ", not to ", short_hex(h.claimed_hash.view())));
  }
  return L1Block{{h.header.number, hash}, h.header.timestamp, h.header.state_root};
}

std::optional<std::uint64_t> common_height(std::vector<std::uint64_t> heads, std::size_t needed) {
  if (heads.size() < needed) return std::nullopt;
  std::sort(heads.begin(), heads.end(), std::greater<>{});
  return heads[needed - 1];
}

std::optional<L1Block> agreed_block(std::span<const L1Block> blocks, std::size_t needed) {
  for (const L1Block& b : blocks)
    if (static_cast<std::size_t>(std::count(blocks.begin(), blocks.end(), b)) >= needed) return b;
  return std::nullopt;
}

absl::StatusOr<Address> prove_signer(const L1Block& at, const Address& system_config, simdjson::dom::element proof) {
  TOWLINE_ASSIGN_OR_RETURN(const auto account_nodes, nodes_of(proof, "accountProof"));
  TOWLINE_ASSIGN_OR_RETURN(const auto account,
                           trie::verify_proof(at.state_root, keccak256(system_config.view()).view(), account_nodes));
  if (!account) {
    return absl::NotFoundError(absl::StrCat("there is no SystemConfig at ", to_hex(system_config.view()), " in block ",
                                            eth::to_string(at.id)));
  }
  TOWLINE_ASSIGN_OR_RETURN(const Hash32 root, storage_root(*account));
  simdjson::dom::array slots;
  if (proof["storageProof"].get(slots) != simdjson::SUCCESS || slots.size() != 1)
    return absl::InvalidArgumentError("storageProof: not of the one slot that was asked for");
  TOWLINE_ASSIGN_OR_RETURN(const auto slot_nodes, nodes_of(slots.at(0), "proof"));
  const Hash32 slot = *parse_fixed_hex<32>(kSignerSlot);
  TOWLINE_ASSIGN_OR_RETURN(const auto value, trie::verify_proof(root, keccak256(slot.view()).view(), slot_nodes));
  if (!value) return Address{};
  rlp::Reader r{*value};
  TOWLINE_ASSIGN_OR_RETURN(const Uint256 word, r.u256());
  TOWLINE_RETURN_IF_ERROR(r.finish());
  return *Address::from(word.view().subspan(12));
}

}  // namespace towline::gossip
