#include "services/remote-fetcher/actors/bodies.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <set>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "libs/eth/raw_block.hpp"
#include "services/remote-fetcher/actors/failover.hpp"
#include "services/remote-fetcher/actors/headers.hpp"

namespace towline::fetcher {
namespace {

/// How much larger than expected an answer may be, and the growth of that room after an answer that was larger.
constexpr std::size_t kMoreRoom = 4;

/// A malformed body counts as one that does not verify.
absl::Status as_data_loss(const char* field, const absl::Status& st) {
  return absl::DataLossError(absl::StrCat(field, ": ", st.message()));
}

}  // namespace

Bodies::Bodies(Pool& pool, const Heads& heads, Metrics& metrics)
    : pool_{pool},
      heads_{heads},
      blocks_{metrics.counter("towline_fetcher_blocks_total", "Verified blocks that were fetched.")},
      refetched_{metrics.counter("towline_fetcher_bodies_refetched_total", "Bodies that had to be asked for again.")} {}

Task<absl::StatusOr<Bodies::Transactions>> Bodies::raw_transactions(std::size_t i, HashedHeader wanted,
                                                                    std::size_t count, std::size_t usual,
                                                                    CancelPtr cancelled) {
  std::vector<std::optional<Bytes>> got(count);
  const absl::Time since = pool_.now();
  while (true) {
    std::vector<std::size_t> left;
    for (std::size_t k = 0; k < count; ++k) {
      if (!got[k]) left.push_back(k);
    }
    if (left.empty()) break;
    Wanted request;
    request.work = Work::bodies;
    request.calls = left.size();
    request.since = since;
    absl::StatusOr<Turn> turn = co_await pool_.turn_with(i, std::move(request), cancelled);
    if (!turn.ok()) co_return turn.status();
    const std::size_t asked = turn->calls;
    std::vector<jsonrpc::Call> calls;
    for (std::size_t k = 0; k < asked; ++k) {
      calls.push_back({"eth_getRawTransactionByBlockHashAndIndex",
                       absl::StrCat("[\"", to_hex(wanted.hash.view()), "\",\"", to_quantity(left[k]), "\"]")});
    }
    const Allowance allowance = allowance_of_bodies(largest_body(wanted.header.gas_limit), usual);
    const absl::StatusOr<Reply> reply = co_await pool_.call(*std::move(turn), std::move(calls), allowance, cancelled);
    if (absl::IsCancelled(reply.status()) || (!reply.ok() && pool_.out_of_patience(since))) co_return reply.status();
    if (absl::IsOutOfRange(reply.status())) usual *= kMoreRoom;
    if (!reply.ok()) continue;
    for (std::size_t k = 0; k < asked; ++k) {
      const auto& a = reply->at(k);
      if (a.kind == jsonrpc::Answer::Kind::missing) continue;
      if (a.kind == jsonrpc::Answer::Kind::result && a.result.is_null()) co_return absl::NotFoundError("not found");
      if (a.kind != jsonrpc::Answer::Kind::result || !a.result.is_string())
        co_return absl::UnimplementedError("it serves no raw transactions");
      auto raw = parse_hex(jsonrpc::text(a.result));
      if (!raw.ok()) co_return as_data_loss("transactions", raw.status());
      got[left[k]] = *std::move(raw);
    }
  }
  Transactions out;
  out.reserve(count);
  for (auto& t : got) out.push_back(*std::move(t));
  auto job = [out = std::move(out), wanted]() mutable -> absl::StatusOr<Transactions> {
    TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, out));
    return std::move(out);
  };
  co_return co_await computed(pool_.host(), false, std::move(job));
}

Bodies::Result Bodies::result_of(absl::StatusOr<Transactions> txs, const HashedHeader& wanted) {
  Result out;
  if (!txs.ok()) {
    out.payload = txs.status();
    return out;
  }
  out.transactions = txs->size();
  for (const Bytes& t : *txs) out.raw_bytes += t.size();
  out.payload = eth::make_payload(wanted.header, wanted.hash, *std::move(txs));
  return out;
}

Bodies::Results Bodies::read_all(const jsonrpc::Answers& answers, bool raw, const std::vector<Question>& questions) {
  Results out(questions.size());
  for (std::size_t k = 0; k < questions.size(); ++k) {
    const auto& a = answers.answers[k];
    if (a.kind == jsonrpc::Answer::Kind::missing) continue;
    std::size_t unreadable = 0;
    out[k] = result_of(read(a, raw, questions[k], unreadable), questions[k].wanted);
    out[k].absence = jsonrpc::absence(a);
    out[k].unreadable = unreadable;
    if (!out[k].payload.ok() && !absl::IsNotFound(out[k].payload.status())) break;
  }
  return out;
}

absl::StatusOr<Bodies::Transactions> Bodies::read(const jsonrpc::Answer& a, bool raw, const Question& q,
                                                  std::size_t& unreadable) {
  const HashedHeader& wanted = q.wanted;
  if (jsonrpc::absence(a) != jsonrpc::Absence::none) return absl::NotFoundError("not found");
  if (a.kind == jsonrpc::Answer::Kind::error) {
    const std::string why = absl::StrCat("error ", a.error.code, " ", a.error.message);
    if (raw && jsonrpc::is_unsupported(a.error)) return absl::UnimplementedError(why);
    return absl::UnavailableError(why);
  }
  if (raw) {
    const auto bytes = parse_hex(jsonrpc::text(a.result));
    if (!bytes.ok()) return as_data_loss("raw block", bytes.status());
    auto block = eth::decode_raw_block(*bytes);
    if (!block.ok()) return as_data_loss("raw block", block.status());
    if (q.by_number && eth::hash_header(block->header) != wanted.hash) return absl::NotFoundError("another branch");
    TOWLINE_RETURN_IF_ERROR(eth::verify_body(wanted.header, block->transactions));
    return std::move(block->transactions);
  }
  simdjson::dom::element hash;
  if (q.by_number &&
      (a.result["hash"].get(hash) != simdjson::SUCCESS || jsonrpc::text(hash) != to_hex(wanted.hash.view())))
    return absl::NotFoundError("another branch");
  auto txs = eth::verified_transactions_from_json(a.result, wanted.header);
  if (absl::IsUnimplemented(txs.status())) {
    simdjson::dom::array list;
    if (a.result["transactions"].get(list) != simdjson::SUCCESS) return absl::DataLossError("transactions: missing");
    unreadable = list.size();
  }
  if (absl::IsInvalidArgument(txs.status())) return absl::DataLossError(txs.status().message());
  return txs;
}

Task<absl::StatusOr<std::vector<Served>>> Bodies::fetch(std::vector<HashedHeader> wanted, std::size_t expected,
                                                        bool urgent, CancelPtr cancelled, std::size_t* bytes) {
  std::vector<std::optional<Served>> got(wanted.size());
  /// The blocks to ask for by number: a replica may know a new block only by its number.
  std::set<std::size_t> by_number;
  absl::Time since = pool_.now();
  std::size_t usual = std::max<std::size_t>(kLeastGuess, expected * kMoreRoom);
  Failover trial{pool_, heads_};
  absl::Status last;
  while (true) {
    std::vector<std::size_t> left;
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      if (!got[k]) left.push_back(k);
    }
    if (left.empty()) break;
    const HashedHeader& first = wanted[left.front()];
    const auto question = [&] { return absl::StrCat("block ", first.header.number, " ", to_hex(first.hash.view())); };
    Wanted request;
    request.work = Work::bodies;
    request.calls = left.size();
    request.except = trial.asked();
    request.number = first.header.number;
    request.since = since;
    request.urgent = urgent;
    const Hedge hedge{request.except, request.number};
    absl::StatusOr<Turn> turn = co_await pool_.turn(std::move(request), cancelled);
    if (!turn.ok()) co_return trial.no_turn(question(), turn.status(), last);
    const bool raw = pool_.get(turn->endpoint).raw_methods();
    const auto by_name = [&](std::size_t k) {
      const HashedHeader& w = wanted[left[k]];
      return by_number.contains(left[k]) ? to_quantity(w.header.number) : to_hex(w.hash.view());
    };
    std::vector<jsonrpc::Call> calls;
    std::vector<Question> questions;
    std::size_t largest = 0;
    for (std::size_t k = 0; k < turn->calls; ++k) {
      largest += largest_body(wanted[left[k]].header.gas_limit);
      questions.push_back({wanted[left[k]], by_number.contains(left[k])});
      if (raw) calls.push_back({"debug_getRawBlock", absl::StrCat("[\"", by_name(k), "\"]")});
      else
        calls.push_back({by_number.contains(left[k]) ? "eth_getBlockByNumber" : "eth_getBlockByHash",
                         absl::StrCat("[\"", by_name(k), "\",true]")});
    }
    const std::size_t asked = calls.size();
    const Allowance allowance = allowance_of_bodies(largest, usual);
    absl::StatusOr<Reply> reply = co_await pool_.call(*std::move(turn), std::move(calls), allowance, cancelled, hedge);
    if (!reply.ok()) {
      if (absl::IsCancelled(reply.status())) co_return reply.status();
      if (absl::IsOutOfRange(reply.status())) {
        usual *= kMoreRoom;
        continue;
      }
      last = reply.status();
      refetched_.inc(static_cast<double>(asked));
      if (pool_.out_of_patience(since)) co_return trial.unsolved(question(), last);
      continue;
    }
    const std::size_t i = reply->endpoint;
    *bytes += reply->bytes;
    const std::shared_ptr<const jsonrpc::Answers> answers = reply->answers;
    const auto shared = std::make_shared<const std::vector<Question>>(std::move(questions));
    auto job = [answers, raw, shared] { return read_all(*answers, raw, *shared); };
    Results results = co_await computed(pool_.host(), urgent, std::move(job));
    std::size_t verified = 0;
    std::size_t raw_bytes = 0;
    std::size_t transactions = 0;
    for (std::size_t k = 0; k < asked; ++k) {
      if (answers->answers[k].kind == jsonrpc::Answer::Kind::missing) continue;
      const HashedHeader& w = wanted[left[k]];
      Result& result = results[k];
      const jsonrpc::Absence absence = result.absence;
      const bool in_json = absl::IsUnimplemented(result.payload.status()) && !raw;
      if (in_json) {
        // Releases the reply's memory share before other requests are made.
        reply = absl::CancelledError();
        absl::StatusOr<Transactions> txs = co_await raw_transactions(i, w, result.unreadable, usual, cancelled);
        result = result_of(std::move(txs), w);
      }
      if (result.payload.ok()) {
        ++verified;
        transactions += result.transactions;
        raw_bytes += result.raw_bytes;
        got[left[k]] = Served{*std::move(result.payload), pool_.name(i)};
        trial.solved_by(i);
        since = pool_.now();
        if (in_json) break;
        continue;
      }
      last = result.payload.status();
      if (absl::IsCancelled(last)) co_return last;
      refetched_.inc();
      if (absl::IsDataLoss(last)) {
        trial.does_not_verify(i, std::string{last.message()});
      } else if (absl::IsNotFound(last)) {
        const bool gone = pool_.note_absent(i, w.header.number, absence);
        if (!gone && by_number.insert(left[k]).second) continue;
        trial.not_found(i);
      } else if (absl::IsUnimplemented(last) && raw) {
        // debug_getRawBlock was removed since the probe; JSON will do.
        pool_.update(i, [](Endpoint& e) { e.set_raw_methods(false); });
      } else if (absl::IsUnimplemented(last)) {
        const std::string why = absl::StrCat(question(), ": ", last.message());
        pool_.update(i, [&](Endpoint& e) { e.on_unknown_transactions(pool_.now(), why); });
        trial.skip(i);
      } else {
        pool_.useless(i, Problem::not_json_rpc, std::string{last.message()});
        if (pool_.out_of_patience(since)) co_return trial.unsolved(question(), last);
      }
      break;
    }
    if (reply.ok() && verified == asked && padded(reply->bytes, verified, transactions, raw_bytes))
      pool_.report_bad_data(i, "size",
                            absl::StrCat("an answer of ", reply->bytes, " bytes for ", verified, " blocks with ",
                                         transactions, " transactions of ", raw_bytes, " bytes"));
  }
  heads_.clear_unknown_rules();
  blocks_.inc(static_cast<double>(wanted.size()));
  std::vector<Served> out;
  out.reserve(got.size());
  for (auto& s : got) out.push_back(*std::move(s));
  co_return out;
}

}  // namespace towline::fetcher
