#include "tools/devnet/sources.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <chrono>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/raw_block.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline::devnet {
namespace {

absl::string_view as_absl(std::string_view s) { return {s.data(), s.size()}; }

/// By "0x.." number, tag, or 32-byte hash.
sim::BlockPtr find_block(const sim::Chain& chain, std::string_view which) {
  if (which == "latest" || which == "pending") return chain.head();
  if (which == "safe") return chain.safe();
  if (which == "finalized") return chain.finalized();
  if (which == "earliest") return chain.by_number(0);
  if (which.size() == 66) {
    const auto hash = parse_fixed_hex<32>(as_absl(which));
    return hash.ok() ? chain.by_hash(*hash) : nullptr;
  }
  const auto number = parse_quantity(as_absl(which));
  return number.ok() ? chain.by_number(*number) : nullptr;
}

/// A cache of encoded blocks.
class Encodings {
 public:
  std::string get(const Hash32& hash, char kind, const std::function<std::string()>& make) {
    const std::string key = absl::StrCat(std::string(1, kind), towline::to_string(hash.view()));
    {
      const std::lock_guard lock{mutex_};
      if (const auto it = cache_.find(key); it != cache_.end()) return it->second;
    }
    std::string out = make();
    const std::lock_guard lock{mutex_};
    if (bytes_ + out.size() > kMaxBytes) {
      cache_.clear();
      bytes_ = 0;
    }
    bytes_ += out.size();
    cache_[key] = out;
    return out;
  }

 private:
  static constexpr std::size_t kMaxBytes = 1U << 30U;
  std::mutex mutex_;
  std::size_t bytes_ = 0;
  absl::flat_hash_map<std::string, std::string> cache_;
};

/// A block with its true hash and a false header or body.
sim::Block tampered(sim::Block b, const std::string& lie) {
  if (lie == "header") b.header.state_root.bytes[0] ^= 1U;
  if (lie == "body") b.transactions.pop_back();
  return b;
}

/// A head that no node has, with a matching hash.
sim::Block invented(sim::Block b, std::uint64_t block_time) {
  constexpr std::uint64_t kAhead = 7;
  b.header.number += kAhead;
  b.header.timestamp += kAhead * block_time;
  b.header.parent_hash.bytes[0] ^= 1U;
  b.hash = eth::hash_header(b.header);
  return b;
}

/// Waits for the turn of a body in a source with `blocks_per_s`.
void wait_for_a_body(World& world, NodeState& state) {
  std::unique_lock lock{world.mutex};
  ++state.bodies;
  if (state.fault.blocks_per_s <= 0) return;
  const auto each = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(1 / state.fault.blocks_per_s));
  const auto turn = std::max(state.next_body, std::chrono::steady_clock::now());
  state.next_body = turn + each;
  world.changed.wait_until(lock, turn, [&] { return world.stopping || state.fault.blocks_per_s <= 0; });
}

std::string ref_json(const eth::BlockRef& r, const std::string& more = {}) {
  return absl::StrCat(R"({"hash":")", to_hex(r.hash.view()), R"(","number":)", r.number, R"(,"parentHash":")",
                      to_hex(r.parent_hash.view()), R"(","timestamp":)", r.timestamp, more, "}");
}

std::string l2_ref_json(const sim::Chain& chain, const sim::BlockPtr& b) {
  const eth::BlockRef origin = chain.l1_origin(b->header.number);
  std::uint64_t sequence = 0;
  while (sequence < b->header.number && chain.l1_origin(b->header.number - sequence - 1).number == origin.number)
    ++sequence;
  return ref_json(b->ref(), absl::StrCat(R"(,"l1origin":{"hash":")", to_hex(origin.hash.view()), R"(","number":)",
                                         origin.number, R"(},"sequenceNumber":)", sequence));
}

}  // namespace

std::string block_result(const sim::Block& b, bool full) {
  if (full) return towline::testing::block_json(b.header, b.hash, b.transactions);
  std::string out = absl::StrCat("{", towline::testing::header_fields_json(b.header, b.hash),
                                 R"(,"size":"0x1000","uncles":[],"withdrawals":[],"transactions":[)");
  for (std::size_t i = 0; i < b.transactions.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "\"" : ",\"", to_hex(keccak256(b.transactions[i]).view()), "\"");
  }
  return out + "]}";
}

RpcServer::Handler el_source(World& world, NodeState& state) {
  auto cache = std::make_shared<Encodings>();
  return [&world, &state, cache](std::string_view method, simdjson::dom::element params) -> Reply {
    sim::BlockPtr head;
    sim::BlockPtr block;
    Fault fault;
    {
      const std::lock_guard lock{world.mutex};
      const sim::Chain& chain = world.chain_of(state);
      head = chain.head();
      block = find_block(chain, text_param(params, 0));
      fault = state.fault;
    }
    if (method == "eth_chainId")
      return {absl::StrCat("\"", to_quantity(world.chain.options().chain_id + (fault.wrong_chain ? 1 : 0)), "\"")};
    if (method == "net_version")
      return {absl::StrCat("\"", world.chain.options().chain_id + (fault.wrong_chain ? 1 : 0), "\"")};
    if (method == "web3_clientVersion") return {R"("towline-devnet/v1")"};
    if (method == "eth_syncing") return {"false"};
    if (method == "eth_blockNumber") return {absl::StrCat("\"", to_quantity(head->header.number), "\"")};
    const bool by = method == "eth_getBlockByNumber" || method == "eth_getBlockByHash";
    const bool raw_block = method == "debug_getRawBlock";
    const bool raw_header = method == "debug_getRawHeader";
    if (!by && !raw_block && !raw_header) return method_not_found(method);
    const bool gap = fault.gaps && block != nullptr && block->header.number % 3 == 2 && block != head;
    if (gap && block->header.number % 2 == 0) return {"null", 0, true};
    if (block == nullptr || gap) return by ? Reply{"null"} : Reply{"block not found", -32000};
    bool full = false;
    if (by && (!params.is_array() || simdjson::dom::array{params}.at(1).get(full) != simdjson::SUCCESS)) full = false;
    if (full || raw_block) wait_for_a_body(world, state);
    const auto encode = [&](const sim::Block& b) {
      if (by) return block_result(b, full);
      return absl::StrCat(
          "\"", to_hex(raw_block ? eth::encode_raw_block(b.header, b.transactions) : eth::encode_header(b.header)),
          "\"");
    };
    if (fault.lie == "head") {
      if (text_param(params, 0) == "latest") return {encode(invented(*block, world.chain.options().block_time))};
    } else if (!fault.lie.empty() && block->header.number > 0) return {encode(tampered(*block, fault.lie))};
    return {cache->get(block->hash, by ? (full ? 'f' : 'h') : (raw_block ? 'b' : 'r'), [&] { return encode(*block); })};
  };
}

RpcServer::Handler cl_source(World& world, NodeState& state) {
  return [&world, &state](std::string_view method, simdjson::dom::element params) -> Reply {
    const std::lock_guard lock{world.mutex};
    const sim::Chain& c = world.chain_of(state);
    if (method == "optimism_outputAtBlock") {
      const auto block = find_block(c, text_param(params, 0));
      return block == nullptr ? Reply{"not found", -32000}
                              : Reply{absl::StrCat(R"({"blockRef":)", l2_ref_json(c, block), "}")};
    }
    if (method == "optimism_rollupConfig") return {c.rollup_json()};
    if (method == "optimism_version") return {R"("towline-devnet")"};
    if (method != "optimism_syncStatus") return method_not_found(method);
    const std::string head_l1 = ref_json(c.l1_origin(c.head()->header.number));
    return {absl::StrCat(R"({"current_l1":)", head_l1, R"(,"current_l1_finalized":)", head_l1, R"(,"head_l1":)",
                         head_l1, R"(,"safe_l1":)", ref_json(c.l1_origin(c.safe()->header.number)),
                         R"(,"finalized_l1":)", ref_json(c.l1_origin(c.finalized()->header.number)), R"(,"unsafe_l2":)",
                         l2_ref_json(c, c.head()), R"(,"safe_l2":)", l2_ref_json(c, c.safe()), R"(,"finalized_l2":)",
                         l2_ref_json(c, c.finalized()), R"(,"cross_unsafe_l2":)", l2_ref_json(c, c.head()),
                         R"(,"local_safe_l2":)", l2_ref_json(c, c.safe()), "}")};
  };
}

}  // namespace towline::devnet
