#include "tests/simulation/world.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::simulation {
namespace {

/// By how much the chain's clock goes before ours at most.
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
      el_{random_() % 2 == 0 ? sim::ElProfile::op_geth : sim::ElProfile::op_reth, genesis_block()},
      can_rewind_{random_() % 2 == 0},
      rewind_for_single_source_{random_() % 2 == 0},
      ages_{random_() % 2 == 0
                ? driver::MinAge::Ages{}
                : driver::MinAge::Ages{absl::Seconds(random_() % 20), absl::Seconds(20 + random_() % 60)}},
      min_age_{remotes_.chain(), ages_},
      gate_{driver::Persistent{}} {
  grow(random_() % 400);
  if (random_() % 4 == 0) {
    // An EL that has blocks already, above whatever the source calls safe.
    for (std::size_t n = 1; n < sequencer_.chain().size(); ++n) {
      el_.new_payload(sequencer_.chain()[n]);
      el_.forkchoice_updated(sequencer_.chain()[n].hash, {}, {});
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

// ---------------------------------------------------------------- what the two sides show

contract::Labels World::labels() const { return {el_.latest(), el_.safe(), el_.finalized()}; }

contract::EngineState World::driver_state() const {
  contract::EngineState s;
  s.status = el_up_ ? contract::EngineStatus::ready : contract::EngineStatus::unreachable;
  s.labels = labels();
  driver::show(gate_.state(), s);
  s.can_rewind = can_rewind_ && el_.profile() == sim::ElProfile::op_geth;
  s.rewind_for_single_source = rewind_for_single_source_;
  s.engine_session = session_;
  return s;
}

// ---------------------------------------------------------------- the driver

static absl::Status saved(const driver::Persistent&) { return absl::OkStatus(); }

absl::Status World::admit(const contract::CommandStamp& c) {
  const auto before = gate_.state().epoch;
  el_shown_ = labels();
  lost_ = false;
  chain_time_ = c.chain_time;
  TOWLINE_RETURN_IF_ERROR(gate_.admit(c, el_shown_, saved));
  if (gate_.state().epoch < before) broken("the gate took an older epoch");
  return absl::OkStatus();
}

contract::CommandResult World::ended(contract::Outcome o, std::string reason, std::optional<eth::BlockId> block) {
  return {o, std::move(reason), block, el_up_ ? labels() : contract::Labels{}};
}

contract::CommandResult World::came_back(const eth::BlockId& block) {
  ++session_;
  return ended(contract::Outcome::engine_unavailable, "the EL came back as another one", block);
}

void World::kill_el() {
  el_.kill();
  ++session_;
  lost_ = true;
  note(absl::StrCat("EL killed: head ", eth::to_string(el_.latest())));
}

std::optional<sim::ElAnswer> World::until_known(const std::function<sim::ElAnswer()>& send,
                                                const contract::Forkchoice* update) {
  while (true) {
    if (lost_) {
      if (const auto known = driver::after_loss(el_shown_, update, labels())) {
        if (driver::react(driver::Call::forkchoice_updated, *known) != driver::Reaction::proceed) return std::nullopt;
        return sim::ElAnswer{};
      }
      lost_ = false;
    }
    const auto hash = [](const std::optional<eth::BlockRef>& b) { return b ? b->hash : Hash32{}; };
    const contract::Labels l = labels();
    if (hash(l.latest) != hash(el_shown_.latest) || hash(l.safe) != hash(el_shown_.safe) ||
        hash(l.finalized) != hash(el_shown_.finalized))
      broken("a write to an EL that came back as another one, before its labels were read");
    if (!lossy_ || random_() % 300 != 0) return send();
    const bool applied = random_() % 2 == 0;
    note(applied ? "an answer of the EL is lost" : "a write to the EL is lost");
    if (applied) send();
    lost_ = true;
    if (random_() % 2 == 0) kill_el();
  }
}

std::optional<contract::CommandResult> World::update(const contract::Forkchoice& f) {
  const eth::BlockRef before = el_.latest();
  if (gate_.state().epoch < highest_epoch_) broken("a forkchoice update with an older epoch after a newer one");
  highest_epoch_ = gate_.state().epoch;
  if (f.finalized && highest_finalized_ &&
      (f.finalized->number < highest_finalized_->number ||
       (f.finalized->number == highest_finalized_->number && f.finalized->hash != highest_finalized_->hash))) {
    broken(absl::StrCat("finalized goes back from ", eth::to_string(*highest_finalized_), " to ",
                        eth::to_string(*f.finalized)));
  }
  const auto sent = until_known(
      [&] {
        // No needless rewind: an ancestor of the head is never asked for.
        if (const auto b = el_.by_number(f.head.number);
            b && b->hash == f.head.hash && f.head.number < el_.latest().number)
          broken("a forkchoice update to an ancestor of the head");
        return el_.forkchoice_updated(f.head.hash, f.safe ? f.safe->hash : Hash32{},
                                      f.finalized ? f.finalized->hash : Hash32{});
      },
      &f);
  if (!sent) return came_back(f.head);
  const sim::ElAnswer& a = *sent;
  note(absl::StrCat("fence ", gate_.state().fence ? eth::to_string(*gate_.state().fence) : "-", " EL safe ",
                    el_.safe() ? eth::to_string(*el_.safe()) : "-", " finalized ",
                    el_.finalized() ? eth::to_string(*el_.finalized()) : "-", " forkchoice head ",
                    eth::to_string(f.head), " safe ", f.safe ? eth::to_string(*f.safe) : "-", " finalized ",
                    f.finalized ? eth::to_string(*f.finalized) : "-", ": ",
                    a.error_code != 0 ? absl::StrCat(a.error_code) : sim::name(a.status)));
  if (a.error_code == -38002) return ended(contract::Outcome::not_applied, a.message, f.head);
  if (a.error_code != 0) return ended(contract::Outcome::engine_unavailable, a.message, f.head);
  if (a.status == sim::ElStatus::invalid) return ended(contract::Outcome::invalid, "INVALID", f.head);
  if (a.status != sim::ElStatus::valid) return ended(contract::Outcome::missing_state, "SYNCING", f.head);
  const auto differs = [](const std::optional<eth::BlockId>& wanted, const std::optional<eth::BlockRef>& have) {
    return wanted && (!have || have->hash != wanted->hash);
  };
  const contract::Labels l = el_shown_ = labels();
  if (differs(f.head, l.latest) || differs(f.safe, l.safe) || differs(f.finalized, l.finalized))
    return ended(contract::Outcome::not_applied, "reads back as something else", f.head);
  if (switching_ && l.latest->hash != before.hash) {
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
  if (f.finalized && min_age_.may_confirm(f.head, driver_now())) {
    gate_.confirm_finalized(*f.finalized, saved).IgnoreError();
    highest_finalized_ = f.finalized;
  }
  // Confirmed labels are in order, by number and by ancestry.
  if (l.safe && l.safe->number > l.latest->number) broken("safe above the head");
  if (l.safe && l.finalized && l.finalized->number > l.safe->number && l.finalized->number <= l.latest->number)
    broken("finalized above safe");
  for (const auto& label : {l.safe, l.finalized}) {
    if (!label || label->number > l.latest->number) continue;
    const auto at = el_.by_number(label->number);
    if (!at || at->hash != label->hash)
      broken(absl::StrCat("label ", eth::to_string(*label), " is not on the head's chain"));
  }
  return std::nullopt;
}

void World::finish(std::uint64_t id, absl::StatusOr<contract::CommandResult> ended) {
  const auto r = contract::with_refusal(std::move(ended));
  pending_.reset();
  importing_.reset();
  unanswered_since_.reset();
  switching_.reset();
  note(absl::StrCat("command ends: ", r.ok() ? absl::StrCat(contract::name(r->outcome), " ", r->reason)
                                             : std::string{r.status().message()}));
  carry_out(follower_->on_command_done(id, r, now_));
}

void World::import_step() {
  Importing& i = *importing_;
  const auto leave = [&](contract::CommandResult r) {
    if (auto f = i.plan.finish_early(); f && el_answers() && !driver::after_loss(el_shown_, nullptr, labels()) &&
                                        gate_.check_labels(f->head, f->safe, f->finalized, i.before).ok())
      update(*f);
    r.labels = labels();
    finish(i.id, r);
  };
  if (i.plan.done()) return finish(i.id, ended(contract::Outcome::done, {}));
  if (!i.from_gossip && !remotes_.anybody(now_))
    return leave(ended(contract::Outcome::source_unavailable, "the source is down"));
  const eth::BlockRef& block = i.blocks[i.next++];
  if (auto st = i.plan.check(block); !st.ok())
    return leave(ended(contract::Outcome::source_reorged, std::string{st.message()}, block.id()));
  if (const auto at = el_.by_number(block.number); at && at->hash == block.hash)
    broken(absl::StrCat(eth::to_string(block), " is asked for although it is on the EL's chain"));
  if (!el_.by_hash(block.parent_hash))
    broken(absl::StrCat("newPayload ", eth::to_string(block), " whose parent the EL does not know"));
  const auto sent = until_known(
      [&] {
        return sequencer_.what(block.hash) == Make::invalid
                   ? sim::ElAnswer{sim::ElStatus::invalid, block.parent_hash, 0, "bad"}
                   : el_.new_payload(block);
      },
      nullptr);
  if (!sent) return leave(came_back(block.id()));
  const sim::ElAnswer& a = *sent;
  if (a.error_code != 0) return leave(ended(contract::Outcome::engine_unavailable, a.message, block.id()));
  if (a.status == sim::ElStatus::invalid) return leave(ended(contract::Outcome::invalid, "INVALID", block.id()));
  if (a.status != sim::ElStatus::valid)
    return leave(ended(contract::Outcome::missing_state, sim::name(a.status), block.id()));
  if (auto f = i.plan.on_valid(block)) {
    if (!gate_.check_labels(f->head, f->safe, f->finalized, i.before).ok()) {
      f->safe.reset();
      f->finalized.reset();
    }
    if (auto bad = update(*f)) return leave(*bad);
  }
  if (i.plan.contradicts_fence())
    return leave(ended(contract::Outcome::contradicts_finalized, "another block than the fence", block.id()));
  if (i.plan.done()) finish(i.id, ended(contract::Outcome::done, {}));
}

void World::run_pending() {
  if (importing_) {
    if (!driver_up_) return finish(importing_->id, absl::UnavailableError("the engine-driver is gone"));
    if (!el_up_) {
      // Its call has no answer: it waits, and reads the labels when there is one.
      lost_ = true;
      if (!unanswered_since_) unanswered_since_ = now_;
      if (now_ - *unanswered_since_ < absl::Seconds(30)) return;
      return finish(importing_->id, ended(contract::Outcome::engine_unavailable, "the EL is gone"));
    }
    unanswered_since_.reset();
    // Several payloads a step, so that long ranges end.
    const int burst = 1 + static_cast<int>(random_() % 40);
    for (int k = 0; k < burst && importing_; ++k) import_step();
    return;
  }
  const coordinator::Effect effect = *pending_;
  if (const auto* c = std::get_if<coordinator::Compare>(&effect)) {
    pending_.reset();
    const auto remote = remotes_.headers(c->numbers, c->endpoint, now_);
    absl::StatusOr<std::vector<eth::BlockRef>> local = std::vector<eth::BlockRef>{};
    for (const auto n : c->numbers) {
      if (const auto b = el_.by_number(n)) local->push_back(*b);
    }
    if (!el_answers()) local = absl::UnavailableError("the EL is down");
    return carry_out(follower_->on_compared(c->id, remote, local, now_));
  }
  const auto id = std::visit([](const auto& e) { return e.id; }, effect);
  if (!driver_up_) return finish(id, absl::UnavailableError("the engine-driver is gone"));
  if (!el_up_) return finish(id, absl::UnavailableError("the EL does not answer"));
  const auto canonical = [&](const eth::BlockId& b) {
    const auto at = el_.by_number(b.number);
    return at && at->hash == b.hash;
  };
  if (const auto* i = std::get_if<coordinator::Import>(&effect)) {
    if (auto st = admit(i->command); !st.ok()) return finish(id, st);
    contract::ImportRange range = i->range;
    if (!canonical(range.parent)) return finish(id, contract::refuse(contract::Refusal::not_canonical, "parent"));
    if (const auto& fence = gate_.state().fence;
        fence && range.parent.number < fence->number && el_.latest().number >= fence->number) {
      return finish(id, contract::refuse(contract::Refusal::below_finalized, "a branch"));
    }
    min_age_.hold(labels(), range.safe, range.finalized, driver_now());
    for (auto* label : {&range.safe, &range.finalized}) {
      if (*label && (*label)->number <= range.parent.number && !canonical(**label)) label->reset();
    }
    const auto lost = [&](contract::Outcome o, const std::string& why) {
      if (range.from_gossip()) not_found_.emplace(range.parent.hash, range.tip.hash);
      finish(id, ended(o, why));
    };
    if (range.from_gossip() && !gossip_up_)
      return finish(id, ended(contract::Outcome::source_unavailable, "nobody there to ask for payloads"));
    auto blocks = range.from_gossip()
                      ? absl::StatusOr<std::vector<eth::BlockRef>>{network_.chain(range.parent, range.tip)}
                      : remotes_.range(range.parent, range.tip, now_);
    if (absl::IsUnavailable(blocks.status()))
      return finish(id, ended(contract::Outcome::source_unavailable, std::string{blocks.status().message()}));
    if (!blocks.ok()) return lost(contract::Outcome::source_reorged, std::string{blocks.status().message()});
    if (blocks->empty()) return lost(contract::Outcome::source_reorged, "the tip does not descend from the parent");
    std::optional<Hash32> above;
    if (range.parent.hash != el_.latest().hash) above = el_.by_number(range.parent.number + 1)->hash;
    importing_ = Importing{id,
                           driver::ImportPlan{range, 32, labels(), gate_.state().fence, above},
                           *std::move(blocks),
                           0,
                           labels(),
                           range.from_gossip()};
    return;
  }
  if (const auto* f = std::get_if<coordinator::SetForkchoice>(&effect)) {
    if (auto st = admit(f->command); !st.ok()) return finish(id, st);
    contract::Forkchoice wanted = f->forkchoice;
    if (min_age_.hold(labels(), wanted.safe, wanted.finalized, driver_now()) && !wanted.safe && !wanted.finalized)
      return finish(id, ended(contract::Outcome::done, {}));
    if (auto st = gate_.check_labels(wanted.head, wanted.safe, wanted.finalized, labels()); !st.ok())
      return finish(id, st);
    for (const auto& label : {wanted.safe, wanted.finalized}) {
      if (!label || canonical(*label)) continue;
      min_age_.forget();
      return finish(id, contract::refuse(contract::Refusal::not_canonical, "label"));
    }
    if (auto bad = update(wanted)) return finish(id, *bad);
    return finish(id, ended(contract::Outcome::done, {}));
  }
  const auto& r = std::get<coordinator::Rewind>(effect);
  if (auto st = admit(r.command); !st.ok()) return finish(id, st);
  if (const auto above = el_.by_number(r.to.number + 1); above && !remotes_.honest_contradicts(above->id()))
    broken("a rewind that no honest source asks for");
  if (auto st = gate_.check_rewind(r.to); !st.ok()) return finish(id, st);
  if (!canonical(r.to) || !el_.set_head(r.to.number))
    return finish(id, ended(contract::Outcome::not_applied, "debug_setHead failed", r.to));
  note(absl::StrCat("rewound to ", eth::to_string(r.to)));
  finish(id, ended(contract::Outcome::done, {}, r.to));
}

// ---------------------------------------------------------------- the world

void World::carry_out(std::optional<coordinator::Effect> effect) {
  if (!effect) return;
  if (pending_ || importing_) broken("a second command in flight");
  if (const auto* i = std::get_if<coordinator::Import>(&*effect)) check_import(*i);
  pending_ = std::move(effect);
}

void World::publish(const std::vector<eth::BlockRef>& branch, std::size_t from) {
  // Of a long stretch only the end: a node that was away for so long does not hear the rest.
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
      // Never below what the source called final: that is another test's matter.
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
    case 10: kill_el(); break;
    case 11:
      el_up_ = !el_up_;
      if (el_up_) ++session_;
      note(el_up_ ? "EL up" : "EL down");
      break;
    case 12:
      driver_up_ = !driver_up_;
      note(driver_up_ ? "driver up" : "driver down");
      min_age_ = driver::MinAge{remotes_.chain(), ages_};
      driver_late_ = remotes_.size() > 1 && random_() % 2 == 0 ? absl::Seconds(random_() % 300) : absl::ZeroDuration();
      break;
    case 15:
      note("remote-fetcher restarted");
      remotes_.restart();
      break;
    case 13: {
      note("coordinator restarted");
      // What it had asked for is cancelled with it.
      pending_.reset();
      importing_.reset();
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
  if (driver_up_) carry_out(follower_->on_local(driver_state(), now_));
  else carry_out(follower_->on_local_lost("the engine-driver does not answer", now_));
  remotes_.look(gate_.state().fence, now_);
  if (const auto s = remotes_.heads(gate_.state().fence, now_)) {
    if (!s->current_l1 || !s->current_l1->hash.is_zero()) shown_ = s;
    carry_out(follower_->on_remote(*s, now_));
  } else carry_out(follower_->on_remote_lost({"no_heads", "no heads"}, now_));
  carry_out(follower_->on_wake(now_));
  if (pending_ || importing_) run_pending();
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
  // What the source said before it went away counts as well, but only while it is there it can be asked.
  const auto& remote = follower_->remote();
  if (!shown_ || !remote || remote->kind == contract::EndpointKind::cl) return;
  const auto safe = shown_->safe_hold == contract::Hold::quorum_lost ? std::nullopt : shown_->safe;
  for (const auto& label : {safe, shown_->local_safe}) {
    if (label && label->number <= tip.number && !on_chain_of_tip(*label))
      broken(absl::StrCat("gossip of a branch that safe ", eth::to_string(*label), " has left"));
  }
  if (!remote->unsafe) return;
  if (const auto named = el_.by_number(remote->unsafe->number);
      switches && named && named->hash == remote->unsafe->hash && named->number > r.parent.number)
    broken("gossip leads away from the branch that the source names");
}

void World::check() {
  if (!remotes_.broken().empty()) broken(remotes_.broken());
  if (gate_.state().fence && highest_finalized_ && gate_.state().fence->number < highest_finalized_->number)
    broken("the fence went back");
}

const eth::BlockRef& World::wanted_head() const {
  if (gossip()) return sequencer_.tip();
  if (mode_ == Mode::remote) return remotes_.honest_head();
  const std::uint64_t safe = sequencer_.safe().number;
  return sequencer_
      .chain()[shows_.local_safe && remotes_.size() == 1 ? std::min(safe + 4, remotes_.honest_head().number) : safe];
}

bool World::converged() const {
  // Of several the first may lead above what all have, or be a few blocks behind.
  const bool there = remotes_.size() == 1
                         ? el_.latest().hash == wanted_head().hash
                         : sequencer_.on_chain_of(wanted_head().id(), el_.latest()) ||
                               (sequencer_.has(el_.latest().id()) && el_.latest().number + 3 >= wanted_head().number);
  // Of a lost quorum a liar may have been the one that was left: its word counts along the chain that gossip names.
  const bool safe = el_.safe() && (el_.safe()->hash == sequencer_.safe().hash ||
                                   (gossip() && remotes_.size() > 1 && sequencer_.has(el_.safe()->id()) &&
                                    el_.safe()->number > sequencer_.safe().number));
  return there && safe && el_.finalized() && el_.finalized()->hash == sequencer_.finalized().hash &&
         follower_->state() == coordinator::TowState::at_tip;
}

std::string World::run() {
  for (int i = 0; i < steps_ && broken_.empty(); ++i) {
    chaos();
    chaos_of_the_network();
    step();
  }
  remotes_.heal();
  el_up_ = driver_up_ = peers_ = gossip_up_ = true;
  lossy_ = false;
  ++session_;
  note("faults stop");
  // A source whose safe is below ours holds the label where it is: let it move on, as a live chain does. Where it is
  // behind the sequencer it stays so. Of its last blocks none is lost; a gap below them only the source can fill,
  // with its unsafe head or, if it shows none, when its safe head passes.
  grow(90);
  for (int i = 0; i < 60 && broken_.empty(); ++i) {
    quiet_ = i >= 32;
    if (i % 2 == 0) grow(1);
    const std::uint64_t behind = remotes_.honest_head().number - (shows_.unsafe ? 25 : 2);
    sequencer_.raise_labels(behind, behind - 5);
    step();
  }
  const absl::Time deadline = now_ + absl::Minutes(10);
  const bool op_geth = el_.profile() == sim::ElProfile::op_geth;
  // An operator has to do it: nobody may rewind this EL.
  const auto legit = [&] {
    return follower_->state() == coordinator::TowState::needs_operator && op_geth &&
           (!can_rewind_ || (remotes_.size() == 1 && !rewind_for_single_source_));
  };
  while (broken_.empty() && !converged() && !legit() && now_ < deadline) step();
  if (broken_.empty() && !converged()) {
    if (!legit())
      broken(absl::StrCat("no convergence: ", coordinator::name(follower_->state()), ": ", follower_->reason(), "; EL ",
                          eth::to_string(el_.latest()), " safe ", el_.safe() ? eth::to_string(*el_.safe()) : "-",
                          " finalized ", el_.finalized() ? eth::to_string(*el_.finalized()) : "-", "; source ",
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
