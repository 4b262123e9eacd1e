#include "services/remote-fetcher/actors/bodies.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "services/remote-fetcher/actors/headers.hpp"
#include "services/remote-fetcher/actors/trial.hpp"

namespace towline::fetcher {
namespace {

absl::string_view text(simdjson::dom::element e) {
  std::string_view s;
  if (e.get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

/// A malformed body does not verify either.
absl::Status as_data_loss(const char* field, const absl::Status& st) {
  return absl::DataLossError(absl::StrCat(field, ": ", st.message()));
}

}  // namespace

Bodies::Bodies(Pool& pool, HeadBoard& board, Metrics& metrics)
    : pool_{pool},
      board_{board},
      blocks_{metrics.counter("towline_fetcher_blocks_total", "Verified blocks that were fetched.")},
      refetched_{metrics.counter("towline_fetcher_bodies_refetched_total", "Bodies that had to be asked for again.")} {}

absl::StatusOr<std::vector<Bytes>> Bodies::raw_transactions(std::size_t i, const HashedHeader& wanted,
                                                            std::size_t count, const Cancelled& cancelled) {
  std::vector<Bytes> out;
  while (out.size() < count) {
    TOWLINE_RETURN_IF_ERROR(pool_.take(i, absl::Now() + kPatience, cancelled).status());
    const std::size_t n = std::min(count - out.size(), pool_.get(i).max_batch());
    std::vector<jsonrpc::Call> calls;
    for (std::size_t k = 0; k < n; ++k) {
      calls.push_back({"eth_getRawTransactionByBlockHashAndIndex",
                       absl::StrCat("[\"", to_hex(wanted.hash.view()), "\",\"", to_quantity(out.size() + k), "\"]")});
    }
    const auto reply = pool_.call(i, calls, cancelled);
    if (absl::IsResourceExhausted(reply.status()) && n > 1) continue;
    if (!reply.ok()) return reply.status();
    for (const auto& a : reply->answers.answers) {
      if (a.kind != jsonrpc::Answer::Kind::result || !a.result.is_string())
        return absl::UnimplementedError("it serves no raw transactions");
      auto raw = parse_hex(text(a.result));
      if (!raw.ok()) return as_data_loss("transactions", raw.status());
      out.push_back(*std::move(raw));
    }
  }
  TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, out));
  return out;
}

absl::StatusOr<std::vector<Bytes>> Bodies::read(std::size_t i, const jsonrpc::Answer& a, bool raw,
                                                const HashedHeader& wanted, const Cancelled& cancelled) {
  if (a.kind == jsonrpc::Answer::Kind::error) {
    if (jsonrpc::is_not_found(a.error)) return absl::NotFoundError("not found");
    const std::string why = absl::StrCat("error ", a.error.code, " ", a.error.message);
    if (raw && jsonrpc::is_unsupported(a.error)) return absl::UnimplementedError(why);
    return absl::UnavailableError(why);
  }
  if (a.result.is_null()) return absl::NotFoundError("not found");
  if (raw) {
    const auto bytes = parse_hex(text(a.result));
    if (!bytes.ok()) return as_data_loss("raw block", bytes.status());
    auto block = eth::decode_raw_block(*bytes);
    if (!block.ok()) return as_data_loss("raw block", block.status());
    TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, block->transactions));
    return std::move(block->transactions);
  }
  auto txs = eth::verified_transactions_from_json(a.result, wanted.header);
  if (absl::IsUnimplemented(txs.status())) {
    simdjson::dom::array list;
    if (a.result["transactions"].get(list) != simdjson::SUCCESS) return absl::DataLossError("transactions: missing");
    return raw_transactions(i, wanted, list.size(), cancelled);
  }
  if (absl::IsInvalidArgument(txs.status())) return absl::DataLossError(txs.status().message());
  return txs;
}

absl::StatusOr<std::vector<Served>> Bodies::fetch(std::span<const HashedHeader> wanted, const Cancelled& cancelled,
                                                  std::size_t& bytes) {
  std::vector<Served> out;
  out.reserve(wanted.size());
  absl::Time deadline = absl::Now() + kPatience;
  Trial trial{pool_, board_};
  absl::Status last;
  while (out.size() < wanted.size()) {
    const auto question = [&] {
      return absl::StrCat("block ", wanted[out.size()].header.number, " ", to_hex(wanted[out.size()].hash.view()));
    };
    const auto i = pool_.take_el(trial.asked(), deadline, cancelled);
    if (!i.ok()) {
      if (absl::IsCancelled(i.status())) return i.status();
      return trial.unsolved(question(), last.ok() ? i.status() : last);
    }
    const Endpoint e = pool_.get(*i);
    const bool raw = e.raw_methods();
    const std::size_t n = std::min(wanted.size() - out.size(), e.max_batch());
    std::vector<jsonrpc::Call> calls;
    for (std::size_t k = 0; k < n; ++k) {
      const std::string hash = to_hex(wanted[out.size() + k].hash.view());
      if (raw) calls.push_back({"debug_getRawBlock", absl::StrCat("[\"", hash, "\"]")});
      else calls.push_back({"eth_getBlockByHash", absl::StrCat("[\"", hash, "\",true]")});
    }
    const auto reply = pool_.call(*i, calls, cancelled);
    if (!reply.ok()) {
      if (absl::IsCancelled(reply.status())) return reply.status();
      last = reply.status();
      refetched_.inc(static_cast<double>(n));
      if (absl::Now() > deadline) return trial.unsolved(question(), last);
      continue;
    }
    bytes += reply->bytes;
    for (std::size_t k = 0; k < n; ++k) {
      const HashedHeader& w = wanted[out.size()];
      auto txs = read(*i, reply->answers.answers[k], raw, w, cancelled);
      if (txs.ok()) {
        out.push_back({eth::make_payload(w.header, w.hash, *std::move(txs)), e.name()});
        trial.solved_by(*i);
        deadline = absl::Now() + kPatience;
        continue;
      }
      last = txs.status();
      if (absl::IsCancelled(last)) return last;
      refetched_.inc(static_cast<double>(n - k));
      if (absl::IsDataLoss(last)) {
        trial.does_not_verify(*i, std::string{last.message()});
      } else if (absl::IsNotFound(last)) {
        trial.not_found(*i);
      } else if (absl::IsUnimplemented(last) && raw) {
        // It was taken from it since the probe; JSON will do.
        pool_.update(*i, [](Endpoint& x) { x.on_probed(absl::Now(), Kind::el, false); });
      } else {
        pool_.complain(*i, std::string{last.message()});
        if (absl::IsUnimplemented(last)) trial.skip(*i);
      }
      break;
    }
  }
  board_.clear_unknown_rules();
  blocks_.inc(static_cast<double>(out.size()));
  return out;
}

}  // namespace towline::fetcher
