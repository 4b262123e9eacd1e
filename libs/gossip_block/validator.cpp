#include "libs/gossip_block/validator.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/eth/payload.hpp"

namespace towline::gossip_block {
namespace {

constexpr std::size_t kSignature = 65, kMinMessage = 66;
constexpr std::size_t kHeights = 1000, kMaxPerHeight = 5;

}  // namespace

const char* name(Failure r) {
  switch (r) {
    case Failure::none: return "none";
    case Failure::snappy: return "snappy";
    case Failure::no_signer: return "no_signer";
    case Failure::signature: return "signature";
    case Failure::ssz: return "ssz";
    case Failure::too_old: return "too_old";
    case Failure::too_new: return "too_new";
    case Failure::block_hash: return "block_hash";
    case Failure::withdrawals: return "withdrawals";
    case Failure::blob_gas: return "blob_gas";
    case Failure::excess_blob_gas: return "excess_blob_gas";
    case Failure::too_many_at_height: return "too_many_at_height";
    case Failure::seen: return "seen";
  }
  return "?";
}

Result result_of(Failure r) {
  if (r == Failure::none) return Result::accept;
  return r == Failure::no_signer || r == Failure::seen ? Result::ignore : Result::reject;
}

bool is_of_form(Failure r) {
  return r == Failure::ssz || r == Failure::block_hash || r == Failure::withdrawals || r == Failure::blob_gas ||
         r == Failure::excess_blob_gas;
}

Checked check(const rollup::Config& config, const Options& options, PayloadVersion version, const Bytes* body,
              const std::vector<Address>& signers, absl::Time now) {
  Checked out;
  const auto fail = [&](Failure rule, std::string why) {
    out.rule = rule;
    out.why = std::move(why);
    return out;
  };
  if (body == nullptr) return fail(Failure::snappy, "the message is not snappy, or larger than 10 MiB");
  if (body->size() < kMinMessage) return fail(Failure::snappy, "the message is too short for a signature and a block");
  if (signers.empty()) return fail(Failure::no_signer, "no unsafe block signer is known");

  out.signature = *secp256k1::RecoverableSignature::from(BytesView{*body}.first(kSignature));
  BytesView rest = BytesView{*body}.subspan(kSignature);
  const auto key = secp256k1::recover(signing_hash(options.chain_id, rest), out.signature);
  if (!key.ok()) return fail(Failure::signature, "the signature is malformed");
  out.signer = secp256k1::address_of(*key);
  if (std::find(signers.begin(), signers.end(), *out.signer) == signers.end())
    return fail(Failure::signature,
                absl::StrCat("signed by ", to_hex(out.signer->view()), ", who is not the chain's signer"));

  std::optional<Hash32> beacon_root;
  if (version >= PayloadVersion::v3) {
    if (rest.size() < Hash32::kSize) return fail(Failure::ssz, "the parent beacon block root is missing");
    beacon_root = *Hash32::from(rest.first(Hash32::kSize));
    rest = rest.subspan(Hash32::kSize);
  }
  auto decoded = eth::decode_ssz(version, rest);
  if (!decoded.ok()) return fail(Failure::ssz, std::string{decoded.status().message()});
  decoded->payload.parent_beacon_block_root = beacon_root;
  const std::size_t withdrawals = decoded->withdrawals;
  out.payload = std::make_shared<const eth::Payload>(std::move(decoded->payload));
  const eth::Payload& p = *out.payload;

  // As floating-point numbers, since a time from the network may have any value.
  const auto time = static_cast<double>(p.timestamp);
  // In whole seconds, as in op-node, so that we refuse no block that op-node passes on.
  const double off = time - static_cast<double>(absl::ToUnixSeconds(now));
  if (off < -absl::ToDoubleSeconds(options.past))
    return fail(Failure::too_old, absl::StrCat("its time is ", static_cast<std::int64_t>(-off), " s ago"));
  if (off > absl::ToDoubleSeconds(options.future)) return fail(Failure::too_new, "its time is in the future");
  if (const Hash32 h = eth::hash_of(p); h != p.block_hash)
    return fail(Failure::block_hash,
                absl::StrCat("its fields give the hash ", to_hex(h.view()), ", it says ", to_hex(p.block_hash.view())));
  if (withdrawals > 0) return fail(Failure::withdrawals, "it lists withdrawals");
  // The layout of the version decides which fields are present; only their values are left to check.
  if (p.blob_gas_used.value_or(0) != 0 && config.fork_at(p.timestamp) < rollup::Fork::jovian)
    return fail(Failure::blob_gas, "it has blob gas before Jovian");
  if (p.excess_blob_gas.value_or(0) != 0) return fail(Failure::excess_blob_gas, "it has excess blob gas");
  return out;
}

Failure SeenBlocks::admit(const eth::BlockId& block) {
  const auto [it, added] = heights_.try_emplace(block.number);
  Height& h = it->second;
  if (!added) ages_.erase(h.age);
  h.age = ages_.insert(ages_.end(), block.number);
  if (heights_.size() > kHeights) {
    heights_.erase(ages_.front());
    ages_.pop_front();
    return admit(block);  // erasing may have moved the entries
  }
  // op-node counts before it checks whether the block is known.
  if (h.hashes.size() > kMaxPerHeight) return Failure::too_many_at_height;
  if (std::find(h.hashes.begin(), h.hashes.end(), block.hash) != h.hashes.end()) return Failure::seen;
  h.hashes.push_back(block.hash);
  return Failure::none;
}

}  // namespace towline::gossip_block
