// A JSON-RPC node for tests: a chain with real hashes over HTTP, with the faults that a source can have, which can be
// switched while it runs.
#pragma once
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/time/clock.h>
#include <httplib.h>
#include <simdjson.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "libs/eth/raw_block.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline::fetcher::testing {

using towline::testing::SampleBlock;

/// A chain of `count` linked blocks from number 0; `branch_seed` changes the blocks from `fork_at` on.
inline std::vector<SampleBlock> make_chain(std::size_t count, std::uint64_t branch_seed = 0,
                                           std::size_t fork_at = SIZE_MAX, std::size_t input_size = 40) {
  std::vector<SampleBlock> out;
  for (std::size_t n = 0; n < count; ++n) {
    SampleBlock b = towline::testing::sample_block(n >= fork_at ? n + branch_seed : n, 1 + n % 3, input_size);
    b.header.number = n;
    b.header.timestamp = 1'700'000'000 + 2 * n;
    b.header.parent_hash = n == 0 ? Hash32{} : out.back().hash;
    b.hash = eth::hash_header(b.header);
    out.push_back(std::move(b));
  }
  return out;
}

class FakeNode {
 public:
  struct Faults {
    std::atomic<bool> hang{false}, lie_in_body{false}, lie_in_header{false}, html{false}, truncate{false},
        slow_drip{false}, no_batches{false}, batch_gaps{false}, raw{false}, bodies_gone{false};
    std::atomic<std::uint64_t> chain_id{901};
    std::atomic<std::size_t> oversize{0};         // padding in bytes
    std::atomic<std::size_t> batch_limit{1000};   // HTTP 413 above this size
    std::atomic<int> rate_limit{0};               // this many answers are 429 with a wait of one second
    std::atomic<bool> rate_limit_in_body{false};  // the wait is in the error object instead of Retry-After
    std::atomic<int> delay_ms{0};
    std::atomic<bool> new_type{false};  // JSON bodies have an unknown transaction type
  } faults;

  explicit FakeNode(std::vector<SampleBlock> chain, bool cl = false) : cl_{cl} {
    set_chain(std::move(chain));
    server_.new_task_queue = [] { return new httplib::ThreadPool{24}; };
    server_.set_tcp_nodelay(true);
    server_.set_keep_alive_max_count(100'000);
    server_.Post(".*", [this](const httplib::Request& req, httplib::Response& res) { serve(req, res); });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~FakeNode() { stop(); }
  void stop() {
    stopping_ = true;
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_); }
  void set_chain(std::vector<SampleBlock> chain) {
    std::lock_guard lock{mutex_};
    chain_ = std::move(chain);
    by_hash_.clear();
    for (const auto& b : chain_) by_hash_[to_hex(b.hash.view())] = b.header.number;
    full_.assign(chain_.size(), {});
    latest_ = chain_.size() - 1;
    safe_ = latest_ / 2;
    finalized_ = latest_ / 4;
  }
  void set_labels(std::uint64_t latest, std::uint64_t safe, std::uint64_t finalized) {
    std::lock_guard lock{mutex_};
    latest_ = latest, safe_ = safe, finalized_ = finalized;
  }
  int requests() const { return requests_; }
  /// The number of requests that arrived within `d` after the last rate-limit answer.
  std::ptrdiff_t requests_after_limit(absl::Duration d) const {
    std::lock_guard lock{mutex_};
    return std::count_if(arrivals_.begin(), arrivals_.end(),
                         [&](absl::Time t) { return t > limited_at_ && t < limited_at_ + d; });
  }
  int calls(const std::string& method) const {
    std::lock_guard lock{mutex_};
    const auto it = calls_.find(method);
    return it == calls_.end() ? 0 : it->second;
  }

 private:
  void serve(const httplib::Request& req, httplib::Response& res) {
    ++requests_;
    {
      std::lock_guard lock{mutex_};
      arrivals_.push_back(absl::Now());
    }
    for (int waited = 0; !stopping_ && (faults.hang || waited < faults.delay_ms); waited += 5)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    if (faults.rate_limit > 0) {
      --faults.rate_limit;
      {
        std::lock_guard lock{mutex_};
        limited_at_ = absl::Now();
      }
      res.status = 429;
      if (!faults.rate_limit_in_body) return res.set_header("Retry-After", "1");
      return res.set_content(
          R"({"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"project ID request rate exceeded",)"
          R"("data":{"rate":{"backoff_seconds":1}}}})",
          kType);
    }
    if (faults.html) return res.set_content("<html><body>502 Bad Gateway</body></html>", kType);
    simdjson::dom::parser parser;
    const simdjson::dom::element doc = parser.parse(req.body).value();
    std::string out;
    if (simdjson::dom::array calls; doc.get(calls) == simdjson::SUCCESS) {
      if (faults.no_batches)
        return res.set_content(
            R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch requests are not supported"}})",
            kType);
      if (calls.size() > faults.batch_limit) {
        res.status = 413;
        return;
      }
      out = "[";
      std::size_t k = 0;
      for (const auto call : calls) {
        // A gap in the batch.
        if (faults.batch_gaps && calls.size() > 3 && k++ == 1) continue;
        absl::StrAppend(&out, out.size() > 1 ? "," : "", answer(call));
      }
      out += "]";
    } else {
      out = answer(doc);
    }
    if (faults.oversize > 0) out.append(faults.oversize, ' ');
    if (faults.truncate) out.resize(out.size() / 2);
    if (faults.slow_drip) {
      res.set_content_provider(out.size(), kType, [this, out](std::size_t at, std::size_t, httplib::DataSink& sink) {
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
        return !stopping_ && sink.write(out.data() + at, 1);
      });
      return;
    }
    res.set_content(out, kType);
  }

  std::string answer(simdjson::dom::element call) {
    const std::string method{call["method"].get_string().value()};
    std::lock_guard lock{mutex_};
    ++calls_[method];
    return absl::StrCat(R"({"jsonrpc":"2.0","id":)", call["id"].get_uint64().value(), ",", result(method, call), "}");
  }

  std::optional<std::uint64_t> find(std::string_view tag) const {
    if (tag == "latest") return latest_;
    if (tag == "safe") return safe_;
    if (tag == "finalized") return finalized_;
    if (tag.size() == 66) {
      const auto it = by_hash_.find(std::string{tag});
      if (it == by_hash_.end()) return std::nullopt;
      return it->second;
    }
    const std::uint64_t n = *parse_quantity({tag.data(), tag.size()});
    if (n > latest_) return std::nullopt;
    return n;
  }

  std::string block_ref(std::uint64_t n) const {
    const auto& b = chain_[n];
    return absl::StrCat(R"({"hash":")", to_hex(b.hash.view()), R"(","number":)", n, R"(,"parentHash":")",
                        to_hex(b.header.parent_hash.view()), R"(","timestamp":)", b.header.timestamp, "}");
  }

  std::string result(const std::string& method, simdjson::dom::element call) {
    const std::string unsupported = absl::StrCat(R"("error":{"code":-32601,"message":"the method )", method,
                                                 R"( does not exist/is not available"})");
    if (method == "optimism_syncStatus") {
      if (!cl_) return unsupported;
      return absl::StrCat(R"("result":{"current_l1":)", block_ref(1), R"(,"unsafe_l2":)", block_ref(latest_),
                          R"(,"local_safe_l2":)", block_ref(safe_), R"(,"safe_l2":)", block_ref(safe_),
                          R"(,"finalized_l2":)", block_ref(finalized_), "}");
    }
    if (method == "optimism_rollupConfig" && cl_)
      return absl::StrCat(R"("result":{"l2_chain_id":)", faults.chain_id.load(), "}");
    if (method == "optimism_outputAtBlock" && cl_) {
      const auto n = find(call["params"].get_array().value().at(0).get_string().value());
      if (!n) return R"("error":{"code":-32000,"message":"not found"})";
      return absl::StrCat(R"("result":{"blockRef":)", block_ref(*n), "}");
    }
    if (cl_) return unsupported;
    if (method == "eth_chainId") return absl::StrCat(R"("result":")", to_quantity(faults.chain_id.load()), "\"");
    const bool raw_block = method == "debug_getRawBlock";
    if (raw_block && !faults.raw) return unsupported;
    if (!raw_block && method != "eth_getBlockByNumber" && method != "eth_getBlockByHash" &&
        method != "eth_getRawTransactionByBlockHashAndIndex")
      return unsupported;
    const auto params = call["params"].get_array().value();
    const auto n = find(params.at(0).get_string().value());
    if (!n) return R"("result":null)";
    const SampleBlock& b = chain_[*n];
    std::vector<Bytes> txs = b.transactions;
    if (faults.lie_in_body) txs = chain_[(*n + 1) % chain_.size()].transactions;
    if (method == "eth_getRawTransactionByBlockHashAndIndex") {
      const std::uint64_t at =
          *parse_quantity({params.at(1).get_string().value().data(), params.at(1).get_string().value().size()});
      return absl::StrCat(R"("result":")", to_hex(txs.at(at)), "\"");
    }
    if (raw_block) return absl::StrCat(R"("result":")", to_hex(eth::encode_raw_block(b.header, txs)), "\"");
    eth::Header h = b.header;
    if (faults.lie_in_header) h.gas_used += 1;
    if (params.at(1).get_bool().value()) {
      if (faults.bodies_gone) return R"("result":null)";
      const bool honest = !faults.lie_in_body && !faults.lie_in_header;
      std::string json = honest ? full_[*n] : std::string{};
      if (json.empty()) json = towline::testing::block_json(h, b.hash, txs);
      if (honest) full_[*n] = json;
      if (faults.new_type) json = absl::StrReplaceAll(json, {{R"("type":"0x2")", R"("type":"0x55")"}});
      return absl::StrCat("\"result\":", json);
    }
    return absl::StrCat("\"result\":{", towline::testing::header_fields_json(h, b.hash), R"(,"transactions":[]})");
  }

  /// A content type that the library does not try to compress.
  static constexpr const char* kType = "application/octet-stream";
  const bool cl_;
  mutable std::mutex mutex_;
  std::vector<SampleBlock> chain_;
  std::vector<std::string> full_;  // honest answers, cached
  std::map<std::string, std::uint64_t> by_hash_;
  std::uint64_t latest_ = 0, safe_ = 0, finalized_ = 0;
  std::map<std::string, int> calls_;
  std::vector<absl::Time> arrivals_;
  absl::Time limited_at_ = absl::InfinitePast();
  std::atomic<int> requests_{0};
  std::atomic<bool> stopping_{false};
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace towline::fetcher::testing
