// Runs a session against an EL model: records its effects in order, and how its command ends. Time advances only when
// the session waits.
#pragma once
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/sim/el_model.hpp"
#include "services/engine-driver/core/el_sync_session.hpp"
#include "services/engine-driver/core/forkchoice_session.hpp"
#include "services/engine-driver/core/import_session.hpp"
#include "services/engine-driver/core/rewind_session.hpp"

namespace towline::driver::testing {

inline Hash32 hash(std::uint64_t n) {
  Hash32 h;
  for (unsigned i = 0; i < 8; ++i) h.bytes[i] = static_cast<std::uint8_t>(n >> (8U * i));
  h.bytes[31] = 1;
  return h;
}
inline eth::BlockRef ref(std::uint64_t n) { return {n, hash(n), n == 0 ? Hash32{} : hash(n - 1), 1000 + n * 2}; }
inline eth::BlockId id(std::uint64_t n) { return ref(n).id(); }

inline EngineAnswer of(EngineAnswer::Kind kind, std::int64_t code = 0) {
  EngineAnswer a;
  a.kind = kind;
  a.code = code;
  return a;
}
inline EngineAnswer status(PayloadStatus s) {
  EngineAnswer a = of(EngineAnswer::Kind::status);
  a.status = s;
  return a;
}
inline EngineAnswer from(const sim::ElAnswer& a) {
  if (a.error_code != 0) return of(EngineAnswer::Kind::error, a.error_code);
  switch (a.status) {
    case sim::ElStatus::valid: return status(PayloadStatus::valid);
    case sim::ElStatus::invalid: return status(PayloadStatus::invalid);
    case sim::ElStatus::syncing: return status(PayloadStatus::syncing);
    case sim::ElStatus::accepted: return status(PayloadStatus::accepted);
  }
  return {};
}

/// Answers each effect as an EL at 300 (safe 290, finalized 280) would, unless the test scripts another answer.
class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    for (std::uint64_t n = 1; n <= 300; ++n) {
      el_.new_payload(ref(n));
      el_.forkchoice_updated(hash(n), {}, {});
    }
    el_.forkchoice_updated(hash(300), hash(290), hash(280));
    state_.status = contract::EngineStatus::ready;
  }

  absl::StatusOr<contract::CommandResult> run(CommandSession& session) {
    calls_.clear();
    Step step = session.start(now_, state_);
    while (true) {
      for (const Note& n : step.notes) on_note(n);
      if (auto* end = std::get_if<End>(&step.effect)) return std::move(end->result);
      calls_.push_back(name_of(step.effect));
      std::optional<Event> scripted;
      if (script_) scripted = script_(calls_.back(), session);
      Event answer =
          scripted ? *std::move(scripted) : std::visit([this](auto& e) -> Event { return answer_to(e); }, step.effect);
      if (const auto* wait = std::get_if<WaitFor>(&step.effect)) now_ += wait->time;
      if (calls_.size() > 20'000) return absl::InternalError("it never ends");
      step = session.on(std::move(answer), now_, state_);
    }
  }
  absl::StatusOr<contract::CommandResult> import(std::uint64_t tip = 310, std::uint64_t term = 1) {
    next_ = 0;
    ImportSession session{options_, memory_, {"test", term, el_.latest().hash}, range_to(tip)};
    return run(session);
  }
  contract::ImportRange range_to(std::uint64_t tip) const {
    return {el_.latest().id(), id(tip), safe_, finalized_, origin_};
  }
  absl::StatusOr<contract::CommandResult> set_forkchoice(std::uint64_t safe, std::uint64_t finalized) {
    ForkchoiceSession session{options_, memory_, {"test", 1, hash(300)}, {id(300), id(safe), id(finalized)}};
    return run(session);
  }
  absl::StatusOr<contract::CommandResult> rewind(std::uint64_t to) {
    RewindSession session{options_, memory_, {"test", 1, el_.latest().hash}, id(to)};
    return run(session);
  }
  /// The expected head is wrong on purpose: StartElSync ignores it.
  absl::StatusOr<contract::CommandResult> el_sync(std::uint64_t to) {
    ElSyncSession session{options_, memory_, {"test", 1, hash(1)}, {ref(to)}};
    return run(session);
  }
  std::vector<std::string> writes() const {
    std::vector<std::string> out;
    for (const auto& c : calls_) {
      if (absl::StartsWith(c, "newPayload") || absl::StartsWith(c, "forkchoice") || absl::StartsWith(c, "setHead"))
        out.push_back(c);
    }
    return out;
  }
  double count(Counter c) const { return counted_[static_cast<std::size_t>(c)]; }
  /// The first effect named `call` gets this answer.
  void once(const std::string& call, Event answer) {
    script_ = [call, answer = std::move(answer), done = false](const std::string& c,
                                                               CommandSession&) mutable -> std::optional<Event> {
      if (done || c != call) return std::nullopt;
      done = true;
      return answer;
    };
  }

  sim::ElModel el_{sim::ElProfile::op_reth, ref(0)};
  contract::EngineState state_;
  Memory memory_{Gate{{}}, MinAge{}};
  SessionOptions options_;
  Persistent disk_;
  absl::Status disk_status_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  std::optional<eth::BlockId> safe_, finalized_;
  contract::PayloadOrigin origin_ = contract::PayloadOrigin::remote;
  /// The scripted answer of a test; nullopt: the model answers.
  std::function<std::optional<Event>(const std::string& call, CommandSession&)> script_;
  std::vector<std::string> calls_;
  std::vector<std::string> twin_bodies_;
  std::uint64_t next_ = 0;

 private:
  void on_note(const Note& n) {
    if (const auto* change = std::get_if<StateChange>(&n)) {
      if (change->kept) {
        EXPECT_EQ(*change->kept, disk_) << "what is told is on disk";
      }
      apply(*change, state_);
    }
    if (const auto* c = std::get_if<Count>(&n)) counted_[static_cast<std::size_t>(c->counter)] += c->by;
  }
  static std::string name_of(const Effect& effect) {
    struct Name {
      std::string operator()(const SendPayload& e) { return absl::StrCat("newPayload ", e.payload->ref.number); }
      std::string operator()(const SendForkchoice& e) {
        return absl::StrCat("forkchoice ", e.update.head.number, e.update.safe ? " safe" : "",
                            e.update.finalized ? " finalized" : "");
      }
      std::string operator()(const ReadLabels&) { return "labels"; }
      std::string operator()(const ReadBlock& e) { return absl::StrCat("block ", e.number); }
      std::string operator()(const BuildTwin& e) { return absl::StrCat("twin on ", e.parent.number); }
      std::string operator()(const SetHead& e) { return absl::StrCat("setHead ", e.number); }
      std::string operator()(const OpenPayloads& e) { return absl::StrCat("open ", e.parent.number); }
      std::string operator()(const NextPayload&) { return "next"; }
      std::string operator()(const WaitFor& e) { return absl::StrCat("wait ", absl::FormatDuration(e.time)); }
      std::string operator()(const Persist& e) { return absl::StrCat("save ", e.state.term); }
      std::string operator()(const End&) { return "end"; }
    };
    return std::visit(Name{}, effect);
  }
  EngineAnswer answer_to(const SendPayload& e) { return from(el_.new_payload(e.payload->ref)); }
  EngineAnswer answer_to(const SendForkchoice& e) {
    const auto hash_of = [](const std::optional<eth::BlockId>& b) { return b ? b->hash : Hash32{}; };
    return from(el_.forkchoice_updated(e.update.head.hash, hash_of(e.update.safe), hash_of(e.update.finalized)));
  }
  ReadLabels::Answer answer_to(const ReadLabels&) {
    return contract::Labels{el_.latest(), el_.safe(), el_.finalized()};
  }
  ReadBlock::Answer answer_to(const ReadBlock& e) { return el_.by_number(e.number); }
  BuildTwin::Answer answer_to(const BuildTwin&) { return absl::UnimplementedError("no twins"); }
  absl::Status answer_to(const SetHead& e) {
    return el_.set_head(e.number) ? absl::OkStatus() : absl::FailedPreconditionError("no such method");
  }
  Done answer_to(const OpenPayloads& e) {
    next_ = e.parent.number + 1;
    return {};
  }
  NextPayload::Answer answer_to(const NextPayload&) {
    PreparedPayload p;
    p.ref = ref(next_++);
    p.gas_used = 1000;
    p.body = R"({"jsonrpc":"2.0","id":0,"method":"engine_newPayloadV1","params":[{"prevRandao":"0x)" +
             std::string(64, '1') +
             R"(","timestamp":"0x1","feeRecipient":"0x1111111111111111111111111111111111111111",)"
             R"("gasLimit":"0x1","extraData":"0x","transactions":[]}]})";
    return p;
  }
  Done answer_to(const WaitFor&) { return {}; }
  absl::Status answer_to(const Persist& e) {
    if (disk_status_.ok()) disk_ = e.state;
    return disk_status_;
  }
  Event answer_to(const End&) { return Done{}; }

  double counted_[static_cast<std::size_t>(Counter::young_labels) + 1] = {};
};

}  // namespace towline::driver::testing
