#include "services/remote-fetcher/actors/headers.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <numeric>

#include "libs/base/hex.hpp"
#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/eth/block_json.hpp"
#include "libs/eth/header.hpp"
#include "libs/eth/payload.hpp"
#include "services/remote-fetcher/actors/failover.hpp"

namespace towline::fetcher {
namespace {

/// How often a block near the head that an endpoint announced but does not have, is asked for: its URL may lead to
/// several replicas.
constexpr int kReplicaTries = 4;

std::vector<std::uint64_t> range(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

}  // namespace

absl::StatusOr<std::vector<Headers::Found>> Headers::batch(const Turn& turn, std::span<const std::uint64_t> numbers,
                                                           const Cancelled& cancelled) {
  std::vector<jsonrpc::Call> calls;
  for (const std::uint64_t n : numbers)
    calls.push_back({"eth_getBlockByNumber", absl::StrCat("[\"", to_quantity(n), "\",false]")});
  TOWLINE_ASSIGN_OR_RETURN(const auto reply,
                           pool_.call(turn, calls, allowance_of(Asked::header, calls.size()), cancelled));
  std::vector<Found> out(numbers.size());
  const auto useless = [&](const std::string& why) {
    pool_.useless(turn.endpoint, Problem::not_json_rpc, why);
    return absl::UnavailableError(why);
  };
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    const auto& a = reply.answers.answers[k];
    if (a.kind == jsonrpc::Answer::Kind::missing) continue;
    if (const auto absence = jsonrpc::absence(a); absence != jsonrpc::Absence::none) {
      out[k].kind = Found::Kind::absent;
      pool_.note_absent(turn.endpoint, numbers[k], absence);
      continue;
    }
    if (a.kind == jsonrpc::Answer::Kind::error)
      return useless(absl::StrCat("header ", numbers[k], ": error ", a.error.code, " ", a.error.message));
    auto h = eth::header_from_json(a.result);
    if (!h.ok()) return useless(absl::StrCat("header ", numbers[k], ": ", h.status().message()));
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

absl::StatusOr<Headers::View> Headers::view_of(Turn turn, const std::vector<std::uint64_t>& numbers,
                                               const Cancelled& cancelled) {
  const std::size_t i = turn.endpoint;
  const absl::Time since = steady_now();
  std::map<std::uint64_t, eth::BlockRef> found;
  std::vector<std::uint64_t> left = numbers;
  while (true) {
    const std::span<const std::uint64_t> asked{left.data(), turn.calls};
    const auto got = batch(turn, asked, cancelled);
    if (!got.ok() && !absl::IsResourceExhausted(got.status())) return got.status();
    if (!got.ok() && pool_.out_of_patience(since)) return got.status();
    std::vector<std::uint64_t> unanswered;
    for (std::size_t k = 0; k < asked.size(); ++k) {
      if (!got.ok() || (*got)[k].kind == Found::Kind::unanswered) unanswered.push_back(asked[k]);
      else if ((*got)[k].kind == Found::Kind::header)
        found[asked[k]] = eth::ref_of((*got)[k].header.header, (*got)[k].header.hash);
    }
    unanswered.insert(unanswered.end(), left.begin() + static_cast<std::ptrdiff_t>(asked.size()), left.end());
    left = std::move(unanswered);
    if (left.empty()) break;
    // The rest from the same endpoint: one view of the chain.
    TOWLINE_ASSIGN_OR_RETURN(turn, pool_.take(i, Work::headers, left.size(), since, cancelled));
  }
  View out;
  out.endpoint = pool_.name(i);
  for (auto& [number, ref] : found) out.headers.push_back(ref);
  return out;
}

absl::StatusOr<Headers::View> Headers::by_numbers(const std::vector<std::uint64_t>& numbers,
                                                  std::optional<std::size_t> prefer, const Cancelled& cancelled) {
  const absl::Time since = steady_now();
  Failover trial{pool_, heads_};
  absl::Status last;
  if (numbers.empty()) return View{};
  while (true) {
    const auto turn = pool_.take_el(Work::headers, numbers.size(), trial.asked(), {}, since, cancelled, prefer);
    if (!turn.ok()) {
      if (absl::IsCancelled(turn.status())) return turn.status();
      return trial.unsolved("headers by number", last.ok() ? turn.status() : last);
    }
    auto view = view_of(*turn, numbers, cancelled);
    if (view.ok()) {
      trial.solved_by(turn->endpoint);
      return view;
    }
    last = view.status();
    if (absl::IsCancelled(last)) return last;
    if (absl::IsDataLoss(last)) trial.does_not_verify(turn->endpoint, std::string{last.message()});
    else trial.skip(turn->endpoint);
  }
}

absl::StatusOr<eth::Header> Headers::by_hash(const Hash32& hash, const Cancelled& cancelled) {
  const absl::Time since = steady_now();
  Failover trial{pool_, heads_};
  absl::Status last;
  while (true) {
    const auto turn = pool_.take_el(Work::headers, 1, trial.asked(), {}, since, cancelled);
    if (!turn.ok()) {
      if (absl::IsCancelled(turn.status())) return turn.status();
      return trial.unsolved(absl::StrCat("block ", to_hex(hash.view())), last.ok() ? turn.status() : last);
    }
    const std::size_t i = turn->endpoint;
    const auto reply =
        pool_.call(*turn, {{"eth_getBlockByHash", absl::StrCat("[\"", to_hex(hash.view()), "\",false]")}},
                   allowance_of(Asked::header, 1), cancelled);
    if (absl::IsCancelled(reply.status())) return reply.status();
    if (!reply.ok()) {
      last = reply.status();
      // Its back-off paces the next try; another may be asked meanwhile.
      if (pool_.out_of_patience(since)) trial.skip(i);
      continue;
    }
    const auto& a = reply->answers.answers[0];
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
    return std::move(h->header);
  }
}

std::optional<Hash32> Headers::block_at(std::size_t i, std::uint64_t number, const Cancelled& cancelled) {
  const absl::Time since = steady_now();
  while (true) {
    const auto turn = pool_.take(i, Work::headers, 1, since, cancelled);
    if (!turn.ok()) return std::nullopt;
    const auto got = batch(*turn, std::span{&number, 1}, cancelled);
    if (got.ok() && got->front().kind == Found::Kind::header) return got->front().header.hash;
    // A rate limit is no answer.
    if (got.ok() || absl::IsDataLoss(got.status()) || pool_.out_of_patience(since)) return std::nullopt;
  }
}

absl::StatusOr<eth::BlockId> Headers::border(std::uint64_t number, const std::map<std::size_t, Hash32>& answers,
                                             bool cancelled) {
  if (cancelled) return absl::CancelledError("cancelled");
  if (answers.empty()) return absl::UnavailableError(absl::StrCat("no source gives block ", number));
  const auto elected = elect(pool_.voters(), answers);
  if (!elected) {
    return absl::AbortedError(absl::StrCat("sources disagree about block ", number,
                                           ", and no block of that height has a majority of the trust groups"));
  }
  const eth::BlockId elect_id{number, *elected};
  const auto vote = heads_.now()->choose(steady_now());
  const bool settled = vote && number <= final_up_to(*vote);
  for (const auto& [i, hash] : answers) {
    if (hash == *elected) continue;
    const std::string evidence = absl::StrCat("its block ", number, " is ", to_hex(hash.view()),
                                              ", that of most groups ", eth::to_string(elect_id));
    if (settled) pool_.report_bad_data(i, "branch", evidence);
    else pool_.hold(i, evidence);
  }
  return elect_id;
}

absl::StatusOr<Testimony> Headers::ask_el(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                          const Cancelled& cancelled) {
  const absl::Time since = steady_now();
  while (true) {
    TOWLINE_ASSIGN_OR_RETURN(const Turn turn, pool_.take(i, Work::headers, numbers.size(), since, cancelled));
    const auto view = view_of(turn, numbers, cancelled);
    // Its back-off paces the next try.
    if (absl::IsUnavailable(view.status())) continue;
    if (!view.ok()) return view.status();
    Testimony out;
    for (const eth::BlockRef& b : view->headers) out.has[b.number] = b.hash;
    return out;
  }
}

absl::StatusOr<Testimony> Headers::ask_cl(std::size_t i, const std::vector<std::uint64_t>& numbers,
                                          const Cancelled& cancelled) {
  Testimony out{false, {}};
  for (std::size_t at = 0; at < numbers.size();) {
    if (cancelled()) return absl::CancelledError("no answer in time");
    std::vector<jsonrpc::Call> calls;
    const std::size_t end = std::min(numbers.size(), at + pool_.poll_batch(i));
    for (std::size_t k = at; k < end; ++k) calls.push_back(output_call(numbers[k]));
    Trouble trouble;
    const auto reply = pool_.poll(i, calls, Asked::small, trouble);
    // Fewer calls may get an answer.
    if (absl::IsResourceExhausted(reply.status())) continue;
    if (!reply.ok()) return reply.status();
    for (std::size_t k = at; k < end; ++k)
      if (const auto hash = hash_of(reply->answers.answers[k - at])) out.has[numbers[k]] = *hash;
    at = end;
  }
  return out;
}

Headers::Heard Headers::ask(std::size_t i, const std::vector<std::uint64_t>& numbers, const Cancelled& cancelled) {
  const Endpoint e = pool_.get(i);
  const State state = e.state(steady_now());
  absl::StatusOr<Testimony> said = absl::UnavailableError("it is not in use");
  if (state == State::ready || state == State::backing_off)
    said = contract::serves_blocks(e.kind()) ? ask_el(i, numbers, cancelled) : ask_cl(i, numbers, cancelled);
  if (said.ok()) return {*std::move(said), {}};
  // What is known of it says more than that it gave no answer in time.
  const Trouble t = pool_.get(i).trouble(steady_now());
  return {{},
          t                                  ? t.why
          : absl::IsCancelled(said.status()) ? "no answer in time"
                                             : std::string{said.status().message()}};
}

WindowProof::Headers Headers::batch_of(std::vector<std::uint64_t> left, const Cancelled& cancelled) {
  const absl::Time since = steady_now();
  WindowProof::Headers out;
  Failover trial{pool_, heads_};
  absl::Status last;
  while (!left.empty()) {
    const auto turn = pool_.take_el(Work::headers, left.size(), trial.asked(), left.front(), since, cancelled);
    if (!turn.ok()) {
      out.status = absl::IsCancelled(turn.status())
                       ? turn.status()
                       : trial.unsolved(absl::StrCat("header ", left.front()), last.ok() ? turn.status() : last);
      return out;
    }
    const std::size_t i = turn->endpoint;
    auto got = batch(*turn, std::span{left}.first(turn->calls), cancelled);
    if (!got.ok()) {
      last = got.status();
      if (absl::IsCancelled(last)) {
        out.status = last;
        return out;
      }
      if (pool_.out_of_patience(since)) {
        out.status = trial.unsolved(absl::StrCat("header ", left.front()), last);
        return out;
      }
      // Others than who lied; one that failed is asked again when nobody else can: its back-off paces it.
      if (absl::IsDataLoss(last)) trial.does_not_verify(i, std::string{last.message()});
      continue;
    }
    trial.solved_by(i);
    std::vector<std::uint64_t> again;
    for (std::size_t k = 0; k < got->size(); ++k) {
      Found& f = (*got)[k];
      // What it does not have for good is asked of others, and of nobody if there is none.
      const bool gone = f.kind == Found::Kind::absent && pool_.get(i).has_gone(steady_now(), left[k]);
      if (f.kind == Found::Kind::unanswered || gone) again.push_back(left[k]);
      if (f.kind == Found::Kind::header) out.found.push_back({std::move(f.header), i});
    }
    again.insert(again.end(), left.begin() + static_cast<std::ptrdiff_t>(got->size()), left.end());
    left = std::move(again);
  }
  return out;
}

absl::StatusOr<WindowProof::Closed> Headers::close(const WindowProof::AskGap& ask, const Cancelled& cancelled) {
  const ChainProof::Gap& gap = ask.gap;
  const eth::BlockId& tip = ask.tip;
  WindowProof::Closed out;
  const absl::Time since = steady_now();
  std::set<std::size_t> tried;
  const bool suspected = gap.suspect && *gap.suspect != kNobody;
  if (suspected) tried.insert(*gap.suspect);
  int absent = 0;
  while (true) {
    // Its view of the headers below, too: a suspect is seldom wrong in one place.
    const std::size_t below = static_cast<std::size_t>(gap.number - ask.lowest) + 1;
    const auto turn = pool_.take_el(Work::headers, below, tried, gap.number, since, cancelled);
    if (absl::IsCancelled(turn.status())) return turn.status();
    if (!turn.ok()) break;
    const std::size_t i = turn->endpoint;
    const auto numbers = range(gap.number + 1 - turn->calls, turn->calls);
    auto got = batch(*turn, numbers, cancelled);
    if (absl::IsCancelled(got.status())) return got.status();
    // Not answered: its back-off, or a smaller batch, comes before the next try.
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
    return out;
  }
  auto h = by_hash(gap.hash, cancelled);
  if (absl::IsNotFound(h.status()))
    return absl::NotFoundError(
        absl::StrCat("no source's chain leads to ", eth::to_string(tip), " (it was reorged out, or not seen yet)"));
  if (!h.ok()) return h.status();
  if (h->number != gap.number)
    return absl::FailedPreconditionError("the numbers of linked headers do not follow each other");
  // Nobody is known to have what is below it: no suspect.
  out.found.push_back({{gap.hash, *std::move(h)}, kNobody});
  return out;
}

absl::Status Headers::judge(const std::vector<HashedHeader>& out, const std::vector<Suspect>& suspects) {
  const std::uint64_t first = out.front().header.number;
  const std::uint64_t last = out.back().header.number;
  // Whoever named the tip may lie: what a quorum says goes before it.
  if (const auto vote = heads_.now()->choose(steady_now())) {
    const auto range = [&](std::uint64_t n) {
      return n >= first && n <= last ? std::optional{out[n - first].hash} : std::nullopt;
    };
    TOWLINE_RETURN_IF_ERROR(check_range(*vote, range));
    for (const Suspect& s : suspects) {
      if (is_settled(*vote, range, s.number)) pool_.report_bad_data(s.endpoint, "branch", s.evidence);
      else pool_.hold(s.endpoint, s.evidence);
    }
  }
  std::vector<eth::Header> verified;
  verified.reserve(out.size());
  for (const auto& h : out) {
    // Its hash is the one that the chain names: every source has it so.
    if (auto st = eth::verify_header(h.header, h.hash); !st.ok()) {
      heads_.set_unknown_rules(std::string{st.message()});
      return absl::UnavailableError(absl::StrCat(
          "the chain breaks a rule of its fork (is there one that this version does not know?): ", st.message()));
    }
    verified.push_back(h.header);
  }
  caf::anon_send(forks_, headers_atom{},
                 HeadersPtr{std::make_shared<const std::vector<eth::Header>>(std::move(verified))});
  return absl::OkStatus();
}

}  // namespace towline::fetcher
