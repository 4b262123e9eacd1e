#include "tests/simulation/world.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "libs/base/status.hpp"

namespace towline::simulation {
namespace {

Hash32 fresh_hash(std::uint64_t number, std::uint64_t nonce) {
  Hash32 h;
  for (unsigned i = 0; i < 8; ++i) {
    h.bytes[i] = static_cast<std::uint8_t>(number >> (8U * i));
    h.bytes[8 + i] = static_cast<std::uint8_t>(nonce >> (8U * i));
  }
  h.bytes[31] = 1;
  return h;
}

eth::BlockRef genesis_block() { return {0, fresh_hash(0, 0), {}, 1'000'000}; }

}  // namespace

void Source::extend(std::uint64_t blocks) {
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::uint64_t n = chain_.back().number + 1;
    chain_.push_back({n, fresh_hash(n, ++blocks_made_), chain_.back().hash, 1'000'000 + n * 2});
  }
}

void Source::reorg(std::uint64_t ancestor, std::uint64_t blocks) {
  chain_.resize(ancestor + 1);
  extend(blocks);
  safe_ = std::min(safe_, ancestor);
  finalized_ = std::min(finalized_, ancestor);
}

void Source::raise_labels(std::uint64_t safe, std::uint64_t finalized) {
  safe_ = std::max(safe_, std::min(safe, head().number));
  finalized_ = std::max(finalized_, std::min(finalized, safe_));
}

World::World(const Schedule& s)
    : random_{s.seed},
      steps_{s.steps},
      genesis_{genesis_block()},
      source_{genesis_},
      el_{random_() % 2 == 0 ? sim::ElProfile::op_geth : sim::ElProfile::op_reth, genesis_},
      can_rewind_{random_() % 2 == 0},
      gate_{driver::Persistent{}} {
  source_.extend(random_() % 400);
  follower_.emplace(make_follower());
}

coordinator::Follower World::make_follower() {
  coordinator::Follower::Options o;
  o.genesis = genesis_.id();
  o.header_batch = 2 + random_() % 99;
  o.seed = random_();
  return coordinator::Follower{o};
}

void World::note(const std::string& what) {
  history_.push_back(absl::StrCat(absl::ToInt64Milliseconds(now_ - absl::FromUnixSeconds(1'000'000)), " ms  ", what));
  if (history_.size() > 60) history_.erase(history_.begin());
}

void World::broken(const std::string& what) {
  if (broken_.empty()) broken_ = what;
}

// ---------------------------------------------------------------- what the two sides show

driver::Labels World::labels() const { return {el_.latest(), el_.safe(), el_.finalized()}; }

driver::DriverState World::driver_state() const {
  driver::DriverState s;
  s.status = el_up_ ? driver::EngineStatus::ready : driver::EngineStatus::unreachable;
  s.labels = labels();
  s.persistent = gate_.state();
  s.can_rewind = can_rewind_ && el_.profile() == sim::ElProfile::op_geth;
  s.engine_session = session_;
  return s;
}

fetcher::HeadSnapshot World::snapshot() const {
  fetcher::HeadSnapshot s;
  s.endpoint = "sim";
  s.kind = replaying_ ? fetcher::Kind::cl : fetcher::Kind::el;
  s.unsafe = source_.head();
  s.safe = source_.safe();
  s.finalized = source_.finalized();
  if (lagging_) {
    // A replica behind a load balancer: the same chain, older labels.
    const auto older = [&](const eth::BlockRef& b) {
      return source_.chain()[b.number - std::min<std::uint64_t>(b.number, 15)];
    };
    s.safe = older(source_.safe());
    s.finalized = older(source_.finalized());
  }
  if (replaying_) {
    // A source that restarts: old heads, and no L1 block yet.
    s.current_l1 = eth::BlockRef{};
    s.unsafe = s.safe = s.finalized = genesis_;
  }
  s.observed = now_;
  return s;
}

// ---------------------------------------------------------------- the driver

absl::Status World::admit(const driver::Command& c) {
  const auto before = gate_.state().epoch;
  TOWLINE_RETURN_IF_ERROR(gate_.admit(c, labels()));
  if (gate_.state().epoch < before) broken("the gate took an older epoch");
  return absl::OkStatus();
}

driver::CommandResult World::ended(driver::Outcome o, std::string reason, std::optional<eth::BlockId> block) const {
  return {o, std::move(reason), block, labels()};
}

std::optional<driver::CommandResult> World::update(const driver::Forkchoice& f) {
  const eth::BlockRef before = el_.latest();
  // No needless rewind: an ancestor of the head is never asked for.
  if (f.head.hash != before.hash) {
    if (const auto b = el_.by_number(f.head.number); b && b->hash == f.head.hash && f.head.number < before.number)
      broken("a forkchoice update to an ancestor of the head");
  }
  if (gate_.state().epoch < highest_epoch_) broken("a forkchoice update with an older epoch after a newer one");
  highest_epoch_ = gate_.state().epoch;
  if (f.finalized && highest_finalized_ &&
      (f.finalized->number < highest_finalized_->number ||
       (f.finalized->number == highest_finalized_->number && f.finalized->hash != highest_finalized_->hash))) {
    broken(absl::StrCat("finalized goes back from ", eth::to_string(*highest_finalized_), " to ",
                        eth::to_string(*f.finalized)));
  }
  const auto a =
      el_.forkchoice_updated(f.head.hash, f.safe ? f.safe->hash : Hash32{}, f.finalized ? f.finalized->hash : Hash32{});
  note(absl::StrCat("forkchoice head ", eth::to_string(f.head), " safe ", f.safe ? eth::to_string(*f.safe) : "-",
                    " finalized ", f.finalized ? eth::to_string(*f.finalized) : "-", ": ",
                    a.error_code != 0 ? absl::StrCat(a.error_code) : sim::name(a.status)));
  if (a.error_code == -38002) return ended(driver::Outcome::not_applied, a.message, f.head);
  if (a.error_code != 0) return ended(driver::Outcome::engine_unavailable, a.message, f.head);
  if (a.status == sim::ElStatus::invalid) return ended(driver::Outcome::invalid, "INVALID", f.head);
  if (a.status != sim::ElStatus::valid) return ended(driver::Outcome::missing_state, "SYNCING", f.head);
  const auto differs = [](const std::optional<eth::BlockId>& wanted, const std::optional<eth::BlockRef>& have) {
    return wanted && (!have || have->hash != wanted->hash);
  };
  const driver::Labels l = labels();
  if (differs(f.head, l.latest) || differs(f.safe, l.safe) || differs(f.finalized, l.finalized))
    return ended(driver::Outcome::not_applied, "reads back as something else", f.head);
  if (f.finalized) {
    gate_.confirm_finalized(*f.finalized);
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

void World::finish(std::uint64_t id, absl::StatusOr<driver::CommandResult> r) {
  pending_.reset();
  importing_.reset();
  note(absl::StrCat("command ends: ", r.ok() ? absl::StrCat(driver::name(r->outcome), " ", r->reason)
                                             : std::string{r.status().message()}));
  carry_out(follower_->on_command_done(id, r, now_));
}

void World::import_step() {
  Importing& i = *importing_;
  const auto leave = [&](driver::CommandResult r) {
    if (auto f = i.plan.finish_early();
        f && el_answers() && gate_.check_labels(f->head, f->safe, f->finalized, i.before).ok())
      update(*f);
    r.labels = labels();
    finish(i.id, r);
  };
  if (i.plan.done()) return finish(i.id, ended(driver::Outcome::done, {}));
  if (!source_up_) return leave(ended(driver::Outcome::source_unavailable, "the source is down"));
  const eth::BlockRef& block = i.blocks[i.next++];
  if (auto st = i.plan.check(block); !st.ok())
    return leave(ended(driver::Outcome::source_reorged, std::string{st.message()}, block.id()));
  if (!el_.by_hash(block.parent_hash))
    broken(absl::StrCat("newPayload ", eth::to_string(block), " whose parent the EL does not know"));
  const auto a = el_.new_payload(block);
  if (a.error_code != 0) return leave(ended(driver::Outcome::engine_unavailable, a.message, block.id()));
  if (a.status == sim::ElStatus::invalid) return leave(ended(driver::Outcome::invalid, "INVALID", block.id()));
  if (a.status != sim::ElStatus::valid)
    return leave(ended(driver::Outcome::missing_state, sim::name(a.status), block.id()));
  if (auto f = i.plan.on_valid(block)) {
    if (!gate_.check_labels(f->head, f->safe, f->finalized, i.before).ok()) {
      f->safe.reset();
      f->finalized.reset();
    }
    if (auto bad = update(*f)) return leave(*bad);
  }
  if (i.plan.contradicts_fence())
    return leave(ended(driver::Outcome::not_applied, "another block than the fence", block.id()));
  if (i.plan.done()) finish(i.id, ended(driver::Outcome::done, {}));
}

void World::run_pending() {
  if (importing_) {
    if (!driver_up_) return finish(importing_->id, absl::UnavailableError("the engine-driver is gone"));
    if (!el_up_) return finish(importing_->id, ended(driver::Outcome::engine_unavailable, "the EL is gone"));
    // Several payloads a step, so that long ranges end.
    const int burst = 1 + static_cast<int>(random_() % 40);
    for (int k = 0; k < burst && importing_; ++k) import_step();
    return;
  }
  const coordinator::Effect effect = *pending_;
  if (const auto* c = std::get_if<coordinator::Compare>(&effect)) {
    pending_.reset();
    absl::StatusOr<std::vector<eth::BlockRef>> remote = std::vector<eth::BlockRef>{};
    absl::StatusOr<std::vector<eth::BlockRef>> local = std::vector<eth::BlockRef>{};
    for (const auto n : c->numbers) {
      if (n < source_.chain().size()) remote->push_back(source_.chain()[n]);
      if (const auto b = el_.by_number(n)) local->push_back(*b);
    }
    if (!source_up_) remote = absl::UnavailableError("the source is down");
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
    driver::ImportPlan::Range range = i->range;
    if (!canonical(range.parent)) return finish(id, absl::FailedPreconditionError("parent is not on the EL's chain"));
    if (const auto& fence = gate_.state().fence;
        fence && range.parent.number < fence->number && el_.latest().number >= fence->number) {
      return finish(id, absl::FailedPreconditionError("a branch would replace the fence"));
    }
    for (auto* label : {&range.safe, &range.finalized}) {
      if (*label && (*label)->number <= range.parent.number && !canonical(**label)) label->reset();
    }
    if (!source_up_) return finish(id, ended(driver::Outcome::source_unavailable, "the source is down"));
    const auto& chain = source_.chain();
    if (range.tip.number >= chain.size() || chain[range.tip.number].hash != range.tip.hash ||
        chain[range.parent.number].hash != range.parent.hash) {
      return finish(id, ended(driver::Outcome::source_reorged, "the tip does not descend from the parent"));
    }
    importing_ = Importing{id,
                           driver::ImportPlan{range, 32, labels(), gate_.state().fence},
                           {chain.begin() + static_cast<std::ptrdiff_t>(range.parent.number) + 1,
                            chain.begin() + static_cast<std::ptrdiff_t>(range.tip.number) + 1},
                           0,
                           labels()};
    return;
  }
  if (const auto* f = std::get_if<coordinator::SetForkchoice>(&effect)) {
    if (auto st = admit(f->command); !st.ok()) return finish(id, st);
    if (auto st = gate_.check_labels(f->forkchoice.head, f->forkchoice.safe, f->forkchoice.finalized, labels());
        !st.ok())
      return finish(id, st);
    for (const auto& label : {f->forkchoice.safe, f->forkchoice.finalized}) {
      if (label && !canonical(*label))
        return finish(id, absl::FailedPreconditionError("label is not on the EL's chain"));
    }
    if (auto bad = update(f->forkchoice)) return finish(id, *bad);
    return finish(id, ended(driver::Outcome::done, {}));
  }
  const auto& r = std::get<coordinator::Rewind>(effect);
  if (auto st = admit(r.command); !st.ok()) return finish(id, st);
  if (auto st = gate_.check_rewind(r.to); !st.ok()) return finish(id, st);
  if (!canonical(r.to) || !el_.set_head(r.to.number))
    return finish(id, ended(driver::Outcome::not_applied, "debug_setHead failed", r.to));
  note(absl::StrCat("rewound to ", eth::to_string(r.to)));
  finish(id, ended(driver::Outcome::done, {}, r.to));
}

// ---------------------------------------------------------------- the world

void World::carry_out(coordinator::Effects effects) {
  if (effects.size() > 1) broken("more than one effect at a time");
  for (auto& e : effects) {
    if (pending_ || importing_) broken("a second command in flight");
    pending_ = std::move(e);
  }
}

void World::chaos() {
  const std::uint64_t head = source_.head().number;
  switch (random_() % 22) {
    case 0:
    case 1:
    case 2: source_.extend(1 + random_() % 5); break;
    case 3: source_.extend(random_() % 300); break;
    case 4:
    case 5:
      source_.raise_labels(head - std::min<std::uint64_t>(head, random_() % 30),
                           head - std::min<std::uint64_t>(head, 20 + random_() % 60));
      break;
    case 6:
    case 7: {
      // Never below what the source called final: that is another test's matter.
      const std::uint64_t final_number = source_.finalized().number;
      const std::uint64_t depth = random_() % 3 == 0 ? random_() % 400 : random_() % 12;
      const std::uint64_t ancestor = std::max(final_number, head - std::min(head, depth));
      const std::uint64_t blocks = 1 + random_() % (head - ancestor + 6);
      note(absl::StrCat("the source leaves its chain after ", ancestor, " and grows by ", blocks));
      source_.reorg(ancestor, blocks);
      break;
    }
    case 8:
      source_up_ = !source_up_;
      note(source_up_ ? "source up" : "source down");
      break;
    case 9: replaying_ = !replaying_; break;
    case 14: lagging_ = !lagging_; break;
    case 10:
      el_.kill();
      ++session_;
      note(absl::StrCat("EL killed: head ", eth::to_string(el_.latest())));
      break;
    case 11:
      el_up_ = !el_up_;
      if (el_up_) ++session_;
      note(el_up_ ? "EL up" : "EL down");
      break;
    case 12:
      driver_up_ = !driver_up_;
      note(driver_up_ ? "driver up" : "driver down");
      break;
    case 13: {
      note("coordinator restarted");
      // What it had asked for is cancelled with it.
      pending_.reset();
      importing_.reset();
      follower_.emplace(make_follower());
      break;
    }
    default: break;
  }
}

void World::step() {
  now_ += absl::Milliseconds(50 + random_() % 400);
  if (driver_up_) carry_out(follower_->on_local(driver_state(), now_));
  else carry_out(follower_->on_local_lost("the engine-driver does not answer", now_));
  if (source_up_) carry_out(follower_->on_remote(snapshot(), now_));
  else carry_out(follower_->on_remote_lost("no heads", now_));
  carry_out(follower_->on_wake(now_));
  if (pending_ || importing_) run_pending();
  check();
}

void World::check() {
  if (gate_.state().fence && highest_finalized_ && gate_.state().fence->number < highest_finalized_->number)
    broken("the fence went back");
}

bool World::converged() const {
  return el_.latest().hash == source_.head().hash && el_.safe() && el_.safe()->hash == source_.safe().hash &&
         el_.finalized() && el_.finalized()->hash == source_.finalized().hash &&
         follower_->state() == coordinator::TowState::at_tip;
}

std::string World::run() {
  for (int i = 0; i < steps_ && broken_.empty(); ++i) {
    chaos();
    step();
  }
  source_up_ = el_up_ = driver_up_ = true;
  replaying_ = lagging_ = false;
  ++session_;
  note("faults stop");
  // A source whose safe is below ours holds the label where it is: let it move on, as a live chain does.
  source_.extend(120);
  source_.raise_labels(source_.head().number - 5, source_.head().number - 10);
  const absl::Time deadline = now_ + absl::Minutes(10);
  while (broken_.empty() && !converged() && now_ < deadline) step();
  const bool op_geth = el_.profile() == sim::ElProfile::op_geth;
  if (broken_.empty() && !converged()) {
    const bool legit = follower_->state() == coordinator::TowState::needs_operator && op_geth && !can_rewind_;
    if (!legit)
      broken(absl::StrCat("no convergence: ", coordinator::name(follower_->state()), ": ", follower_->reason(), "; EL ",
                          eth::to_string(el_.latest()), " safe ", el_.safe() ? eth::to_string(*el_.safe()) : "-",
                          " finalized ", el_.finalized() ? eth::to_string(*el_.finalized()) : "-", "; source ",
                          eth::to_string(source_.head()), " safe ", eth::to_string(source_.safe()), " finalized ",
                          eth::to_string(source_.finalized())));
  }
  if (broken_.empty()) return {};
  std::vector<std::string> decisions;
  for (const auto& d : follower_->decisions())
    decisions.push_back(
        absl::StrCat(d.action, ": ", d.reason, d.repeated > 0 ? absl::StrCat(" x", d.repeated + 1) : ""));
  if (decisions.size() > 25) decisions.erase(decisions.begin(), decisions.end() - 25);
  return absl::StrCat(broken_, "\n  EL: ", op_geth ? "op-geth" : "op-reth", can_rewind_ ? " with" : " without",
                      " admin RPC\n  ", absl::StrJoin(history_, "\n  "), "\ndecisions:\n  ",
                      absl::StrJoin(decisions, "\n  "));
}

}  // namespace towline::simulation
