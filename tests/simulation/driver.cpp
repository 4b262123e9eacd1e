#include "tests/simulation/driver.hpp"

#include <absl/strings/str_cat.h>

#include "services/engine-driver/core/el_sync_session.hpp"
#include "services/engine-driver/core/forkchoice_session.hpp"
#include "services/engine-driver/core/import_session.hpp"
#include "services/engine-driver/core/read_back.hpp"
#include "services/engine-driver/core/rewind_session.hpp"

namespace towline::simulation {
namespace {

/// The least time of an EL's restart.
constexpr absl::Duration kRestart = absl::Milliseconds(250);
/// The least time until a block that was INVALID is sent again.
constexpr absl::Duration kQuarantine = absl::Seconds(30);
/// More effects than any command needs to end.
constexpr int kTooMany = 1'000;

driver::EngineAnswer silence() {
  driver::EngineAnswer a;
  a.kind = driver::EngineAnswer::Kind::transport;
  a.message = "no answer";
  return a;
}

driver::EngineAnswer from(const sim::ElAnswer& said) {
  driver::EngineAnswer a;
  a.message = said.message;
  if (said.error_code != 0) {
    a.kind = driver::EngineAnswer::Kind::error;
    a.code = said.error_code;
    return a;
  }
  a.kind = driver::EngineAnswer::Kind::status;
  switch (said.status) {
    case sim::ElStatus::valid: a.status = driver::PayloadStatus::valid; break;
    case sim::ElStatus::invalid: a.status = driver::PayloadStatus::invalid; break;
    case sim::ElStatus::syncing: a.status = driver::PayloadStatus::syncing; break;
    case sim::ElStatus::accepted: a.status = driver::PayloadStatus::accepted; break;
  }
  return a;
}

std::string text(const std::optional<eth::BlockId>& b) { return b ? eth::to_string(*b) : "-"; }
std::string text(const std::optional<eth::BlockRef>& b) { return b ? eth::to_string(*b) : "-"; }

}  // namespace

Driver::Driver(std::mt19937_64& random, sim::ElProfile profile, const eth::BlockRef& genesis,
               const rollup::Config& chain, driver::MinAge::Ages ages, bool can_rewind, bool rewind_for_single_source,
               Around around)
    : random_{random},
      chain_{chain},
      ages_{ages},
      around_{std::move(around)},
      el_{profile, genesis},
      memory_{driver::Gate{disk_}, driver::MinAge{chain_, ages_}} {
  options_.can_rewind = can_rewind && profile == sim::ElProfile::op_geth;
  state_.can_rewind = options_.can_rewind;
  state_.rewind_for_single_source = rewind_for_single_source;
  state_.client_version = profile == sim::ElProfile::op_geth ? "Geth/v1" : "op-reth/v1";
}

// ---------------------------------------------------------------- commands

void Driver::import(const contract::CommandStamp& c, const contract::ImportRange& range) {
  begin(std::make_unique<driver::ImportSession>(options_, memory_, c, range), c);
}

void Driver::set_forkchoice(const contract::CommandStamp& c, const contract::Forkchoice& f) {
  begin(std::make_unique<driver::ForkchoiceSession>(options_, memory_, c, f), c);
}

void Driver::rewind(const contract::CommandStamp& c, const eth::BlockId& to) {
  begin(std::make_unique<driver::RewindSession>(options_, memory_, c, to), c);
}

void Driver::start_el_sync(const contract::CommandStamp& c, const contract::StartElSync& s) {
  begin(std::make_unique<driver::ElSyncSession>(options_, memory_, c, s), c);
  el_syncs_ = true;
}

void Driver::begin(std::unique_ptr<driver::CommandSession> session, const contract::CommandStamp& c) {
  if (session_) around_.broken("two commands at the driver");
  session_ = std::move(session);
  el_syncs_ = false;
  command_ = c;
  valid_.reset();
  asked_.reset();
  to_confirm_.reset();
  wake_.reset();
  // What was read less than a restart ago, with no write since, still holds.
  unread_ = memory_.session != state_.engine_session || clock() - memory_.read_at >= options_.restart_takes;
  take(session_->start(clock(), state_));
}

void Driver::take(driver::Step step) {
  step_ = std::move(step);
  life_ = lives_;
  was_there_ = el_answers(now_);
  for (const driver::Note& n : step_.notes) std::visit([this](const auto& note) { carry_out(note); }, n);
}

std::optional<Driver::Result> Driver::answer() {
  driver::Event event = std::visit([this](const auto& e) -> driver::Event { return carry_out(e); }, step_.effect);
  take(session_->on(std::move(event), clock(), state_));
  auto* end = std::get_if<driver::End>(&step_.effect);
  if (end == nullptr) return std::nullopt;
  session_.reset();
  return std::move(end->result);
}

std::optional<Driver::Result> Driver::work(absl::Time now) {
  now_ = now;
  if (auto* end = std::get_if<driver::End>(&step_.effect)) {
    session_.reset();
    return std::move(end->result);
  }
  // Several payloads at once, so that long ranges end.
  for (auto left = 1 + random_() % 100; left > 0; --left) {
    if (const auto* wait = std::get_if<driver::WaitFor>(&step_.effect)) {
      if (!wake_) wake_ = now + wait->time;
      if (now < *wake_) return std::nullopt;
      wake_.reset();
    }
    if (auto result = answer()) return result;
  }
  return std::nullopt;
}

void Driver::run_to_the_end() {
  for (int n = 0; session_ && !std::holds_alternative<driver::End>(step_.effect); ++n) {
    if (n == kTooMany) return around_.broken("a command does not end when it is told to");
    if (answer()) return;
  }
}

void Driver::cancel(absl::Time now) {
  now_ = now;
  if (!session_) return;
  session_->interrupt(driver::Interrupt::cancelled);
  run_to_the_end();
  session_.reset();
}

// ---------------------------------------------------------------- the process

void Driver::kill() { session_.reset(); }

void Driver::stop(absl::Time now) {
  now_ = now;
  if (!session_) return;
  answered_ = el_answers(now) && disk_writable_ && contract::may_be_written_to(state_.status);
  session_->interrupt(driver::Interrupt::stopping);
  run_to_the_end();
  if (answered_ && valid_ && el_.latest().hash != valid_->hash)
    around_.broken(absl::StrCat("the driver is told to stop, and ", eth::to_string(*valid_),
                                " which was VALID is lost: the head is ", eth::to_string(el_.latest())));
  session_.reset();
}

void Driver::start(absl::Duration late) {
  late_ = late;
  memory_ = driver::Memory{driver::Gate{disk_}, driver::MinAge{chain_, ages_}};
  invalid_.clear();
  state_.status = contract::EngineStatus::starting;
  state_.import.reset();
  driver::show(disk_, state_);
  el_lost_ = true;
}

void Driver::look(absl::Time now) {
  now_ = now;
  if (!el_answers(now)) {
    el_lost_ = true;
    state_.status = contract::EngineStatus::unreachable;
    return;
  }
  if (state_.status == contract::EngineStatus::state_not_saved && !disk_writable_) return;
  const contract::Labels shown = labels();
  const bool went_back = state_.labels.unsafe && !state_.import && shown.unsafe->number < state_.labels.unsafe->number;
  state_.labels = shown;
  if (!session_) {
    memory_.labels_read(shown, clock(), clock());
    read_ = shown;
    lost_ = another_ = false;
  }
  if (el_lost_ || went_back) {
    ++state_.engine_session;
    invalid_.clear();
  }
  if (el_lost_ || went_back ||
      (state_.status != contract::EngineStatus::syncing && state_.status != contract::EngineStatus::invalid))
    state_.status = contract::EngineStatus::ready;
  el_lost_ = false;
}

void Driver::kill_el(absl::Time now) {
  const contract::Labels before = labels();
  el_.kill();
  // An EL that shows the labels which the driver has read counts as unchanged.
  another_ = another_ || (labels() != before && labels() != read_);
  ++lives_;
  el_back_ = now + kRestart;
  valid_.reset();
  around_.note(absl::StrCat("EL killed: head ", eth::to_string(el_.latest())));
}

void Driver::heal() {
  el_up_ = disk_writable_ = true;
  el_back_ = absl::InfinitePast();
  lossy_ = false;
  el_lost_ = true;
}

// ---------------------------------------------------------------- notes

void Driver::carry_out(const driver::StateChange& change) {
  apply(change, state_);
  if (change.new_session) invalid_.clear();
  if (!change.kept) return;
  if (*change.kept != disk_)
    around_.broken("what is told of the term and the confirmed finalized block is not on disk");
  if (to_confirm_ && (!disk_.confirmed_finalized || disk_.confirmed_finalized->number < to_confirm_->number))
    around_.broken(absl::StrCat(eth::to_string(*to_confirm_), " is confirmed as final and not kept"));
  if (to_confirm_) highest_finalized_ = to_confirm_;
  to_confirm_.reset();
  if (disk_.confirmed_finalized && highest_finalized_ && disk_.confirmed_finalized->number < highest_finalized_->number)
    around_.broken("the confirmed finalized block went back");
}

void Driver::carry_out(const driver::HeadMoves&) {}

// ---------------------------------------------------------------- effects

void Driver::check_write() {
  if (command_.term < highest_term_) around_.broken("a write with an older term after a newer one");
  highest_term_ = command_.term;
  if (command_.term != disk_.term) around_.broken("a write of a command whose term is not on disk");
  // For a sync of the EL's own its head does not matter.
  if (!reached() || el_syncs_) return;
  if (lost_) around_.broken("a write was lost, and the next one comes before the labels were read");
  if (labels() != read_) around_.broken("a write to an EL that came back as another one, before its labels were read");
  if (another_)
    around_.broken("a write to an EL that came back as another one, of a command that stands on what it was");
}

driver::EngineAnswer Driver::write(const std::function<sim::ElAnswer()>& send) {
  check_write();
  if (reached() && (!lossy_ || random_() % 300 != 0)) return from(send());
  answered_ = false;
  lost_ = true;
  if (!reached()) return silence();
  const bool is_applied = random_() % 2 == 0;
  around_.note(is_applied ? "an answer of the EL is lost" : "a write to the EL is lost");
  if (is_applied) send();
  if (random_() % 2 == 0) {
    kill_el(now_);
    // A supervisor may restart it at once.
    if (random_() % 2 == 0) el_back_ = now_;
  }
  return silence();
}

void Driver::check_payload(const eth::BlockRef& block) {
  if (!reached()) return;
  if (const auto at = el_.by_number(block.number); at && at->hash == block.hash)
    around_.broken(absl::StrCat(eth::to_string(block), " is asked for although it is on the EL's chain"));
  if (!el_syncs_ && !el_.by_hash(block.parent_hash))
    around_.broken(absl::StrCat("newPayload ", eth::to_string(block), " whose parent the EL does not know"));
  if (const auto it = invalid_.find(block.hash); it != invalid_.end() && now_ < it->second + kQuarantine)
    around_.broken(absl::StrCat(eth::to_string(block), " was INVALID and is sent again at once"));
}

driver::EngineAnswer Driver::carry_out(const driver::SendPayload& e) {
  const eth::BlockRef& block = e.payload->ref;
  check_payload(block);
  const driver::EngineAnswer a = write([&] {
    return around_.invalid(block.hash) ? sim::ElAnswer{sim::ElStatus::invalid, block.parent_hash, 0, "bad"}
                                       : el_.new_payload(block);
  });
  const driver::Reaction r = react(a);
  if (r == driver::Reaction::proceed && !el_syncs_) valid_ = block.id();
  if (r == driver::Reaction::invalid) invalid_[block.hash] = now_;
  return a;
}

void Driver::check_update(const contract::Forkchoice& f) {
  if (f.finalized && highest_finalized_ &&
      (f.finalized->number < highest_finalized_->number ||
       (f.finalized->number == highest_finalized_->number && f.finalized->hash != highest_finalized_->hash))) {
    around_.broken(absl::StrCat("finalized goes back from ", eth::to_string(*highest_finalized_), " to ",
                                eth::to_string(*f.finalized)));
  }
  // No needless rewind: an update never asks for an ancestor of the head.
  if (const auto b = el_.by_number(f.head.number);
      reached() && b && b->hash == f.head.hash && f.head.number < el_.latest().number)
    around_.broken("a forkchoice update to an ancestor of the head");
}

driver::EngineAnswer Driver::carry_out(const driver::SendForkchoice& e) {
  const contract::Forkchoice& f = e.update;
  check_update(f);
  if (!asked_) head_before_ = el_.latest();
  asked_ = f;
  const driver::EngineAnswer a = write([&] {
    return el_.forkchoice_updated(f.head.hash, f.safe ? f.safe->hash : Hash32{},
                                  f.finalized ? f.finalized->hash : Hash32{});
  });
  around_.note(absl::StrCat("confirmed_finalized ", text(disk_.confirmed_finalized), " EL safe ", text(el_.safe()),
                            " finalized ", text(el_.finalized()), " forkchoice head ", eth::to_string(f.head), " safe ",
                            text(f.safe), " finalized ", text(f.finalized), ": ", describe(a)));
  return a;
}

driver::ReadLabels::Answer Driver::carry_out(const driver::ReadLabels&) {
  if (!reached()) {
    answered_ = false;
    return absl::UnavailableError("the EL does not answer");
  }
  read_ = labels();
  lost_ = false;
  if (unread_) another_ = false;
  unread_ = false;
  if (asked_ && driver::difference(*asked_, read_).empty()) {
    around_.applied(*asked_, head_before_);
    if (asked_->finalized && memory_.min_age.may_confirm(asked_->head, clock() + memory_.late))
      to_confirm_ = asked_->finalized;
    asked_.reset();
  }
  return read_;
}

driver::ReadBlock::Answer Driver::carry_out(const driver::ReadBlock& e) {
  if (!reached()) return absl::UnavailableError("the EL does not answer");
  return el_.by_number(e.number);
}

driver::BuildTwin::Answer Driver::carry_out(const driver::BuildTwin&) {
  around_.broken("a twin for an EL that moves");
  return absl::UnimplementedError("no twins");
}

absl::Status Driver::carry_out(const driver::SetHead& e) {
  const auto to = el_.by_number(e.number);
  if (to) around_.rewinds(to->id());
  check_write();
  if (!reached()) return absl::UnavailableError("the EL does not answer");
  if (!el_.set_head(e.number)) return absl::FailedPreconditionError("debug_setHead failed");
  around_.note(absl::StrCat("rewound to ", text(to)));
  return absl::OkStatus();
}

driver::Done Driver::carry_out(const driver::OpenPayloads& e) {
  origin_ = e.origin;
  payloads_ = around_.payloads(e.parent, e.tip, e.origin);
  next_ = 0;
  return {};
}

driver::NextPayload::Answer Driver::carry_out(const driver::NextPayload&) {
  if (!payloads_.ok()) return payloads_.status();
  if (origin_ == contract::PayloadOrigin::remote && !around_.served())
    return absl::UnavailableError("the source is down");
  if (next_ == payloads_->size()) return absl::OutOfRangeError("the stream ended before the tip");
  driver::PreparedPayload p;
  p.ref = (*payloads_)[next_++];
  return p;
}

driver::Done Driver::carry_out(const driver::WaitFor&) { return {}; }

absl::Status Driver::carry_out(const driver::Persist& e) {
  if (!disk_writable_) {
    answered_ = false;
    to_confirm_.reset();
    return absl::UnavailableError("no space left");
  }
  if (e.state.term < disk_.term) around_.broken("the gate took an older term");
  disk_ = e.state;
  return absl::OkStatus();
}

}  // namespace towline::simulation
