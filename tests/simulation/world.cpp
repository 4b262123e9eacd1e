#include "tests/simulation/world.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

namespace towline::simulation {
namespace {

/// How far the chain's clock may be ahead of ours.
constexpr absl::Duration kAhead = absl::Seconds(50);

constexpr const char* kModes[] = {"both", "gossip", "remote", "none"};

}  // namespace

std::deque<eth::BlockRef>::const_iterator GossipNetwork::find(const Hash32& hash) const {
  return std::find_if(cache_.begin(), cache_.end(), [&](const auto& b) { return b.hash == hash; });
}

std::vector<eth::BlockRef> GossipNetwork::arrived(absl::Time now, bool peers) {
  std::vector<eth::BlockRef> out;
  for (; !in_flight_.empty() && in_flight_.begin()->first <= now; in_flight_.erase(in_flight_.begin())) {
    if (!peers) continue;
    out.push_back(in_flight_.begin()->second);
    if (find(out.back().hash) == cache_.end()) cache_.push_back(out.back());
    if (cache_.size() > kCache) cache_.pop_front();
  }
  return out;
}

std::vector<eth::BlockRef> GossipNetwork::chain(const eth::BlockId& parent, const eth::BlockId& tip) const {
  std::vector<eth::BlockRef> out;
  for (Hash32 at = tip.hash; at != parent.hash; at = out.back().parent_hash) {
    const auto it = find(at);
    if (it == cache_.end()) return {};
    out.push_back(*it);
  }
  return {out.rbegin(), out.rend()};
}

World::World(const Schedule& s)
    : random_{s.seed},
      steps_{s.steps},
      mode_{static_cast<Mode>(random_() % 4)},
      shows_{random_() % 2 == 0, !gossip() || random_() % 4 != 0},
      now_{absl::FromUnixSeconds(static_cast<std::int64_t>(genesis_block().timestamp))},
      sequencer_{genesis_block()},
      remotes_{random_, sequencer_, shows_},
      can_rewind_{random_() % 2 == 0},
      rewind_for_single_source_{random_() % 2 == 0},
      ages_{random_() % 2 == 0
                ? driver::MinAge::Ages{}
                : driver::MinAge::Ages{absl::Seconds(random_() % 20), absl::Seconds(20 + random_() % 60)}},
      driver_{random_,
              random_() % 2 == 0 ? sim::ElProfile::op_geth : sim::ElProfile::op_reth,
              genesis_block(),
              remotes_.chain(),
              ages_,
              can_rewind_,
              rewind_for_single_source_,
              around()} {
  grow(random_() % 400);
  if (random_() % 4 == 0) {
    // An EL that has blocks already, also above the source's safe block.
    for (std::size_t n = 1; n < sequencer_.chain().size(); ++n) {
      driver_.el().new_payload(sequencer_.chain()[n]);
      driver_.el().forkchoice_updated(sequencer_.chain()[n].hash, {}, {});
    }
  }
  start_follower();
}

void World::start_follower() {
  coordinator::Follower::Options o;
  o.unsafe_from_remote = mode_ == Mode::remote || mode_ == Mode::both;
  o.unsafe_from_gossip = gossip();
  o.genesis = genesis_block().id();
  o.header_batch = 2 + random_() % 99;
  o.seed = random_();
  // The EL has no peers: a sync of its own is begun and given up, and its blocks are imported.
  if (o.seed % 8 == 0) o.start = {coordinator::StartMode::elsync, absl::Seconds(10)};
  follower_.emplace(o);
  shown_.reset();
  delivered_.clear();
  not_found_.clear();
  switching_.reset();
  last_switch_ = absl::InfinitePast();
}

void World::note(const std::string& what) {
  history_.push_back(absl::StrCat(
      absl::ToInt64Milliseconds(now_ - absl::FromUnixSeconds(static_cast<std::int64_t>(genesis_block().timestamp))),
      " ms  ", what));
  if (history_.size() > 60) history_.erase(history_.begin());
}

void World::broken(const std::string& what) {
  if (broken_.empty()) broken_ = what;
}

// ---------------------------------------------------------------- the driver

Driver::Around World::around() {
  Driver::Around a;
  a.payloads = [this](const eth::BlockId& parent, const eth::BlockId& tip, contract::PayloadOrigin origin) {
    return payloads(parent, tip, origin);
  };
  a.served = [this] { return remotes_.anybody(now_); };
  a.invalid = [this](const Hash32& hash) { return sequencer_.what(hash) == Make::invalid; };
  a.applied = [this](const contract::Forkchoice& f, const eth::BlockRef& before) { check_applied(f, before); };
  a.rewinds = [this](const eth::BlockId& to) {
    if (const auto above = el().by_number(to.number + 1); above && !remotes_.honest_contradicts(above->id()))
      broken("a rewind that no honest source asks for");
  };
  a.note = [this](const std::string& what) { note(what); };
  a.broken = [this](const std::string& what) { broken(what); };
  return a;
}

absl::StatusOr<std::vector<eth::BlockRef>> World::payloads(const eth::BlockId& parent, const eth::BlockId& tip,
                                                           contract::PayloadOrigin origin) {
  if (origin == contract::PayloadOrigin::remote) return remotes_.range(parent, tip, now_);
  if (!gossip_up_) return absl::UnavailableError("nobody there to ask for payloads");
  auto blocks = network_.chain(parent, tip);
  if (!blocks.empty()) return blocks;
  missing_.emplace(parent.hash, tip.hash);
  return absl::NotFoundError("not all of the range is in the cache");
}

void World::check_applied(const contract::Forkchoice& f, const eth::BlockRef& before) {
  if (switching_ && el().latest().hash != before.hash) {
    if (*switching_ < last_switch_ + absl::Seconds(10)) broken("branches are changed twice in ten seconds");
    last_switch_ = *switching_;
    switching_.reset();
  }
  for (const auto& [label, age, what] :
       {std::tuple{f.safe, ages_.safe, "safe"}, std::tuple{f.finalized, ages_.finalized, "final"}}) {
    if (!label) continue;
    const absl::Time made = absl::FromUnixSeconds(static_cast<std::int64_t>(remotes_.chain().time_of(label->number)));
    if (age > absl::ZeroDuration() && now_ + sequencer_ahead_ - made < age)
      broken(absl::StrCat(eth::to_string(*label), " is ", what, " before its time"));
    if (sequencer_.what(label->hash) != Make::real)
      broken(absl::StrCat(eth::to_string(*label), " is forged and ", what));
  }
  // Confirmed labels are in order, by number and by ancestry.
  const contract::Labels l{el().latest(), el().safe(), el().finalized()};
  if (l.safe && l.safe->number > l.unsafe->number) broken("safe above the head");
  if (l.safe && l.finalized && l.finalized->number > l.safe->number && l.finalized->number <= l.unsafe->number)
    broken("finalized above safe");
  for (const auto& label : {l.safe, l.finalized}) {
    if (!label || label->number > l.unsafe->number) continue;
    const auto at = el().by_number(label->number);
    if (!at || at->hash != label->hash)
      broken(absl::StrCat("label ", eth::to_string(*label), " is not on the head's chain"));
  }
}

void World::finish(std::uint64_t id, absl::StatusOr<contract::CommandResult> ended) {
  const auto r = contract::with_refusal(std::move(ended));
  pending_.reset();
  commanded_.reset();
  switching_.reset();
  if (missing_ && r.ok() && r->outcome == contract::Outcome::source_reorged) not_found_.insert(*missing_);
  missing_.reset();
  note(absl::StrCat("command ends: ", r.ok() ? absl::StrCat(contract::name(r->outcome), " ", r->reason)
                                             : std::string{r.status().message()}));
  carry_out(follower_->on_command_done(id, r, now_));
}

void World::run_pending() {
  if (!commanded_) {
    const coordinator::Effect effect = *pending_;
    if (const auto* c = std::get_if<coordinator::Compare>(&effect)) {
      pending_.reset();
      const auto remote = c->ours_only ? absl::StatusOr<std::vector<eth::BlockRef>>{std::vector<eth::BlockRef>{}}
                                       : remotes_.headers(c->numbers, c->endpoint, now_);
      absl::StatusOr<std::vector<eth::BlockRef>> local = std::vector<eth::BlockRef>{};
      for (const auto n : c->numbers) {
        if (const auto b = el().by_number(n)) local->push_back(*b);
      }
      if (!driver_up_ || !driver_.el_answers(now_)) local = absl::UnavailableError("the EL is down");
      return carry_out(follower_->on_compared(c->id, remote, local, now_));
    }
    commanded_ = std::visit([](const auto& e) { return e.id; }, effect);
    if (!driver_up_) return finish(*commanded_, absl::UnavailableError("the engine-driver is gone"));
    if (const auto* i = std::get_if<coordinator::Import>(&effect)) driver_.import(i->command, i->range);
    if (const auto* f = std::get_if<coordinator::SetForkchoice>(&effect))
      driver_.set_forkchoice(f->command, f->forkchoice);
    if (const auto* r = std::get_if<coordinator::Rewind>(&effect)) driver_.rewind(r->command, r->to);
    if (const auto* s = std::get_if<coordinator::StartElSync>(&effect)) driver_.start_el_sync(s->command, s->start);
  }
  if (!driver_up_) return finish(*commanded_, absl::UnavailableError("the engine-driver is gone"));
  if (auto result = driver_.work(now_)) finish(*commanded_, *std::move(result));
}

// ---------------------------------------------------------------- the world

void World::carry_out(std::optional<coordinator::Effect> effect) {
  if (!effect) return;
  if (pending_ || commanded_) broken("a second command in flight");
  if (const auto* i = std::get_if<coordinator::Import>(&*effect)) check_import(*i);
  pending_ = std::move(effect);
}

void World::publish(const std::vector<eth::BlockRef>& branch, std::size_t from) {
  // Only the end of a long stretch: a node that was away for so long does not hear the rest.
  for (std::size_t i = std::max(from, branch.size() - std::min<std::size_t>(branch.size(), 20)); i < branch.size();
       ++i) {
    const std::uint64_t luck = quiet_ ? 9 : random_() % 10;
    if (luck == 0) continue;  // lost
    const int latest = luck == 1 ? 12'000 : luck < 4 ? 3'000 : 400;
    for (std::uint64_t copies = random_() % 8 == 0 ? 2 : 1; copies > 0; --copies)
      network_.publish(branch[i], now_ + absl::Milliseconds(random_() % static_cast<unsigned>(latest)));
  }
}

void World::grow(std::uint64_t blocks) {
  const std::size_t before = sequencer_.chain().size();
  sequencer_.extend(blocks);
  keep_time();
  publish(sequencer_.chain(), before);
}

void World::keep_time() {
  const absl::Time due = absl::FromUnixSeconds(static_cast<std::int64_t>(sequencer_.tip().timestamp));
  if (due > now_ + kAhead) now_ = due - kAhead * std::uniform_real_distribution<double>{0, 1}(random_);
  sequencer_ahead_ = std::max(sequencer_ahead_, due - now_);
}

void World::deliver(const eth::BlockRef& block) {
  delivered_.insert(block.hash);
  not_found_.clear();
  carry_out(follower_->on_gossip(block, now_));
}

void World::deliver_cache() {
  const std::deque<eth::BlockRef> all = network_.cache();
  for (const auto& b : all) deliver(b);
}

void World::chaos() {
  const std::uint64_t head = sequencer_.tip().number;
  switch (random_() % 22) {
    case 0:
    case 1:
    case 2: grow(1 + random_() % 5); break;
    case 3: grow(random_() % 300); break;
    case 4:
    case 5:
      sequencer_.raise_labels(head - std::min<std::uint64_t>(head, random_() % 30),
                              head - std::min<std::uint64_t>(head, 20 + random_() % 60));
      break;
    case 6:
    case 7: {
      // Never below a block that the source called final: another test has that case.
      const std::uint64_t final_number = sequencer_.finalized().number;
      const std::uint64_t depth = random_() % 3 == 0 ? random_() % 400 : random_() % 12;
      const std::uint64_t ancestor = std::max(final_number, head - std::min(head, depth));
      const std::uint64_t blocks = 1 + random_() % (head - ancestor + 6);
      note(absl::StrCat("the source leaves its chain after ", ancestor, " and grows by ", blocks));
      sequencer_.reorg(ancestor, blocks);
      keep_time();
      publish(sequencer_.chain(), ancestor + 1);
      break;
    }
    case 8:
    case 9:
    case 14:
      if (const std::string what = remotes_.chaos(); !what.empty()) note(what);
      break;
    case 10: driver_.kill_el(now_); break;
    case 11:
      driver_.turn_el();
      note("EL up or down");
      break;
    case 12:
      if (!driver_up_) {
        driver_up_ = true;
        note("driver up");
        driver_.start(remotes_.size() > 1 && random_() % 2 == 0 ? absl::Seconds(random_() % 300)
                                                                : absl::ZeroDuration());
        break;
      }
      driver_up_ = false;
      if (random_() % 2 == 0) {
        note("driver told to stop");
        driver_.stop(now_);
      } else {
        note("driver killed");
        driver_.kill();
      }
      break;
    case 16: driver_.set_disk(random_() % 4 != 0); break;
    case 15:
      note("remote-fetcher restarted");
      remotes_.restart();
      break;
    case 13: {
      note("coordinator restarted");
      // The restart cancels its requests.
      pending_.reset();
      commanded_.reset();
      missing_.reset();
      driver_.cancel(now_);
      start_follower();
      if (gossip_up_) deliver_cache();
      break;
    }
    default: break;
  }
}

void World::chaos_of_the_network() {
  switch (random_() % 24) {
    case 0:
      peers_ = !peers_;
      note(peers_ ? "p2p-gossip has peers" : "p2p-gossip has no peers");
      break;
    case 1:
      gossip_up_ = !gossip_up_;
      note(gossip_up_ ? "p2p-gossip up" : "p2p-gossip down");
      if (!gossip_up_) network_.restart();
      break;
    case 2:
      // The watcher's stream broke: a new one begins with all that is in the cache.
      if (gossip_up_) deliver_cache();
      break;
    case 3:
      sequencer_.equivocate(random_() % 8);
      sequencer_.extend_rival(random_() % 12);
      note(absl::StrCat("the sequencer signs a second ", sequencer_.rival().front().number));
      publish(sequencer_.rival(), 0);
      break;
    case 4:
    case 5:
    case 6: {
      const std::size_t before = sequencer_.rival().size();
      sequencer_.extend_rival(1 + random_() % 5);
      publish(sequencer_.rival(), before);
      break;
    }
    case 7:
    case 8:
      if (sequencer_.swap_rival()) {
        keep_time();
        note(absl::StrCat("the source goes to the rival branch after ", sequencer_.rival().front().number - 1));
      }
      break;
    case 9: remotes_.set_delay(random_() % 2 == 0 ? 0 : random_() % 8); break;
    default: break;
  }
}

void World::step() {
  now_ += absl::Milliseconds(50 + random_() % 400);
  for (const auto& b : network_.arrived(now_, peers_ && gossip_up_)) deliver(b);
  if (driver_up_) {
    driver_.look(now_);
    carry_out(follower_->on_local(driver_.state(), now_));
  } else {
    carry_out(follower_->on_local_lost("the engine-driver does not answer", now_));
  }
  const auto confirmed_finalized = coordinator::final_block(driver_.state());
  remotes_.look(confirmed_finalized, now_);
  if (const auto s = remotes_.heads(confirmed_finalized, now_)) {
    if (!s->current_l1 || !s->current_l1->hash.is_zero()) shown_ = s;
    carry_out(follower_->on_remote(*s, now_));
  } else carry_out(follower_->on_remote_lost({"no_heads", "no heads"}, now_));
  carry_out(follower_->on_wake(now_));
  if (pending_ || commanded_) run_pending();
  check();
}

void World::check_import(const coordinator::Import& i) {
  const contract::ImportRange& r = i.range;
  const eth::BlockRef tip = sequencer_.made(r.tip.hash);
  const bool switches = r.parent.hash != i.command.expected_head;
  note(absl::StrCat("import ", eth::to_string(r.parent), " to ", eth::to_string(r.tip),
                    r.from_gossip() ? " gossip" : ""));
  const auto on_chain_of_tip = [&](const eth::BlockRef& b) {
    eth::BlockRef at = tip;
    while (at.number > b.number) at = sequencer_.made(at.parent_hash);
    return at.hash == b.hash;
  };
  const auto derived = [&](const std::optional<eth::BlockRef>& b) { return b && b->number > r.parent.number; };
  const auto is_tip = [&](const std::optional<eth::BlockRef>& b) { return b && b->hash == r.tip.hash; };
  if (mode_ == Mode::none && shown_ && !is_tip(shown_->safe) && !is_tip(shown_->finalized) &&
      !is_tip(shown_->local_safe))
    broken("an unsafe block is imported although none is wanted");
  if (switches && shown_ && !derived(shown_->safe) && !derived(shown_->local_safe)) switching_ = now_;
  if (!r.from_gossip()) return;
  if (!gossip()) broken("gossip is imported although none is wanted");
  if (not_found_.contains({r.parent.hash, r.tip.hash}))
    broken(absl::StrCat(eth::to_string(tip), " was not there and is asked for again"));
  for (eth::BlockRef at = tip; at.hash != r.parent.hash; at = sequencer_.made(at.parent_hash)) {
    if (!delivered_.contains(at.hash) || at.number <= r.parent.number) {
      broken(absl::StrCat("gossip up to ", eth::to_string(tip), " does not lead from ", eth::to_string(r.parent)));
      return;
    }
  }
  // A source's earlier snapshot still counts while the source is away, but it cannot be asked.
  const auto& remote = follower_->remote();
  if (!shown_ || !remote || remote->kind == contract::EndpointKind::cl) return;
  const auto safe = shown_->safe_hold == contract::Hold::quorum_lost ? std::nullopt : shown_->safe;
  for (const auto& label : {safe, shown_->local_safe}) {
    if (label && label->number <= tip.number && !on_chain_of_tip(*label))
      broken(absl::StrCat("gossip of a branch that safe ", eth::to_string(*label), " has left"));
  }
  if (!remote->unsafe) return;
  if (const auto named = el().by_number(remote->unsafe->number);
      switches && named && named->hash == remote->unsafe->hash && named->number > r.parent.number)
    broken("gossip leads away from the branch that the source names");
}

void World::check() {
  if (!remotes_.broken().empty()) broken(remotes_.broken());
}

const eth::BlockRef& World::wanted_head() const {
  if (gossip()) return sequencer_.tip();
  if (mode_ == Mode::remote) return remotes_.honest_head();
  const std::uint64_t safe = sequencer_.safe().number;
  return sequencer_
      .chain()[shows_.local_safe && remotes_.size() == 1 ? std::min(safe + 4, remotes_.honest_head().number) : safe];
}

bool World::converged() const {
  // Of several sources the first may lead above the common head, or be a few blocks behind.
  const bool there = remotes_.size() == 1
                         ? el().latest().hash == wanted_head().hash
                         : sequencer_.on_chain_of(wanted_head().id(), el().latest()) ||
                               (sequencer_.has(el().latest().id()) && el().latest().number + 3 >= wanted_head().number);
  // The last source of a lost quorum may have been a lying one: its safe block counts along the chain that gossip
  // names.
  const bool safe = el().safe() && (el().safe()->hash == sequencer_.safe().hash ||
                                    (gossip() && remotes_.size() > 1 && sequencer_.has(el().safe()->id()) &&
                                     el().safe()->number > sequencer_.safe().number));
  return there && safe && el().finalized() && el().finalized()->hash == sequencer_.finalized().hash &&
         follower_->state() == coordinator::TowState::at_tip;
}

std::string World::run() {
  for (int i = 0; i < steps_ && broken_.empty(); ++i) {
    chaos();
    chaos_of_the_network();
    step();
  }
  remotes_.heal();
  driver_.heal();
  if (!driver_up_) driver_.start(absl::ZeroDuration());
  driver_up_ = peers_ = gossip_up_ = true;
  note("faults stop");
  // A source whose safe block is below ours holds the label: the chain grows, as a live chain does, so that safe moves
  // on. A source that is behind the sequencer stays behind. None of the last blocks is lost; only the source can fill a
  // gap below them, with its unsafe head or, if it shows none, when its safe head passes.
  grow(90);
  for (int i = 0; i < 60 && broken_.empty(); ++i) {
    quiet_ = i >= 32;
    if (i % 2 == 0) grow(1);
    const std::uint64_t behind = remotes_.honest_head().number - (shows_.unsafe ? 25 : 2);
    sequencer_.raise_labels(behind, behind - 5);
    step();
  }
  const absl::Time deadline = now_ + absl::Minutes(10);
  const bool op_geth = el().profile() == sim::ElProfile::op_geth;
  // An operator is needed where nobody may rewind this EL.
  const auto legit = [&] {
    return follower_->state() == coordinator::TowState::needs_operator && op_geth &&
           (!can_rewind_ || (remotes_.size() == 1 && !rewind_for_single_source_));
  };
  while (broken_.empty() && !converged() && !legit() && now_ < deadline) step();
  if (broken_.empty() && !converged()) {
    if (!legit())
      broken(absl::StrCat("no convergence: ", coordinator::name(follower_->state()), ": ", follower_->reason(), "; EL ",
                          eth::to_string(el().latest()), " safe ", el().safe() ? eth::to_string(*el().safe()) : "-",
                          " finalized ", el().finalized() ? eth::to_string(*el().finalized()) : "-", "; source ",
                          eth::to_string(remotes_.honest_head()), " safe ", eth::to_string(sequencer_.safe()),
                          " finalized ", eth::to_string(sequencer_.finalized()), "; sequencer ",
                          eth::to_string(sequencer_.tip())));
  }
  if (broken_.empty()) return {};
  std::vector<std::string> decisions;
  for (const auto& d : follower_->decisions())
    decisions.push_back(absl::StrCat(coordinator::text(d.action), ": ", d.reason,
                                     d.repeated > 0 ? absl::StrCat(" x", d.repeated + 1) : ""));
  if (decisions.size() > 25) decisions.erase(decisions.begin(), decisions.end() - 25);
  return absl::StrCat(broken_, "\n  sources: ", remotes_.text(), "; EL: ", op_geth ? "op-geth" : "op-reth",
                      can_rewind_ ? " with" : " without", " admin RPC, unsafe source ", kModes[static_cast<int>(mode_)],
                      "\n  ", absl::StrJoin(history_, "\n  "), "\ndecisions:\n  ", absl::StrJoin(decisions, "\n  "));
}

}  // namespace towline::simulation
