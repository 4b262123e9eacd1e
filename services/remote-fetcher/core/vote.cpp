#include "services/remote-fetcher/core/vote.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>

namespace towline::fetcher {
namespace {

/// A source that had another unsafe block at this many looks in a row is on another branch. With fewer, one of several
/// replicas behind its URL may merely be late.
constexpr int kUnsettled = 3;
/// The most heights compared in one look.
constexpr std::size_t kMostHeights = 16;

constexpr std::uint64_t kAnyHeight = std::numeric_limits<std::uint64_t>::max();

}  // namespace

Vote::Vote(std::vector<Voter> voters, Quorum quorum, Ages ages)
    : voters_{std::move(voters)}, electorate_{electorate(voters_, quorum)}, ages_{ages} {}

// ---------------------------------------------------------------- views

bool Vote::View::contradicts(const eth::BlockId& b) const {
  const auto it = chain.find(b.number);
  return it != chain.end() && it->second != b.hash;
}

bool Vote::View::shares_block_with(const View& other) const {
  return std::any_of(chain.begin(), chain.end(), [&](const auto& block) {
    const auto theirs = other.chain.find(block.first);
    return theirs != other.chain.end() && theirs->second == block.second;
  });
}

bool Vote::View::differs_from(const View& other, std::uint64_t low, std::uint64_t high) const {
  return std::any_of(chain.lower_bound(low), chain.upper_bound(high), [&](const auto& block) {
    return other.contradicts({block.first, block.second});
  });
}

std::vector<Vote::Source> Vote::heard(absl::Time now) const {
  std::vector<Source> out;
  for (std::size_t i = 0; i < voters_.size(); ++i) {
    const auto it = views_.find(voters_[i].endpoint);
    if (it != views_.end() && now - it->second.heads.observed <= ages_.stale)
      out.push_back({&voters_[i], i, &it->second});
  }
  return out;
}

std::vector<std::uint64_t> Vote::heights(const std::string& endpoint, absl::Time now) const {
  const std::vector<Source> sources = heard(now);
  std::set<std::uint64_t> labels;
  std::optional<std::uint64_t> lowest;
  for (const Source& s : sources) {
    const contract::HeadSnapshot& h = s.view->heads;
    if (h.unsafe) lowest = std::min(lowest.value_or(h.unsafe->number), h.unsafe->number);
    if (s.voter->endpoint == endpoint) continue;
    for (const auto& label : {h.local_safe, h.safe, h.finalized})
      if (label) labels.insert(label->number);
  }
  if (const auto own = views_.find(endpoint); own != views_.end()) {
    // The look asks for these labels anyway.
    for (const auto& label : {own->second.heads.safe, own->second.heads.finalized})
      if (label && own->second.heads.kind == contract::EndpointKind::el) labels.erase(label->number);
  }
  std::vector<std::uint64_t> out{labels.begin(), labels.end()};
  if (sources.size() > 1 && lowest && !labels.contains(*lowest)) out.push_back(*lowest);
  // The highest heights matter most.
  if (out.size() > kMostHeights) out.erase(out.begin(), out.end() - kMostHeights);
  return out;
}

void Vote::put(contract::HeadSnapshot s, const std::vector<std::uint64_t>& asked,
               const std::map<std::uint64_t, Hash32>& has) {
  View v;
  const auto before = views_.find(s.endpoint);
  const std::uint64_t number = number_of(s.unsafe);
  // Two replicas that hang at different heights answer in turn: their changes are no progress.
  const bool rose = before == views_.end() || number > before->second.highest;
  v.highest = rose ? number : before->second.highest;
  v.moved = rose ? s.observed : before->second.moved;
  v.asked = {asked.begin(), asked.end()};
  for (const auto& label : {s.unsafe, s.safe, s.finalized}) {
    if (!label) continue;
    v.chain[label->number] = label->hash;
    if (label->number > 0) v.chain.emplace(label->number - 1, label->parent_hash);
  }
  // A block that an EL has by number overrides the claim of the CL behind the same URL.
  for (const auto& [n, hash] : has) v.chain[n] = hash;
  if (before != views_.end()) {
    const View& last = before->second;
    v.before.insert(last.chain.begin(), last.chain.upper_bound(number_of(last.heads.safe)));
    absl::erase_if(v.before, [&](const auto& block) { return v.chain.contains(block.first); });
  }
  const std::uint64_t settled = number_of(s.safe);
  for (const auto& [endpoint, other] : views_) {
    if (!v.differs_from(other, settled + 1, kAnyHeight)) continue;
    v.differed[endpoint] = (before == views_.end() ? 0 : before->second.differed[endpoint]) + 1;
  }
  v.heads = std::move(s);
  views_[v.heads.endpoint] = std::move(v);
}

std::optional<contract::HeadSnapshot> Vote::of(const std::string& endpoint) const {
  const auto it = views_.find(endpoint);
  if (it == views_.end()) return std::nullopt;
  return it->second.heads;
}

bool Vote::stalled(const std::string& endpoint) const {
  const auto it = views_.find(endpoint);
  return it != views_.end() && stalled(it->second);
}

bool Vote::stalled(const View& v) const {
  return std::any_of(views_.begin(), views_.end(), [&](const auto& other) {
    return number_of(other.second.heads.unsafe) > number_of(v.heads.unsafe) &&
           other.second.moved - v.moved > ages_.stalled;
  });
}

bool Vote::others_verify(const std::string& endpoint, absl::Time now) const {
  return std::any_of(views_.begin(), views_.end(), [&](const auto& v) {
    const contract::HeadSnapshot& s = v.second.heads;
    return s.endpoint != endpoint && s.kind == contract::EndpointKind::el && now - s.observed <= ages_.late;
  });
}

// ---------------------------------------------------------------- labels

std::optional<Hash32> Vote::Word::at(std::uint64_t number) const {
  std::optional<Hash32> out;
  bool by_el = false;
  for (const View* v : chain) {
    auto it = v->chain.find(number);
    if (it == v->chain.end()) {
      it = v->before.find(number);
      if (it == v->before.end()) continue;
    }
    // A CL's claim counts only where no EL of its group has the block.
    const bool el = contract::serves_blocks(v->heads.kind);
    if (by_el && !el) continue;
    if (out && el == by_el && *out != it->second) return std::nullopt;
    out = it->second;
    by_el = el;
  }
  return out;
}

std::optional<Vote::Word> Vote::word(const std::vector<Source>& members, Has may, Label label) const {
  Word w;
  // A stalled endpoint does not hold up its own group.
  const bool all_stalled = std::all_of(members.begin(), members.end(), [&](const auto& m) { return stalled(*m.view); });
  std::optional<std::uint64_t> lowest;
  bool by_cl = false;
  for (const Source& m : members) {
    if (stalled(*m.view) && !all_stalled) continue;
    w.chain.push_back(m.view);
    const auto& named = m.view->heads.*label;
    if (!(m.voter->*may) || !named) continue;
    // A CL derives; an EL's labels are what some CL told it.
    const bool cl = contract::serves_sync_status(m.view->heads.kind);
    if (by_cl && !cl) continue;
    lowest = cl && !by_cl ? named->number : std::min(lowest.value_or(named->number), named->number);
    by_cl = by_cl || cl;
  }
  if (!lowest) return std::nullopt;
  // ELs first, so that at() never takes a CL's claim before an EL's.
  std::stable_partition(w.chain.begin(), w.chain.end(),
                        [](const View* v) { return contract::serves_blocks(v->heads.kind); });
  w.label = *lowest;
  for (const View* a : w.chain)
    for (const View* b : w.chain) w.split = w.split || a->differs_from(*b, 0, w.label);
  return w;
}

Vote::Voted Vote::vote(const std::vector<Source>& sources, const std::set<std::string>& contradicting, Has may,
                       Label label, std::size_t quorum) const {
  std::map<std::string, std::vector<Source>> groups;
  for (const Source& s : sources)
    if (!contradicting.contains(s.voter->group)) groups[s.voter->group].push_back(s);
  std::vector<Word> words;
  std::map<std::pair<std::uint64_t, Hash32>, eth::BlockRef> candidates;
  bool els = false;
  for (const auto& [group, members] : groups) {
    const auto w = word(members, may, label);
    if (!w) continue;
    words.push_back(*w);
    for (const Source& m : members) {
      els = els || contract::serves_blocks(m.view->heads.kind);
      for (const auto& b : {m.view->heads.*label, m.view->heads.finalized})
        if (b) candidates.insert({{b->number, b->hash}, *b});
    }
  }
  // A block that no EL has at its height is on nobody's chain.
  const auto canonical = [&](const eth::BlockRef& b) {
    return !els || std::any_of(sources.begin(), sources.end(), [&](const Source& s) {
      const Word own{b.number, {s.view}, false};
      return contract::serves_blocks(s.view->heads.kind) && own.at(b.number) == b.hash;
    });
  };
  Voted out;
  if (words.size() < quorum) out.hold = contract::Hold::quorum_lost;
  const std::size_t needed = std::min(quorum, words.size());
  if (needed == 0) return out;
  for (const auto& candidate : candidates) {
    const eth::BlockRef& b = candidate.second;
    const auto has = std::count_if(words.begin(), words.end(),
                                   [&](const Word& w) { return w.label >= b.number && w.at(b.number) == b.hash; });
    if (static_cast<std::size_t>(has) >= needed && canonical(b)) out.block = b;
  }
  if (out.hold != contract::Hold::none) return out;
  // Whether the chains of two groups agree as far as both labels reach.
  const auto agree = [](const Word& a, const Word& b) {
    if (a.split || b.split) return false;
    const std::uint64_t up_to = std::min(a.label, b.label);
    for (const Word* side : {&a, &b}) {
      for (const View* v : side->chain) {
        for (const auto& [n, hash] : v->chain) {
          if (n > up_to) break;
          const auto x = a.at(n), y = b.at(n);
          if (x && y && *x != *y) return false;
        }
      }
    }
    return true;
  };
  const bool together = std::any_of(words.begin(), words.end(), [&](const Word& w) {
    const auto with = std::count_if(words.begin(), words.end(), [&](const Word& x) { return agree(w, x); });
    return static_cast<std::size_t>(with) >= quorum;
  });
  if (!together) out.hold = contract::Hold::sources_disagree;
  return out;
}

// ---------------------------------------------------------------- the unsafe head

int Vote::looks_apart(const Source& a, const Source& b) {
  const std::uint64_t settled = std::max(number_of(a.view->heads.safe), number_of(b.view->heads.safe));
  if (a.view->differs_from(*b.view, 0, settled)) return kUnsettled;
  const auto looks = [](const Source& x, const Source& y) {
    const auto it = x.view->differed.find(y.voter->endpoint);
    return it == x.view->differed.end() ? 0 : it->second;
  };
  return std::max(looks(a, b), looks(b, a));
}

std::size_t Vote::agreeing(const Source& s, const std::vector<Source>& sources) const {
  std::map<std::string, bool> agree;
  for (const Source& x : sources)
    if (x.voter->unsafe) agree.emplace(x.voter->group, true).first->second &= looks_apart(s, x) == 0;
  return static_cast<std::size_t>(std::count_if(agree.begin(), agree.end(), [](const auto& g) { return g.second; }));
}

std::size_t Vote::votes(const std::vector<Source>& branch, const std::vector<std::vector<Source>>& all) const {
  const auto votes_in = [](const std::vector<Source>& b, const std::string& group) {
    return std::any_of(b.begin(), b.end(), [&](const Source& s) { return s.voter->unsafe && s.voter->group == group; });
  };
  std::set<std::string> groups;
  for (const Source& s : branch) {
    // A group whose members are on several branches has no vote.
    const auto in = std::count_if(all.begin(), all.end(), [&](const auto& b) { return votes_in(b, s.voter->group); });
    if (s.voter->unsafe && in == 1) groups.insert(s.voter->group);
  }
  return groups.size();
}

bool Vote::most_have(const eth::BlockId& b, const std::vector<Source>& sources) const {
  std::map<std::string, std::set<bool>> has;
  for (const Source& s : sources) {
    const auto it = s.view->chain.find(b.number);
    if (s.voter->unsafe && it != s.view->chain.end()) has[s.voter->group].insert(it->second == b.hash);
  }
  const auto with = std::count_if(has.begin(), has.end(), [](const auto& g) { return !g.second.contains(false); });
  return static_cast<std::size_t>(with) * 2 > electorate_.unsafe;
}

std::vector<std::vector<Vote::Source>> Vote::branches(const std::vector<Source>& sources) const {
  std::vector<std::vector<Source>> out;
  for (const Source& s : sources) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const auto& branch) {
      return std::none_of(branch.begin(), branch.end(),
                          [&](const Source& x) { return looks_apart(s, x) >= kUnsettled; });
    });
    if (same != out.end()) same->push_back(s);
    else out.push_back({s});
  }
  const auto all = out;
  std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return votes(a, all) > votes(b, all); });
  return out;
}

std::optional<eth::BlockId> Vote::agreed(const std::vector<Source>& sources) const {
  if (electorate_.unsafe < 2) return std::nullopt;
  std::set<eth::BlockId> named;
  for (const Source& s : sources)
    for (const auto& [n, hash] : s.view->chain) named.insert({n, hash});
  for (auto it = named.rbegin(); it != named.rend(); ++it)
    if (most_have(*it, sources)) return *it;
  return std::nullopt;
}

bool Vote::behind(const Source& s, const std::vector<Source>& sources) const {
  const auto time = [](const eth::BlockRef& b) {
    return absl::FromUnixSeconds(static_cast<std::int64_t>(b.timestamp));
  };
  std::map<std::string, absl::Time> heads;
  for (const Source& x : sources) {
    if (!x.voter->unsafe || !x.view->heads.unsafe) continue;
    const auto [head, first] = heads.emplace(x.voter->group, time(*x.view->heads.unsafe));
    if (!first) head->second = std::max(head->second, time(*x.view->heads.unsafe));
  }
  const auto most = most_reach(heads, electorate_.unsafe);
  return most && s.view->heads.unsafe && *most - time(*s.view->heads.unsafe) > ages_.stalled;
}

Vote::Blemish Vote::blemish(const Source& s, const std::vector<Source>& sources, absl::Time now) const {
  // A CL that shares no label with any EL may be on any chain.
  bool els = false, confirmed = false;
  for (const Source& el : sources) {
    if (!contract::serves_blocks(el.view->heads.kind)) continue;
    els = true;
    confirmed = confirmed || s.view->shares_block_with(*el.view);
  }
  const contract::HeadSnapshot& h = s.view->heads;
  if (els && !confirmed) return Blemish::unconfirmed;
  // A CL that starts or replays shows its old knowledge.
  if (h.current_l1 && h.current_l1->hash.is_zero()) return Blemish::replays;
  if (now - h.observed > ages_.late) return Blemish::late;
  if (stalled(*s.view)) return Blemish::stalled;
  if (behind(s, sources)) return Blemish::behind;
  // A source that differs from most of the other groups does not lead until this is settled.
  std::map<std::string, bool> apart;
  for (const Source& x : sources)
    if (x.voter->unsafe && x.voter->group != s.voter->group) apart[x.voter->group] |= looks_apart(s, x) > 0;
  if (std::count_if(apart.begin(), apart.end(), [](const auto& g) { return g.second; }) * 2 >
      static_cast<std::ptrdiff_t>(apart.size()))
    return Blemish::apart;
  return s.voter->unsafe ? Blemish::none : Blemish::no_vote;
}

std::optional<contract::HeadSnapshot> Vote::choose(absl::Time now,
                                                   const std::optional<eth::BlockId>& confirmed_finalized) const {
  std::vector<Source> sources = heard(now);
  std::set<std::string> contradicting;
  const auto contradicts = [&](const Source& s) {
    return confirmed_finalized && s.view->contradicts(*confirmed_finalized);
  };
  for (const Source& s : sources)
    if (contradicts(s)) contradicting.insert(s.voter->group);
  // If one member of a group has the confirmed finalized block, the group does not contradict it; the other member
  // stands alone.
  for (const Source& s : sources)
    if (confirmed_finalized && s.view->chain.contains(confirmed_finalized->number) && !contradicts(s))
      contradicting.erase(s.voter->group);
  const bool most_contradict = contradicting.size() * 2 > count_groups(voters_);
  if (most_contradict) {
    contradicting.clear();  // they are shown, but followed only as far as the confirmed finalized block allows
  } else {
    // A view from before the confirmed finalized block was known was not compared with it.
    std::erase_if(sources, [&](const Source& s) {
      return contradicts(s) || (confirmed_finalized && contract::serves_blocks(s.view->heads.kind) &&
                                !s.view->asked.contains(confirmed_finalized->number) &&
                                !s.view->chain.contains(confirmed_finalized->number));
    });
  }
  if (sources.empty()) return std::nullopt;
  const Voted finalized =
      vote(sources, contradicting, &Voter::finalized, &contract::HeadSnapshot::finalized, electorate_.finalized_quorum);
  const Voted safe = vote(sources, contradicting, &Voter::safe, &contract::HeadSnapshot::safe, electorate_.safe_quorum);
  std::vector<Source> leaders = sources;
  for (const Voted* v : {&safe, &finalized}) {
    if (v->hold != contract::Hold::none || !v->block) continue;
    std::erase_if(leaders, [&](const Source& s) { return s.view->contradicts(v->block->id()); });
  }
  if (leaders.empty()) return std::nullopt;
  const auto all_branches = branches(leaders);
  std::vector<Blemish> blemishes(voters_.size());
  for (const Source& s : leaders) blemishes[s.order] = blemish(s, sources, now);
  // Candidates: the branch with most votes, and branches with equally many.
  std::vector<Source> order;
  const std::size_t most = votes(all_branches.front(), all_branches);
  for (const auto& branch : all_branches) {
    if (votes(branch, all_branches) < most) break;
    const auto from = static_cast<std::ptrdiff_t>(order.size());
    order.insert(order.end(), branch.begin(), branch.end());
    // Within a branch, by blemish and then by the order of the list.
    std::stable_sort(order.begin() + from, order.end(),
                     [&](const auto& a, const auto& b) { return blemishes[a.order] < blemishes[b.order]; });
  }
  contract::HeadSnapshot out = order.front().view->heads;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const contract::HeadSnapshot& h = order[i].view->heads;
    if (h.unsafe) out.others.push_back({h.endpoint, h.kind, *h.unsafe});
  }
  // A single source's claim of a derived block is worth no more than an unsafe head.
  if (out.local_safe && electorate_.unsafe > 1 && !most_have(out.local_safe->id(), sources)) out.local_safe.reset();
  out.groups = electorate_.unsafe;
  out.agree = std::min(most, agreeing(order.front(), sources));
  out.agreed = agreed(leaders);
  out.safe = safe.block;
  out.safe_hold = safe.hold;
  out.finalized = finalized.hold == contract::Hold::quorum_lost ? std::nullopt : finalized.block;
  out.finalized_hold = finalized.hold;
  out.contradicts_finalized = most_contradict;
  return out;
}

Vote::Standing Vote::standing(const std::string& endpoint, absl::Time now) const {
  const std::vector<Source> sources = heard(now);
  const auto all = branches(sources);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Source& s : all[i]) {
      if (s.voter->endpoint != endpoint) continue;
      const std::size_t mine = votes(all[i], all), best = votes(all[0], all);
      if (i > 0 && mine < best)
        return {true, absl::StrCat("another branch than that of ", best, " group(s); ", mine, " have it")};
      if (all.size() > 1 && votes(all[1], all) == best)
        return {true, absl::StrCat("the sources disagree: ", mine, " group(s) have its branch")};
      if (const auto c = choose(now); c && c->endpoint == endpoint) return {false, "leads"};
      switch (blemish(s, sources, now)) {
        case Blemish::none: return {false, "agrees"};
        case Blemish::no_vote: return {false, "agrees, and has no vote on unsafe heads"};
        case Blemish::apart: return {false, "had another block than most at the last look"};
        case Blemish::behind: return {false, "its head is behind that of most"};
        case Blemish::stalled: return {false, "its head stands still while another's moves"};
        case Blemish::late: return {false, "late"};
        case Blemish::replays: return {false, "starting or replaying"};
        case Blemish::unconfirmed: return {false, "no execution client has a block that it names"};
      }
    }
  }
  return {false, "not heard"};
}

}  // namespace towline::fetcher
