#include "services/remote-fetcher/actors/headers.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <numeric>
#include <thread>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "services/remote-fetcher/actors/trial.hpp"

namespace towline::fetcher {
namespace {

constexpr std::size_t kWorkers = 16;

std::vector<std::uint64_t> range(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

}  // namespace

absl::StatusOr<std::vector<std::optional<HashedHeader>>> Headers::batch(std::size_t i,
                                                                        std::span<const std::uint64_t> numbers,
                                                                        const Cancelled& cancelled) {
  std::vector<jsonrpc::Call> calls;
  for (const std::uint64_t n : numbers)
    calls.push_back({"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(n), "\",false]")});
  TOWLINE_ASSIGN_OR_RETURN(const auto reply, pool_.call(i, calls, cancelled));
  std::vector<std::optional<HashedHeader>> out(numbers.size());
  const auto useless = [&](const std::string& why) {
    pool_.complain(i, why);
    return absl::UnavailableError(why);
  };
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const auto& a = reply.answers.answers[k];
    if (a.kind == jsonrpc::Answer::Kind::error) {
      if (jsonrpc::is_not_found(a.error)) continue;
      return useless(absl::StrCat("header ", numbers[k], ": error ", a.error.code, " ", a.error.message));
    }
    if (a.result.is_null()) continue;
    auto h = eth::header_from_json(a.result);
    if (!h.ok()) return useless(absl::StrCat("header ", numbers[k], ": ", h.status().message()));
    const Hash32 hash = eth::hash_header(h->header);
    if (hash != h->claimed_hash) {
      return absl::DataLossError(absl::StrCat("hash: header ", numbers[k], " is claimed to be ",
                                              to_hex(h->claimed_hash.view()), " but hashes to ", to_hex(hash.view())));
    }
    if (h->header.number != numbers[k])
      return absl::DataLossError(absl::StrCat("number: asked for header ", numbers[k], ", got ", h->header.number));
    out[k] = HashedHeader{hash, std::move(h->header)};
  }
  return out;
}

absl::StatusOr<Headers::View> Headers::view_of(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                               const Cancelled& cancelled) {
  View out;
  out.endpoint = pool_.name(i);
  bool taken = true;
  for (std::size_t at = 0; at < numbers.size();) {
    // The rest from the same endpoint: one view of the chain.
    if (!taken) TOWLINE_RETURN_IF_ERROR(pool_.take(i, absl::Now() + kPatience, cancelled).status());
    taken = false;
    const std::size_t n = std::min(pool_.get(i).max_batch(), numbers.size() - at);
    auto got = batch(i, std::span{numbers}.subspan(at, n), cancelled);
    if (absl::IsResourceExhausted(got.status()) && n > 1) continue;
    if (!got.ok()) return got.status();
    for (const auto& h : *got) {
      if (h) out.headers.push_back(eth::ref_of(h->header, h->hash));
    }
    at += n;
  }
  return out;
}

absl::StatusOr<Headers::View> Headers::by_numbers(const std::vector<std::uint64_t>& numbers,
                                                  std::optional<std::size_t> prefer, const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + kPatience;
  Trial trial{pool_, board_};
  absl::Status last;
  while (true) {
    const auto i = pool_.take_el(trial.asked(), deadline, cancelled, prefer);
    if (!i.ok()) {
      if (absl::IsCancelled(i.status())) return i.status();
      return trial.unsolved("headers by number", last.ok() ? i.status() : last);
    }
    auto view = view_of(*i, numbers, cancelled);
    if (view.ok()) {
      trial.solved_by(*i);
      return view;
    }
    last = view.status();
    if (absl::IsCancelled(last)) return last;
    if (absl::IsDataLoss(last)) trial.does_not_verify(*i, std::string{last.message()});
    else trial.skip(*i);
  }
}

absl::StatusOr<eth::Header> Headers::by_hash(const Hash32& hash, const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + kPatience;
  Trial trial{pool_, board_};
  absl::Status last;
  while (true) {
    const auto i = pool_.take_el(trial.asked(), deadline, cancelled);
    if (!i.ok()) {
      if (absl::IsCancelled(i.status())) return i.status();
      return trial.unsolved(absl::StrCat("block ", to_hex(hash.view())), last.ok() ? i.status() : last);
    }
    const auto reply =
        pool_.call(*i, {{"eth_getBlockByHash", absl::StrCat("[\"", to_hex(hash.view()), "\",false]")}}, cancelled);
    if (absl::IsCancelled(reply.status())) return reply.status();
    if (!reply.ok()) {
      last = reply.status();
      trial.skip(*i);
      continue;
    }
    const auto& a = reply->answers.answers[0];
    if (a.kind == jsonrpc::Answer::Kind::error ? jsonrpc::is_not_found(a.error) : a.result.is_null()) {
      trial.not_found(*i);
      continue;
    }
    auto h = a.kind == jsonrpc::Answer::Kind::result ? eth::header_from_json(a.result)
                                                     : absl::StatusOr<eth::JsonHeader>{absl::UnavailableError(
                                                           absl::StrCat("error ", a.error.code, " ", a.error.message))};
    if (!h.ok()) {
      last = h.status();
      pool_.complain(*i, std::string{last.message()});
      trial.skip(*i);
      continue;
    }
    if (auto st = eth::verify_header(h->header, hash); !st.ok()) {
      last = st;
      trial.does_not_verify(*i, std::string{st.message()});
      continue;
    }
    trial.solved_by(*i);
    return std::move(h->header);
  }
}

absl::StatusOr<eth::BlockId> Headers::agreed(std::uint64_t number, const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + kPatience;
  const auto ask = [&](std::size_t i) -> std::optional<eth::BlockId> {
    if (!pool_.take(i, deadline, cancelled).ok()) return std::nullopt;
    const auto got = batch(i, std::span{&number, 1}, cancelled);
    if (!got.ok() || !got->front()) return std::nullopt;
    return eth::BlockId{number, got->front()->hash};
  };
  std::vector<std::future<std::optional<eth::BlockId>>> answers;
  for (const std::size_t i : pool_.usable_els()) answers.push_back(std::async(std::launch::async, ask, i));
  std::optional<eth::BlockId> out;
  absl::Status disagreement;
  for (auto& a : answers) {
    const auto id = a.get();
    if (!id) continue;
    if (out && *out != *id)
      disagreement = absl::UnavailableError(absl::StrCat("sources disagree about block ", number, ": ",
                                                         eth::to_string(*out), " and ", eth::to_string(*id)));
    out = id;
  }
  if (cancelled()) return absl::CancelledError("cancelled");
  TOWLINE_RETURN_IF_ERROR(disagreement);
  if (!out) return absl::UnavailableError(absl::StrCat("no source gives block ", number));
  return *out;
}

absl::Status Headers::fill(ChainProof& proof, const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + kPatience;
  const std::size_t total = proof.size();
  const std::uint64_t first = proof.first();
  constexpr std::size_t kWidth = Endpoint::kMaxBatch;
  const std::size_t batches = (total + kWidth - 1) / kWidth;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards proof and failure
  absl::Status failure;
  const auto fetch = [&](std::size_t at, std::size_t end) -> absl::Status {
    Trial trial{pool_, board_};
    absl::Status last;
    while (at < end) {
      const auto i = pool_.take_el(trial.asked(), deadline, cancelled);
      if (!i.ok()) {
        if (absl::IsCancelled(i.status())) return i.status();
        return trial.unsolved(absl::StrCat("header ", first + at), last.ok() ? i.status() : last);
      }
      const std::size_t n = std::min(end - at, pool_.get(*i).max_batch());
      auto got = batch(*i, range(first + at, n), cancelled);
      if (!got.ok()) {
        last = got.status();
        if (absl::IsCancelled(last)) return last;
        if (absl::Now() > deadline) return trial.unsolved(absl::StrCat("header ", first + at), last);
        // Others than who lied; one that failed is asked again when nobody else can: its back-off paces it.
        if (absl::IsDataLoss(last)) trial.does_not_verify(*i, std::string{last.message()});
        continue;
      }
      trial.solved_by(*i);
      std::lock_guard lock{mutex};
      for (auto& h : *got) {
        if (h) proof.put(*std::move(h), *i);
      }
      at += n;
    }
    return absl::OkStatus();
  };
  const auto work = [&] {
    for (std::size_t b = next++; b < batches; b = next++) {
      const absl::Status st = fetch(b * kWidth, std::min((b + 1) * kWidth, total));
      if (st.ok()) continue;
      std::lock_guard lock{mutex};
      failure = st;
      next = batches;
    }
  };
  std::vector<std::thread> workers;
  for (std::size_t w = 1; w < std::min(batches, kWorkers); ++w) workers.emplace_back(work);
  work();
  for (auto& w : workers) w.join();
  return failure;
}

absl::Status Headers::close(ChainProof& proof, const ChainProof::Gap& gap, const eth::BlockId& tip,
                            const Cancelled& cancelled) {
  const absl::Time deadline = absl::Now() + kPatience;
  std::set<std::size_t> tried;
  if (gap.suspect) tried.insert(*gap.suspect);
  while (true) {
    // Its view of the headers below, too: a suspect is seldom wrong in one place.
    const auto i = pool_.take_el(tried, deadline, cancelled);
    if (absl::IsCancelled(i.status())) return i.status();
    if (!i.ok()) break;
    tried.insert(*i);
    const std::size_t n = std::min(static_cast<std::size_t>(gap.number - proof.first()) + 1, pool_.get(*i).max_batch());
    auto got = batch(*i, range(gap.number + 1 - n, n), cancelled);
    if (absl::IsCancelled(got.status())) return got.status();
    if (!got.ok() || !got->back() || got->back()->hash != gap.hash) continue;
    for (auto& h : *got) {
      if (h) proof.put(*std::move(h), *i);
    }
    if (gap.suspect) {
      const std::string evidence =
          absl::StrCat("its header ", gap.number, " is not ", to_hex(gap.hash.view()), ", which ", eth::to_string(tip),
                       " descends from; ", pool_.name(*i), " has it");
      // Above what is final it may be honest, and only behind.
      if (gap.number <= board_.final_up_to()) pool_.accuse(*gap.suspect, "branch", evidence);
      else pool_.step_aside(*gap.suspect, evidence);
    }
    return absl::OkStatus();
  }
  auto h = by_hash(gap.hash, cancelled);
  if (absl::IsNotFound(h.status()))
    return absl::NotFoundError(
        absl::StrCat("no source's chain leads to ", eth::to_string(tip), " (it was reorged out, or not seen yet)"));
  if (!h.ok()) return h.status();
  if (h->number != gap.number)
    return absl::FailedPreconditionError("the numbers of linked headers do not follow each other");
  // Nobody is known to have what is below it: no suspect.
  proof.put({gap.hash, *std::move(h)}, 0);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<HashedHeader>> Headers::prove(const eth::BlockId& parent, const eth::BlockId& tip,
                                                         const Cancelled& cancelled) {
  ChainProof proof{parent, tip};
  TOWLINE_RETURN_IF_ERROR(fill(proof, cancelled));
  while (const auto gap = proof.next_gap()) TOWLINE_RETURN_IF_ERROR(close(proof, *gap, tip, cancelled));
  TOWLINE_ASSIGN_OR_RETURN(auto out, std::move(proof).take());
  for (const auto& h : out) {
    absl::Status st = eth::verify_header(h.header, h.hash);
    if (st.ok()) st = rollup::check_header_shape(config_, h.header);
    if (st.ok()) continue;
    // Its hash is the one that the chain names: every source has it so.
    board_.set_unknown_rules(std::string{st.message()});
    return absl::UnavailableError(absl::StrCat(
        "the chain breaks a rule of its fork (is there one that this version does not know?): ", st.message()));
  }
  return out;
}

}  // namespace towline::fetcher
