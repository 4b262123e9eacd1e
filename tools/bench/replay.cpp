// Serves a recorded chain with answers that were encoded before, so that the source costs a bench next to nothing:
//
//   towline-bench-replay CHAIN_FILE source DELAY_MS RAW
//     a JSON-RPC source; each answer leaves DELAY_MS after its request came; RAW 1: with debug_getRawBlock and
//     debug_getRawHeader, 0: without
//   towline-bench-replay CHAIN_FILE engine
//     an Engine API client that answers VALID at once and executes nothing
//
// bench_slow [MS, PERCENT] makes PERCENT of a source's answers MS later. bench_asked answers the number of requests for
// blocks so far, without those for heads. Both answer at once.
//
// Prints its port (of 127.0.0.1) and serves until it is killed. One thread. It trusts its client, the bench: requests
// are hardly checked.
#include <simdjson.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/bench/replay_server.hpp"

namespace {

using towline::bench::Answer;
using towline::bench::Clock;

/// One block; each part is the JSON text of the answer that serves it.
struct Block {
  std::string hash, light, full, raw_block, raw_header;
  std::vector<std::string> raw_transactions;
};

struct Chain {
  std::vector<Block> blocks;
  std::unordered_map<std::string_view, std::size_t> by_hash;
};

/// A field is a length (4 bytes, little endian) and that many bytes. A block is hash, block with transaction hashes,
/// full block, raw block, raw header, the number of transactions as decimal text, and each raw transaction.
bool load(const char* path, Chain& chain) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return false;
  }
  auto field = [&in](std::string& out) {
    std::uint32_t size = 0;
    if (!in.read(reinterpret_cast<char*>(&size), sizeof size)) {
      return false;
    }
    out.resize(size);
    return static_cast<bool>(in.read(out.data(), size));
  };
  Block block;
  while (field(block.hash)) {
    std::string count;
    if (!field(block.light) || !field(block.full) || !field(block.raw_block) || !field(block.raw_header) ||
        !field(count)) {
      return false;
    }
    block.raw_transactions.resize(std::stoul(count));
    for (auto& tx : block.raw_transactions) {
      if (!field(tx)) {
        return false;
      }
    }
    chain.blocks.push_back(std::move(block));
    block = {};
  }
  for (std::size_t i = 0; i < chain.blocks.size(); ++i) {
    chain.by_hash.emplace(chain.blocks[i].hash, i);
  }
  return !chain.blocks.empty();
}

/// The value for the key, or the fallback.
template <typename T>
T value_or(simdjson::simdjson_result<simdjson::dom::element> from, T fallback) {
  T value;
  return from.get(value) == simdjson::SUCCESS ? value : fallback;
}

class Answerer {
 public:
  Answerer(const Chain& chain, bool engine, bool raw, Clock::duration delay)
      : chain_(chain),
        engine_(engine),
        raw_(raw),
        delay_(delay),
        latest_(engine ? 0 : chain.blocks.size() - 1),
        safe_(engine ? kUnset : latest_ - 10),
        finalized_(engine ? kUnset : latest_ - 20) {}

  Answer answer(std::string_view body) {
    std::string out;
    simdjson::dom::element request;
    if (parser_.parse(body.data(), body.size()).get(request) != simdjson::SUCCESS) {
      return {R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}})", delay_};
    }
    if (!engine_ && !request.is_array() && control(request, out)) {
      return {out, Clock::duration::zero()};
    }
    Clock::duration after = delay_ + (rare_(random_) < slow_percent_ ? slow_ : Clock::duration::zero());
    simdjson::dom::element first = request;
    if (request.is_array()) {
      first = value_or(request.at(0), first);
    }
    asked_ += value_or(first["params"].at(0), std::string_view()).starts_with("0x") ? 1U : 0U;
    if (request.is_array()) {
      out += '[';
      for (simdjson::dom::element call : request.get_array()) {
        if (out.size() > 1) {
          out += ',';
        }
        one(call, out);
      }
      out += ']';
    } else {
      one(request, out);
    }
    return {std::move(out), after};
  }

 private:
  static constexpr std::size_t kUnset = SIZE_MAX;

  bool control(simdjson::dom::element call, std::string& out) {
    std::string_view method = value_or(call["method"], std::string_view());
    if (method == "bench_slow") {
      slow_ = std::chrono::milliseconds(value_or(call["params"].at(0), std::int64_t{0}));
      slow_percent_ = value_or(call["params"].at(1), std::int64_t{0});
    } else if (method != "bench_asked") {
      return false;
    }
    out = R"({"jsonrpc":"2.0","id":)" + simdjson::minify(call["id"].value()) + R"(,"result":)" +
          std::to_string(asked_) + "}";
    return true;
  }

  void one(simdjson::dom::element call, std::string& out) {
    out += R"({"jsonrpc":"2.0","id":)";
    simdjson::dom::element id;
    out += call["id"].get(id) == simdjson::SUCCESS ? simdjson::minify(id) : std::string("null");
    out += ',';
    simdjson::dom::array params;
    if (call["params"].get(params) == simdjson::SUCCESS) {
      result(value_or(call["method"], std::string_view()), params, out);
    } else {
      out += R"("error":{"code":-32602,"message":"params must be a list"})";
    }
    out += '}';
  }

  static std::string_view text(simdjson::dom::array params, std::size_t at) {
    return value_or(params.at(at), std::string_view());
  }

  std::size_t by_tag(std::string_view tag) const {
    if (tag == "latest") {
      return latest_;
    }
    if (tag == "safe") {
      return safe_;
    }
    if (tag == "finalized") {
      return finalized_;
    }
    if (tag.size() == 66) {
      auto found = chain_.by_hash.find(tag);
      return found == chain_.by_hash.end() ? kUnset : found->second;
    }
    std::size_t number = kUnset;
    if (tag.size() > 2) {
      std::from_chars(tag.data() + 2, tag.data() + tag.size(), number, 16);
    }
    return number <= latest_ ? number : kUnset;
  }

  void result(std::string_view method, simdjson::dom::array params, std::string& out) {
    if (method == "eth_getBlockByNumber" || method == "eth_getBlockByHash") {
      std::string_view tag = text(params, 0);
      std::size_t at = by_tag(tag);
      bool full = value_or(params.at(1), false);
      if (at == kUnset && (tag == "safe" || tag == "finalized")) {
        out += R"("error":{"code":-32000,"message":")" + std::string(tag) + R"( block not found"})";
      } else {
        out += R"("result":)";
        out += at == kUnset ? "null" : full ? chain_.blocks[at].full : chain_.blocks[at].light;
      }
    } else if (method == "eth_chainId") {
      out += R"("result":"0x385")";
    } else if (method == "eth_blockNumber") {
      char hex[32];
      std::snprintf(hex, sizeof hex, "\"0x%zx\"", latest_);
      out += R"("result":)";
      out += hex;
    } else if (method == "eth_syncing") {
      out += R"("result":false)";
    } else if (method == "web3_clientVersion") {
      out += R"("result":"replay/1")";
    } else if (!engine_ && raw_ && (method == "debug_getRawBlock" || method == "debug_getRawHeader")) {
      std::size_t at = by_tag(text(params, 0));
      out += R"("result":)";
      out += at == kUnset                    ? "null"
             : method == "debug_getRawBlock" ? chain_.blocks[at].raw_block
                                             : chain_.blocks[at].raw_header;
    } else if (!engine_ && method == "eth_getRawTransactionByBlockHashAndIndex") {
      std::size_t at = by_tag(text(params, 0));
      std::size_t index = 0;
      std::string_view hex = text(params, 1);
      std::from_chars(hex.data() + 2, hex.data() + hex.size(), index, 16);
      out += R"("result":)";
      out += at == kUnset || index >= chain_.blocks[at].raw_transactions.size()
                 ? "null"
                 : chain_.blocks[at].raw_transactions[index];
    } else if (engine_ && method.starts_with("engine_newPayload")) {
      std::string_view hash = value_or(params.at(0)["blockHash"], std::string_view());
      out += R"("result":{"status":"VALID","latestValidHash":")" + std::string(hash) + R"(","validationError":null})";
    } else if (engine_ && method.starts_with("engine_") && params.size() == 0) {
      out += R"("error":{"code":-32602,"message":"missing value for required argument 0"})";  // as real clients
    } else if (engine_ && method.starts_with("engine_forkchoiceUpdated")) {
      std::string_view head = value_or(params.at(0)["headBlockHash"], std::string_view());
      std::size_t safe = by_tag(value_or(params.at(0)["safeBlockHash"], std::string_view()));
      std::size_t finalized = by_tag(value_or(params.at(0)["finalizedBlockHash"], std::string_view()));
      latest_ = by_tag(head);
      safe_ = safe == kUnset ? safe_ : safe;
      finalized_ = finalized == kUnset ? finalized_ : finalized;
      out += R"("result":{"payloadStatus":{"status":"VALID","latestValidHash":")" + std::string(head) +
             R"(","validationError":null},"payloadId":null})";
    } else {
      out += R"("error":{"code":-32601,"message":"the method )" + std::string(method) + R"( does not exist"})";
    }
  }

  const Chain& chain_;
  bool engine_, raw_;
  Clock::duration delay_;
  std::size_t latest_, safe_, finalized_;
  std::uint64_t asked_ = 0;
  Clock::duration slow_ = Clock::duration::zero();
  std::int64_t slow_percent_ = 0;
  // Always the same: a run can be repeated.
  std::minstd_rand random_{1};
  std::uniform_int_distribution<std::int64_t> rare_{0, 99};
  simdjson::dom::parser parser_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string_view mode = argc > 2 ? argv[2] : "";
  if ((mode != "source" || argc != 5) && (mode != "engine" || argc != 3)) {
    std::fprintf(stderr, "usage: towline-bench-replay CHAIN_FILE source DELAY_MS RAW | CHAIN_FILE engine\n");
    return 2;
  }
  Chain chain;
  if (!load(argv[1], chain)) {
    std::fprintf(stderr, "towline-bench-replay: %s is not a recorded chain\n", argv[1]);
    return 1;
  }
  bool engine = mode == "engine";
  std::chrono::milliseconds delay(engine ? 0 : std::stol(argv[3]));
  Answerer answerer(chain, engine, !engine && std::string_view(argv[4]) == "1", delay);
  return towline::bench::ReplayServer([&](std::string_view request) { return answerer.answer(request); }).run();
}
