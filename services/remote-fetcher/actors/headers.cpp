#include "services/remote-fetcher/actors/headers.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <numeric>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "services/remote-fetcher/actors/failover.hpp"

namespace towline::fetcher {
namespace {

/// How often to ask for a block near the head that an endpoint announced but does not have: its URL may lead to several
/// replicas.
constexpr int kReplicaTries = 4;

std::vector<std::uint64_t> range(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

}  // namespace

absl::StatusOr<Headers::Founds> Headers::read(const jsonrpc::Answers& answers,
                                              const std::vector<std::uint64_t>& numbers) {
  Founds out(numbers.size());
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const auto& a = answers.answers[k];
    if (a.kind == jsonrpc::Answer::Kind::missing) continue;
    if (const auto absence = jsonrpc::absence(a); absence != jsonrpc::Absence::none) {
      out[k].kind = Found::Kind::absent;
      out[k].absence = absence;
      continue;
    }
    if (a.kind == jsonrpc::Answer::Kind::error)
      return absl::UnavailableError(
          absl::StrCat("header ", numbers[k], ": error ", a.error.code, " ", a.error.message));
    auto h = eth::header_from_json(a.result);
    if (!h.ok()) return absl::UnavailableError(absl::StrCat("header ", numbers[k], ": ", h.status().message()));
    const Hash32 hash = eth::hash_header(h->header);
    if (hash != h->claimed_hash) {
      return absl::DataLossError(absl::StrCat("hash: header ", numbers[k], " is claimed to be ",
                                              to_hex(h->claimed_hash.view()), " but hashes to ", to_hex(hash.view())));
    }
    if (h->header.number != numbers[k])
      return absl::DataLossError(absl::StrCat("number: asked for header ", numbers[k], ", got ", h->header.number));
    out[k] = {Found::Kind::header, {hash, std::move(h->header)}};
  }
  return out;
}

Wanted Headers::question(std::size_t calls, absl::Time since) {
  Wanted w;
  w.calls = calls;
  w.since = since;
  w.urgent = true;
  return w;
}

Task<absl::StatusOr<Headers::Founds>> Headers::batch(Turn turn, std::vector<std::uint64_t> numbers, bool urgent,
                                                     CancelPtr cancelled, std::optional<Hedge> hedge,
                                                     std::size_t* from) {
  std::vector<jsonrpc::Call> calls;
  for (const std::uint64_t n : numbers)
    calls.push_back({"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(n), "\",false]")});
  const Allowance allowance = allowance_of(Asked::header, calls.size());
  const absl::StatusOr<Reply> reply =
      co_await pool_.call(std::move(turn), std::move(calls), allowance, cancelled, std::move(hedge));
  if (!reply.ok()) co_return reply.status();
  const std::size_t i = reply->endpoint;
  if (from != nullptr) *from = i;
  auto job = [answers = reply->answers, numbers] { return read(*answers, numbers); };
  absl::StatusOr<Founds> out = co_await computed(pool_.host(), urgent, std::move(job));
  if (absl::IsUnavailable(out.status())) pool_.useless(i, Problem::not_json_rpc, std::string{out.status().message()});
  if (!out.ok()) co_return out.status();
  for (std::size_t k = 0; k < numbers.size(); ++k)
    if ((*out)[k].kind == Found::Kind::absent) pool_.note_absent(i, numbers[k], (*out)[k].absence);
  co_return std::move(out);
}

Task<absl::StatusOr<Headers::View>> Headers::view_of(Turn turn, std::vector<std::uint64_t> numbers,
                                                     CancelPtr cancelled) {
  const std::size_t i = turn.endpoint;
  const absl::Time since = pool_.now();
  std::map<std::uint64_t, eth::BlockRef> found;
  std::vector<std::uint64_t> left = numbers;
  while (true) {
    const std::vector<std::uint64_t> asked{left.begin(), left.begin() + static_cast<std::ptrdiff_t>(turn.calls)};
    const absl::StatusOr<Founds> got = co_await batch(std::move(turn), asked, true, cancelled);
    if (!got.ok() && !absl::IsResourceExhausted(got.status())) co_return got.status();
    if (!got.ok() && pool_.out_of_patience(since)) co_return got.status();
    std::vector<std::uint64_t> unanswered;
    for (std::size_t k = 0; k < asked.size(); ++k) {
      if (!got.ok() || (*got)[k].kind == Found::Kind::unanswered) unanswered.push_back(asked[k]);
      else if ((*got)[k].kind == Found::Kind::header)
        found[asked[k]] = eth::ref_of((*got)[k].header.header, (*got)[k].header.hash);
    }
    unanswered.insert(unanswered.end(), left.begin() + static_cast<std::ptrdiff_t>(asked.size()), left.end());
    left = std::move(unanswered);
    if (left.empty()) break;
    // The rest comes from the same endpoint, for one consistent view of the chain.
    absl::StatusOr<Turn> next = co_await pool_.turn_with(i, question(left.size(), since), cancelled);
    if (!next.ok()) co_return next.status();
    turn = *std::move(next);
  }
  View out;
  out.endpoint = pool_.name(i);
  for (auto& [number, ref] : found) out.headers.push_back(ref);
  co_return out;
}

Task<absl::StatusOr<Headers::View>> Headers::by_numbers(std::vector<std::uint64_t> numbers,
                                                        std::optional<std::size_t> prefer, CancelPtr cancelled) {
  const absl::Time since = pool_.now();
  Failover trial{pool_, heads_};
  absl::Status last;
  if (numbers.empty()) co_return View{};
  while (true) {
    Wanted wanted = question(numbers.size(), since);
    wanted.except = trial.asked();
    wanted.prefer = prefer;
    absl::StatusOr<Turn> turn = co_await pool_.turn(std::move(wanted), cancelled);
    if (!turn.ok()) co_return trial.no_turn("headers by number", turn.status(), last);
    const std::size_t i = turn->endpoint;
    absl::StatusOr<View> view = co_await view_of(*std::move(turn), numbers, cancelled);
    if (view.ok()) {
      trial.solved_by(i);
      co_return std::move(view);
    }
    last = view.status();
    if (absl::IsCancelled(last)) co_return last;
    if (absl::IsDataLoss(last)) trial.does_not_verify(i, std::string{last.message()});
    else trial.skip(i);
  }
}

Task<absl::StatusOr<eth::Header>> Headers::by_hash(Hash32 hash, CancelPtr cancelled) {
  const absl::Time since = pool_.now();
  Failover trial{pool_, heads_};
  absl::Status last;
  while (true) {
    Wanted wanted = question(1, since);
    wanted.except = trial.asked();
    absl::StatusOr<Turn> turn = co_await pool_.turn(std::move(wanted), cancelled);
    if (!turn.ok()) co_return trial.no_turn(absl::StrCat("block ", to_hex(hash.view())), turn.status(), last);
    const std::size_t i = turn->endpoint;
    std::vector<jsonrpc::Call> calls(1);
    calls[0] = {"eth_getBlockByHash", absl::StrCat("[\"", to_hex(hash.view()), "\",false]")};
    const Allowance allowance = allowance_of(Asked::header, 1);
    const absl::StatusOr<Reply> reply = co_await pool_.call(*std::move(turn), std::move(calls), allowance, cancelled);
    if (absl::IsCancelled(reply.status())) co_return reply.status();
    if (!reply.ok()) {
      last = reply.status();
      // The endpoint's back-off paces the next attempt; another endpoint may be asked meanwhile.
      if (pool_.out_of_patience(since)) trial.skip(i);
      continue;
    }
    const auto& a = reply->at(0);
    if (jsonrpc::absence(a) != jsonrpc::Absence::none) {
      trial.not_found(i);
      continue;
    }
    auto h = a.kind == jsonrpc::Answer::Kind::result ? eth::header_from_json(a.result)
                                                     : absl::StatusOr<eth::JsonHeader>{absl::UnavailableError(
                                                           absl::StrCat("error ", a.error.code, " ", a.error.message))};
    if (!h.ok()) {
      last = h.status();
      pool_.useless(i, Problem::not_json_rpc, std::string{last.message()});
      trial.skip(i);
      continue;
    }
    if (auto st = eth::verify_header(h->header, hash); !st.ok()) {
      last = st;
      trial.does_not_verify(i, std::string{st.message()});
      continue;
    }
    trial.solved_by(i);
    co_return std::move(h->header);
  }
}

Task<void> Headers::block_at(std::size_t i, std::uint64_t number, std::map<std::size_t, Hash32>* out,
                             CancelPtr cancelled) {
  const absl::Time since = pool_.now();
  while (true) {
    absl::StatusOr<Turn> turn = co_await pool_.turn_with(i, question(1, since), cancelled);
    if (!turn.ok()) co_return;
    std::vector<std::uint64_t> numbers(1, number);
    const absl::StatusOr<Founds> got = co_await batch(*std::move(turn), std::move(numbers), true, cancelled);
    if (got.ok() && got->front().kind == Found::Kind::header) {
      out->emplace(i, got->front().header.hash);
      co_return;
    }
    // A rate limit is no answer.
    if (got.ok() || absl::IsDataLoss(got.status()) || pool_.out_of_patience(since)) co_return;
  }
}

Task<absl::StatusOr<eth::BlockId>> Headers::border(std::uint64_t number, CancelPtr cancelled) {
  std::map<std::size_t, Hash32> answers;
  std::vector<Task<void>> questions;
  for (const std::size_t i : pool_.view().usable_els()) questions.push_back(block_at(i, number, &answers, cancelled));
  co_await all(pool_.host().loop(), std::move(questions));
  if (cancelled->called()) co_return absl::CancelledError("cancelled");
  if (answers.empty()) co_return absl::UnavailableError(absl::StrCat("no source gives block ", number));
  const auto elected = elect(pool_.voters(), answers);
  if (!elected) {
    co_return absl::AbortedError(absl::StrCat("sources disagree about block ", number,
                                              ", and no block of that height has a majority of the trust groups"));
  }
  const eth::BlockId elect_id{number, *elected};
  const auto vote = heads_.now()->choose(pool_.now());
  const bool settled = vote && number <= final_up_to(*vote);
  for (const auto& [i, hash] : answers) {
    if (hash == *elected) continue;
    const std::string evidence = absl::StrCat("its block ", number, " is ", to_hex(hash.view()),
                                              ", that of most groups ", eth::to_string(elect_id));
    if (settled) pool_.report_bad_data(i, "branch", evidence);
    else pool_.hold(i, evidence);
  }
  co_return elect_id;
}

Task<absl::StatusOr<Testimony>> Headers::ask_el(std::size_t i, std::vector<std::uint64_t> numbers,
                                                CancelPtr cancelled) {
  const absl::Time since = pool_.now();
  while (true) {
    absl::StatusOr<Turn> turn = co_await pool_.turn_with(i, question(numbers.size(), since), cancelled);
    if (!turn.ok()) co_return turn.status();
    const absl::StatusOr<View> view = co_await view_of(*std::move(turn), numbers, cancelled);
    // The endpoint's back-off paces the next attempt.
    if (absl::IsUnavailable(view.status())) continue;
    if (!view.ok()) co_return view.status();
    Testimony out;
    for (const eth::BlockRef& b : view->headers) out.has[b.number] = b.hash;
    co_return out;
  }
}

Task<absl::StatusOr<Testimony>> Headers::ask_cl(std::size_t i, std::vector<std::uint64_t> numbers,
                                                CancelPtr cancelled) {
  Testimony out{false, {}};
  for (std::size_t at = 0; at < numbers.size();) {
    if (cancelled->called()) co_return absl::CancelledError("no answer in time");
    std::vector<jsonrpc::Call> calls;
    const std::size_t end = std::min(numbers.size(), at + pool_.poll_batch(i));
    for (std::size_t k = at; k < end; ++k) calls.push_back(output_call(numbers[k]));
    Trouble trouble;
    const absl::StatusOr<Reply> reply = co_await pool_.poll(i, std::move(calls), Asked::small, &trouble, cancelled);
    // A smaller batch may be answered.
    if (absl::IsResourceExhausted(reply.status())) continue;
    if (!reply.ok()) co_return reply.status();
    for (std::size_t k = at; k < end; ++k)
      if (const auto hash = hash_of(reply->at(k - at))) out.has[numbers[k]] = *hash;
    at = end;
  }
  co_return out;
}

Task<Headers::Heard> Headers::ask(std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled) {
  const State state = pool_.get(i).state(pool_.now());
  absl::StatusOr<Testimony> said = absl::UnavailableError("it is not in use");
  if (state == State::ready || state == State::backing_off) {
    if (contract::serves_blocks(pool_.get(i).kind())) said = co_await ask_el(i, numbers, cancelled);
    else said = co_await ask_cl(i, numbers, cancelled);
  }
  if (said.ok()) co_return Heard{*std::move(said), {}};
  // The known trouble explains more than a missing answer does.
  const Trouble t = pool_.get(i).trouble(pool_.now());
  co_return Heard{{},
                  t                                  ? t.why
                  : absl::IsCancelled(said.status()) ? "no answer in time"
                                                     : std::string{said.status().message()}};
}

Task<WindowProof::Headers> Headers::batch_of(std::vector<std::uint64_t> left, CancelPtr cancelled) {
  const absl::Time since = pool_.now();
  WindowProof::Headers out;
  Failover trial{pool_, heads_};
  absl::Status last;
  while (!left.empty()) {
    Wanted wanted;
    wanted.calls = left.size();
    wanted.except = trial.asked();
    wanted.number = left.front();
    wanted.since = since;
    const Hedge hedge{wanted.except, wanted.number};
    absl::StatusOr<Turn> turn = co_await pool_.turn(std::move(wanted), cancelled);
    if (!turn.ok()) {
      out.status = trial.no_turn(absl::StrCat("header ", left.front()), turn.status(), last);
      co_return out;
    }
    std::size_t i = turn->endpoint;
    std::vector<std::uint64_t> asked{left.begin(), left.begin() + static_cast<std::ptrdiff_t>(turn->calls)};
    absl::StatusOr<Founds> got = co_await batch(*std::move(turn), std::move(asked), false, cancelled, hedge, &i);
    if (!got.ok()) {
      last = got.status();
      if (absl::IsCancelled(last)) {
        out.status = last;
        co_return out;
      }
      if (pool_.out_of_patience(since)) {
        out.status = trial.unsolved(absl::StrCat("header ", left.front()), last);
        co_return out;
      }
      // An endpoint that served bad data is not asked again. One that failed is asked again if no other can be; its
      // back-off paces that.
      if (absl::IsDataLoss(last)) trial.does_not_verify(i, std::string{last.message()});
      continue;
    }
    trial.solved_by(i);
    std::vector<std::uint64_t> again;
    for (std::size_t k = 0; k < got->size(); ++k) {
      Found& f = (*got)[k];
      // Blocks that the endpoint no longer has are asked of others, if there are any.
      const bool gone = f.kind == Found::Kind::absent && pool_.get(i).has_gone(pool_.now(), left[k]);
      if (f.kind == Found::Kind::unanswered || gone) again.push_back(left[k]);
      if (f.kind == Found::Kind::header) out.found.push_back({std::move(f.header), i});
    }
    again.insert(again.end(), left.begin() + static_cast<std::ptrdiff_t>(got->size()), left.end());
    left = std::move(again);
  }
  co_return out;
}

Task<absl::StatusOr<WindowProof::Closed>> Headers::close(WindowProof::AskGap ask, CancelPtr cancelled) {
  const ChainProof::Gap& gap = ask.gap;
  const eth::BlockId& tip = ask.tip;
  WindowProof::Closed out;
  const absl::Time since = pool_.now();
  std::set<std::size_t> tried;
  const bool suspected = gap.suspect && *gap.suspect != kNobody;
  if (suspected) tried.insert(*gap.suspect);
  int absent = 0;
  while (true) {
    // Also asks for the headers below: a suspect is seldom wrong in a single place.
    const std::size_t below = static_cast<std::size_t>(gap.number - ask.lowest) + 1;
    Wanted wanted;
    wanted.calls = below;
    wanted.except = tried;
    wanted.number = gap.number;
    wanted.since = since;
    absl::StatusOr<Turn> turn = co_await pool_.turn(std::move(wanted), cancelled);
    if (absl::IsCancelled(turn.status())) co_return turn.status();
    if (!turn.ok()) break;
    const std::size_t i = turn->endpoint;
    std::vector<std::uint64_t> numbers = range(gap.number + 1 - turn->calls, turn->calls);
    absl::StatusOr<Founds> got = co_await batch(*std::move(turn), std::move(numbers), false, cancelled);
    if (absl::IsCancelled(got.status())) co_return got.status();
    // Not answered: a back-off or a smaller batch precedes the next attempt.
    const bool unanswered = got.ok() ? got->back().kind == Found::Kind::unanswered : !absl::IsDataLoss(got.status());
    if (unanswered && !pool_.out_of_patience(since)) continue;
    if (got.ok() && got->back().kind == Found::Kind::absent && ++absent < kReplicaTries) continue;
    tried.insert(i);
    if (!got.ok() || got->back().kind != Found::Kind::header || got->back().header.hash != gap.hash) continue;
    for (auto& f : *got) {
      if (f.kind == Found::Kind::header) out.found.push_back({std::move(f.header), i});
    }
    if (suspected)
      out.suspect = {*gap.suspect, gap.number,
                     absl::StrCat("its header ", gap.number, " is not ", to_hex(gap.hash.view()), ", which ",
                                  eth::to_string(tip), " descends from; ", pool_.name(i), " has it")};
    co_return out;
  }
  absl::StatusOr<eth::Header> h = co_await by_hash(gap.hash, cancelled);
  if (absl::IsNotFound(h.status()))
    co_return absl::NotFoundError(
        absl::StrCat("no source's chain leads to ", eth::to_string(tip), " (it was reorged out, or not seen yet)"));
  if (!h.ok()) co_return h.status();
  if (h->number != gap.number)
    co_return absl::FailedPreconditionError("the numbers of linked headers do not follow each other");
  // No endpoint is known to have the chain below this block, so there is no suspect.
  out.found.push_back({{gap.hash, *std::move(h)}, kNobody});
  co_return out;
}

Task<absl::Status> Headers::judge(std::shared_ptr<const std::vector<HashedHeader>> linked,
                                  std::vector<Suspect> suspects) {
  const std::vector<HashedHeader>& out = *linked;
  const std::uint64_t first = out.front().header.number;
  const std::uint64_t last = out.back().header.number;
  // The tip may come from a lying source: the vote of a quorum takes precedence.
  if (const auto vote = heads_.now()->choose(pool_.now())) {
    const auto range = [&](std::uint64_t n) {
      return n >= first && n <= last ? std::optional{out[n - first].hash} : std::nullopt;
    };
    TOWLINE_CO_RETURN_IF_ERROR(check_range(*vote, range));
    for (const Suspect& s : suspects) {
      if (is_settled(*vote, range, s.number)) pool_.report_bad_data(s.endpoint, "branch", s.evidence);
      else pool_.hold(s.endpoint, s.evidence);
    }
  }
  // The chain commits to these hashes, so every source has the same headers.
  auto job = [linked]() -> absl::StatusOr<HeadersPtr> {
    std::vector<eth::Header> verified;
    verified.reserve(linked->size());
    for (const auto& h : *linked) {
      TOWLINE_RETURN_IF_ERROR(eth::verify_header(h.header, h.hash));
      verified.push_back(h.header);
    }
    return HeadersPtr{std::make_shared<const std::vector<eth::Header>>(std::move(verified))};
  };
  const absl::StatusOr<HeadersPtr> verified = co_await computed(pool_.host(), false, std::move(job));
  if (!verified.ok()) {
    heads_.set_unknown_rules(std::string{verified.status().message()});
    co_return absl::UnavailableError(
        absl::StrCat("the chain breaks a rule of its fork (is there one that this version does not know?): ",
                     verified.status().message()));
  }
  caf::anon_send(forks_, headers_atom{}, *verified);
  co_return absl::OkStatus();
}

}  // namespace towline::fetcher
