#include "tests/simulation/remotes.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::simulation {
namespace {

/// The distance of borders, at which ranges are cut if most sources have the same block.
constexpr std::uint64_t kWindow = 64;
/// The longest time that an honest source may be without work.
constexpr absl::Duration kLongestQuarantine = absl::Seconds(30);

std::vector<fetcher::Voter> voters_of(std::size_t count) {
  std::vector<fetcher::Voter> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back({absl::StrCat("s", i), absl::StrCat("g", i)});
  return out;
}

std::size_t how_many(std::mt19937_64& random) { return random() % 3 == 0 ? 1 : 2 + random() % 4; }

}  // namespace

Remotes::Remotes(std::mt19937_64& random, Sequencer& sequencer, Shows shows)
    : random_{random}, sequencer_{sequencer}, shows_{shows}, voters_{voters_of(how_many(random))} {
  chain_.block_time = 1;
  chain_.l2_time = sequencer.chain().front().timestamp;
  const std::size_t most = (voters_.size() - 1) / 2;
  lying_ = most == 0 ? 0 : random_() % (most + 1);
  std::vector<bool> honest(voters_.size(), true);
  std::fill_n(honest.begin(), lying_, false);
  std::shuffle(honest.begin(), honest.end(), random_);
  bool first = true;
  for (std::size_t i = 0; i < voters_.size(); ++i) {
    Remote r{voters_[i].endpoint, honest[i], [this] { return static_cast<double>(random_() % 100) / 100; }};
    const std::uint64_t draw = random_() % 8;
    // At least one honest source must be an EL, to serve blocks.
    if (r.honest && std::exchange(first, false)) r.kind = contract::EndpointKind::el;
    else
      r.kind = draw == 0  ? contract::EndpointKind::cl
               : draw < 3 ? contract::EndpointKind::both
                          : contract::EndpointKind::el;
    r.endpoint.on_probed(absl::InfinitePast(), r.kind, false);
    if (!r.honest) r.lie = draw_lie();
    remotes_.push_back(std::move(r));
  }
  restart();
}

void Remotes::restart() {
  vote_.emplace(voters_, fetcher::Quorum{}, fetcher::Vote::Ages{absl::Seconds(3), absl::Seconds(11), absl::Seconds(3)});
  clock_.emplace(voters_);
  // With one source nobody can tell a late clock from a wrong source.
  late_ = voters_.size() > 1 && random_() % 2 == 0 ? absl::Seconds(random_() % 300) : absl::ZeroDuration();
}

std::optional<contract::HeadSnapshot> Remotes::heads(const std::optional<eth::BlockId>& confirmed_finalized,
                                                     absl::Time now) const {
  auto s = vote_->choose(now, confirmed_finalized);
  if (s) s->chain_time = clock_->at_least(now - late_);
  return s;
}

Remotes::Lie Remotes::draw_lie() {
  const auto one_of = [this](unsigned n) { return random_() % n == 0; };
  Lie l;
  l.branch = one_of(2);
  l.invalid = l.branch && one_of(3);
  l.behind_true = one_of(3);
  if (one_of(3)) l.head = static_cast<Lie::Head>(random_() % 5);
  l.labels = static_cast<Lie::Labels>(random_() % 4);
  l.garbage = one_of(8);
  l.withholds = one_of(4);
  l.corrupts = one_of(4);
  l.flips = one_of(4);
  return l;
}

// ---------------------------------------------------------------- what they have

const eth::BlockRef& Remotes::head_of(const Remote& r) const {
  if (!r.own.empty()) return r.own.back();
  const std::uint64_t tip = sequencer_.tip().number;
  return sequencer_.chain()[std::max(sequencer_.safe().number, tip - std::min(r.delay, tip))];
}

std::optional<eth::BlockRef> Remotes::at(const Remote& r, std::uint64_t number) const {
  if (number > head_of(r).number) return std::nullopt;
  if (!r.own.empty() && number >= r.own.front().number)
    return r.own[static_cast<std::size_t>(number - r.own.front().number)];
  return sequencer_.chain()[number];
}

std::optional<Hash32> Remotes::compared(const Remote& r, std::uint64_t number) {
  if (r.lie.garbage) {
    Hash32 h;
    h.bytes[0] = static_cast<std::uint8_t>(random_());
    return h;
  }
  if (r.lie.behind_true && number <= sequencer_.tip().number) return sequencer_.chain()[number].hash;
  const auto b = at(r, number);
  return b ? std::optional{b->hash} : std::nullopt;
}

bool Remotes::serves(const Remote& r, absl::Time now) const {
  return r.up && contract::serves_blocks(r.kind) && r.endpoint.state(now) != fetcher::State::quarantined &&
         r.endpoint.next_bulk(now) <= now;
}

std::vector<std::size_t> Remotes::servers(absl::Time now) const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < remotes_.size(); ++i)
    if (serves(remotes_[i], now)) out.push_back(i);
  return out;
}

bool Remotes::anybody(absl::Time now) const { return !servers(now).empty(); }

const eth::BlockRef& Remotes::honest_head() const {
  return head_of(*std::find_if(remotes_.begin(), remotes_.end(), [](const Remote& r) { return r.honest; }));
}

bool Remotes::honest_contradicts(const eth::BlockId& ours) const {
  return std::any_of(remotes_.begin(), remotes_.end(), [&](const Remote& r) {
    return r.honest && r.shown && r.shown->unsafe && r.shown->unsafe->number >= ours.number &&
           !sequencer_.on_chain_of(ours, *r.shown->unsafe);
  });
}

std::string Remotes::text() const {
  std::string out;
  for (const Remote& r : remotes_) absl::StrAppend(&out, out.empty() ? "" : " ", r.name, r.honest ? "" : " (lying)");
  return out;
}

// ---------------------------------------------------------------- what they do

std::string Remotes::chaos() {
  Remote& r = remotes_[random_() % remotes_.size()];
  switch (random_() % 4) {
    case 0: r.up = !r.up; return absl::StrCat(r.name, r.up ? " is up" : " is down");
    case 1: r.lagging = !r.lagging; return {};
    case 2:
      if (r.honest) r.replaying = !r.replaying;
      return {};
    default:
      if (r.honest) return {};
      r.lie = draw_lie();
      r.own.clear();
      return absl::StrCat(r.name, " lies in another way");
  }
}

void Remotes::set_delay(std::uint64_t blocks) {
  Remote& r = remotes_[random_() % remotes_.size()];
  if (r.honest) r.delay = blocks;
}

void Remotes::heal() {
  for (Remote& r : remotes_) {
    r.up = true;
    r.lagging = r.replaying = false;
    if (remotes_.size() > 1 || !shows_.unsafe) r.delay = 0;
  }
}

void Remotes::grow_branch(Remote& r) {
  const std::uint64_t tip = sequencer_.tip().number;
  if (!r.own.empty() && !sequencer_.has({r.own.front().number - 1, r.own.front().parent_hash})) r.own.clear();
  if (!r.lie.branch || r.own.size() > 300) r.own.clear();
  if (!r.lie.branch) return;
  if (r.own.empty()) {
    const std::uint64_t depth = random_() % 4 == 0 ? random_() % 200 : random_() % 20;
    const Make what = r.lie.invalid ? Make::invalid : Make::forged;
    r.own = {sequencer_.make(sequencer_.chain()[tip - std::min(tip, depth)], what)};
  }
  const std::uint64_t to = tip + random_() % 3;
  while (r.own.back().number < to) r.own.push_back(sequencer_.make(r.own.back(), Make::forged));
}

contract::HeadSnapshot Remotes::honest_look(const Remote& r) const {
  contract::HeadSnapshot s;
  s.kind = r.replaying ? contract::EndpointKind::cl : r.kind;
  if (shows_.unsafe || remotes_.size() > 1) s.unsafe = head_of(r);
  // A replica behind a load balancer: the same chain, older labels.
  const auto label = [&](const eth::BlockRef& b) {
    return r.lagging ? sequencer_.chain()[b.number - std::min<std::uint64_t>(b.number, 15)] : b;
  };
  s.safe = label(sequencer_.safe());
  s.finalized = label(sequencer_.finalized());
  if (shows_.local_safe && (remotes_.size() == 1 || contract::serves_sync_status(r.kind)))
    s.local_safe = label(sequencer_.chain()[std::min(sequencer_.safe().number + 4, head_of(r).number)]);
  if (r.replaying) {
    // A source that restarts: old heads, and no L1 block yet.
    s.current_l1 = eth::BlockRef{};
    s.unsafe = s.safe = s.finalized = sequencer_.chain().front();
    s.local_safe.reset();
  }
  return s;
}

contract::HeadSnapshot Remotes::lying_look(Remote& r) {
  if (r.lie.flips) {
    r.lie = draw_lie();
    r.lie.flips = true;
    r.own.clear();
  }
  grow_branch(r);
  if (r.lie.head == Lie::Head::frozen && r.shown) return *r.shown;
  if (r.lie.head == Lie::Head::old && r.first) return *r.first;
  contract::HeadSnapshot s;
  s.kind = r.kind;
  const eth::BlockRef head = head_of(r);
  s.unsafe = head;
  // Nobody has that block, not even this source.
  if (r.lie.head == Lie::Head::phantom) s.unsafe = sequencer_.make(head, Make::forged);
  if (r.lie.head == Lie::Head::future)
    s.unsafe = eth::BlockRef{head.number + 1000, sequencer_.make(head, Make::forged).hash, head.hash,
                             chain_.time_of(head.number + 1000)};
  const auto random = [&](std::uint64_t up_to) { return at(r, random_() % (up_to + 1)); };
  switch (r.lie.labels) {
    case Lie::Labels::as_they_are:
      s.safe = at(r, std::min(sequencer_.safe().number, head.number));
      s.finalized = at(r, std::min(sequencer_.finalized().number, head.number));
      break;
    case Lie::Labels::head: s.safe = s.finalized = head; break;
    case Lie::Labels::random:
      s.safe = random(head.number);
      s.finalized = random(s.safe->number);
      break;
    case Lie::Labels::none: break;
  }
  if (contract::serves_sync_status(r.kind) && s.safe) s.local_safe = random_() % 2 == 0 ? s.safe : head;
  return s;
}

void Remotes::look(const std::optional<eth::BlockId>& confirmed_finalized, absl::Time now) {
  for (Remote& r : remotes_) {
    fetcher::Endpoint& e = r.endpoint;
    const bool aside = e.state(now) == fetcher::State::quarantined || (r.honest && e.next_bulk(now) > now && r.up);
    r.quarantined_since = aside ? std::min(r.quarantined_since, now) : absl::InfiniteFuture();
    if (broken_.empty() && r.honest && now - r.quarantined_since > kLongestQuarantine)
      broken_ = absl::StrCat(r.name, " is honest and is not used: ", e.trouble(now).why);
    if (e.state(now) == fetcher::State::quarantined) vote_->drop(r.name);
    if (e.next_poll(now) > now || random_() % 4 == 0) continue;
    if (!r.up) {
      e.on_poll(now, {fetcher::Problem::unreachable, "down"});
      continue;
    }
    std::vector<std::uint64_t> asked = vote_->heights(r.name, now);
    if (confirmed_finalized && std::find(asked.begin(), asked.end(), confirmed_finalized->number) == asked.end())
      asked.push_back(confirmed_finalized->number);
    contract::HeadSnapshot s = r.honest ? honest_look(r) : lying_look(r);
    if (!contract::serves_blocks(s.kind)) {
      // As look_at_cl() does: a CL shows its chain by outputs, up to its safe block.
      const auto own = vote_->of(r.name);
      std::erase_if(asked, [&](std::uint64_t n) {
        return n >= (own ? number_of(own->safe) : 0) || (own->finalized && own->finalized->number == n);
      });
    }
    std::map<std::uint64_t, Hash32> has;
    for (const std::uint64_t n : asked)
      if (const auto hash = compared(r, n); hash && !(r.honest && r.replaying)) has[n] = *hash;
    s.endpoint = r.name;
    s.observed = now;
    const absl::Time local = now - late_;
    if (s.unsafe && fetcher::check_times(s, chain_, absl::InfiniteFuture()).ok())
      clock_->heard(r.name, absl::FromUnixSeconds(static_cast<std::int64_t>(s.unsafe->timestamp)), local);
    if (!fetcher::check_order(s).ok() ||
        !fetcher::check_times(s, chain_, std::max(local, clock_->at_least(local))).ok()) {
      if (r.honest && late_ == absl::ZeroDuration() && broken_.empty())
        broken_ = absl::StrCat(r.name, " is honest and its heads are refused");
      e.on_poll(now, {fetcher::Problem::wrong_time, "its heads are refused"});
      continue;
    }
    e.on_poll(now, {});
    r.shown = s;
    if (!r.first) r.first = s;
    vote_->put(std::move(s), asked, has);
  }
}

// ---------------------------------------------------------------- headers and payloads

absl::StatusOr<std::vector<eth::BlockRef>> Remotes::headers(const std::vector<std::uint64_t>& numbers,
                                                            const std::string& endpoint, absl::Time now) {
  std::vector<std::size_t> els = servers(now);
  if (els.empty()) return absl::UnavailableError("no source can be asked");
  const auto preferred = std::find_if(els.begin(), els.end(), [&](auto i) { return remotes_[i].name == endpoint; });
  const Remote& r = remotes_[preferred == els.end() ? els.front() : *preferred];
  std::vector<eth::BlockRef> out;
  for (const std::uint64_t n : numbers)
    if (const auto b = at(r, n)) out.push_back(*b);
  return out;
}

void Remotes::report_bad_data(Remote& r, const std::string& why, absl::Time now) {
  if (r.honest && broken_.empty()) broken_ = absl::StrCat(r.name, " is honest and taken for a lying source: ", why);
  r.endpoint.quarantine(now, why);
}

absl::StatusOr<eth::BlockId> Remotes::agreed(std::uint64_t number, absl::Time now) {
  std::map<std::size_t, Hash32> answers;
  for (const std::size_t i : servers(now))
    if (const auto b = at(remotes_[i], number)) answers[i] = b->hash;
  const auto elected = fetcher::elect(voters_, answers);
  if (!elected) return absl::AbortedError(absl::StrCat("sources disagree about block ", number));
  const auto vote = vote_->choose(now);
  const bool settled = vote && number <= fetcher::final_up_to(*vote);
  for (const auto& [i, hash] : answers) {
    if (hash == *elected) continue;
    if (settled) report_bad_data(remotes_[i], absl::StrCat("its block ", number), now);
    else remotes_[i].endpoint.hold(now, "another branch");
  }
  return eth::BlockId{number, *elected};
}

absl::StatusOr<std::vector<eth::BlockRef>> Remotes::prove(const eth::BlockId& parent, const eth::BlockId& tip,
                                                          absl::Time now) {
  const std::vector<std::size_t> els = servers(now);
  if (els.empty()) return absl::UnavailableError("no source can be asked");
  // The first headers come from one source, and where they do not link from another.
  std::size_t from = els[random_() % els.size()];
  std::vector<eth::BlockRef> down;
  std::vector<std::pair<std::size_t, std::uint64_t>> suspects;
  Hash32 hash = tip.hash;
  for (std::uint64_t n = tip.number; n > parent.number; --n) {
    const auto has = [&](std::size_t i) {
      const auto b = at(remotes_[i], n);
      return b && b->hash == hash;
    };
    if (!has(from)) {
      const auto other = std::find_if(els.begin(), els.end(), has);
      if (other == els.end()) return absl::NotFoundError("no source's chain leads to the tip");
      if (at(remotes_[from], n)) suspects.emplace_back(from, n);
      from = *other;
    }
    down.push_back(sequencer_.made(hash));
    hash = down.back().parent_hash;
  }
  if (hash != parent.hash) return absl::FailedPreconditionError("the tip does not descend from the parent");
  std::reverse(down.begin(), down.end());
  if (const auto vote = vote_->choose(now)) {
    const auto range = [&](std::uint64_t n) {
      return n > parent.number && n <= tip.number ? std::optional{down[n - parent.number - 1].hash} : std::nullopt;
    };
    TOWLINE_RETURN_IF_ERROR(fetcher::check_range(*vote, range));
    for (const auto& [i, n] : suspects) {
      if (fetcher::is_settled(*vote, range, n)) report_bad_data(remotes_[i], absl::StrCat("its header ", n), now);
      else remotes_[i].endpoint.hold(now, "another branch");
    }
  }
  return down;
}

absl::StatusOr<std::vector<eth::BlockRef>> Remotes::range(const eth::BlockId& parent, const eth::BlockId& tip,
                                                          absl::Time now) {
  std::vector<eth::BlockRef> out;
  for (eth::BlockId from = parent; from != tip;) {
    eth::BlockId to = tip;
    if (tip.number - from.number > kWindow) {
      const auto border = agreed(from.number + kWindow, now);
      // Without a majority the blocks of the tip are followed down.
      if (!border.ok() && !absl::IsAborted(border.status())) return border.status();
      to = border.value_or(tip);
    }
    TOWLINE_ASSIGN_OR_RETURN(const auto part, prove(from, to, now));
    out.insert(out.end(), part.begin(), part.end());
    from = to;
  }
  // A source whose body does not verify against the header is quarantined.
  while (true) {
    std::vector<std::size_t> els = servers(now);
    std::erase_if(els, [&](std::size_t i) {
      const auto b = at(remotes_[i], tip.number);
      return remotes_[i].lie.withholds || !b || b->hash != tip.hash;
    });
    if (els.empty()) return absl::UnavailableError("nobody gives the bodies");
    Remote& r = remotes_[els[random_() % els.size()]];
    if (!r.lie.corrupts) return out;
    report_bad_data(r, "a body does not verify", now);
  }
}

}  // namespace towline::simulation
