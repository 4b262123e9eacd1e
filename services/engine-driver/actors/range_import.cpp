#include "services/engine-driver/actors/range_import.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "libs/base/steady_time.hpp"
#include "libs/telemetry/log.hpp"
#include "services/engine-driver/core/read_back.hpp"

namespace towline::driver {
namespace {

constexpr int kStreamTries = 5;
constexpr absl::Duration kLookAgain = absl::Milliseconds(250);
constexpr absl::Duration kProgressEvery = absl::Milliseconds(250);

}  // namespace

const char* const Writer::kBlocksImported = "towline_driver_blocks_imported_total";
const char* const Writer::kBlocksImportedHelp = "Blocks that the EL answered VALID for.";
const char* const Writer::kGasImported = "towline_driver_gas_imported_total";
const char* const Writer::kGasImportedHelp = "Gas of those blocks.";
const char* const Writer::kBrokenLinks = "towline_driver_broken_links_total";
const char* const Writer::kBrokenLinksHelp = "Payloads of the source that did not continue the chain.";

Writer::RangeImport::RangeImport(Writer& writer, const contract::ImportRange& range, const contract::Labels& el,
                                 const std::optional<Hash32>& ours_above_parent, std::unique_ptr<PayloadStream> stream,
                                 const Cancelled& cancelled, const OnProgress& on_progress)
    : writer_{writer},
      range_{range},
      el_{el},
      cancelled_{cancelled},
      on_progress_{on_progress},
      plan_{range, writer.options_.forkchoice_every, el, writer.gate_.state().fence, ours_above_parent},
      stream_{std::move(stream)},
      started_{steady_now()},
      told_{started_},
      blocks_total_{writer.metrics_.counter(kBlocksImported, kBlocksImportedHelp)},
      gas_total_{writer.metrics_.counter(kGasImported, kGasImportedHelp)} {
  progress_.imported = range.parent;
  progress_.tip = range.tip;
}

contract::CommandResult Writer::RangeImport::run() {
  while (!plan_.done()) {
    if (cancelled_()) return leave(writer_.ended(contract::Outcome::cancelled, "cancelled by the caller"));
    auto next = stream_->next(std::chrono::milliseconds{100});
    std::optional<contract::CommandResult> end;
    if (!next.ok()) {
      end = on_broken_stream(next.status());
    } else if (*next) {
      end = on_payload(**next);
    }
    if (end) return leave(*std::move(end));
    if (const absl::Time now = steady_now(); now - told_ >= kProgressEvery) tell(now);
  }
  tell(steady_now());
  writer_.board_.update([](contract::EngineState& s) { s.import.reset(); });
  return contract::CommandResult{contract::Outcome::done, {}, {}, writer_.board_.get().labels};
}

std::optional<contract::CommandResult> Writer::RangeImport::on_broken_stream(const absl::Status& why) {
  if (absl::IsFailedPrecondition(why) || absl::IsNotFound(why)) {
    return writer_.ended(contract::Outcome::source_reorged, std::string{why.message()});
  }
  // What the p2p network does not give at once the remote nodes will.
  if (range_.origin == contract::PayloadOrigin::gossip || ++stream_tries_ > kStreamTries ||
      absl::IsInvalidArgument(why)) {
    return writer_.ended(contract::Outcome::source_unavailable, absl::StrCat("payload source: ", why.message()));
  }
  log::warn("payload stream broke, opening it again", {log::kv("after", plan_.last()), log::kv("why", why)});
  stream_.reset();
  absl::SleepFor(absl::Milliseconds(100) * stream_tries_);
  stream_ = writer_.open_stream_(plan_.last(), range_.tip, range_.origin);
  return std::nullopt;
}

std::optional<contract::CommandResult> Writer::RangeImport::on_payload(const PreparedPayload& payload) {
  const eth::BlockId id = payload.ref.id();
  if (auto st = plan_.check(payload.ref); !st.ok()) {
    writer_.metrics_.counter(kBrokenLinks, kBrokenLinksHelp).inc();
    return writer_.ended(contract::Outcome::source_reorged, std::string{st.message()}, id);
  }
  // It says so each time that it comes, so nothing need be remembered of it.
  if (!payload.refused.ok()) {
    log::error("a block is kept from the EL", {log::kv("block", id), log::kv("why", payload.refused)});
    return writer_.ended(
        contract::Outcome::invalid,
        absl::StrCat("block ", eth::to_string(id), " is kept from the EL: ", payload.refused.message()), id);
  }
  if (writer_.quarantine_.holds(payload.ref.hash, steady_now())) {
    return writer_.ended(contract::Outcome::invalid,
                         absl::StrCat("block ", eth::to_string(id), " is quarantined: the EL called it INVALID"), id);
  }
  const EngineAnswer a = writer_.until_known(
      Call::new_payload, [&] { return writer_.engine_.new_payload(payload.body); }, nullptr, cancelled_);
  switch (react(Call::new_payload, a)) {
    case Reaction::proceed: return on_valid(payload);
    case Reaction::missing_state:
      if (const auto f = plan_.finish_early();
          f && !was_led_ && stayed(writer_.update({f->head, {}, {}}, cancelled_)) && needs_twins()) {
        lead_from_the_start();
        return std::nullopt;
      }
      break;
    default: break;
  }
  return writer_.failed(Call::new_payload, a, id, cancelled_);
}

std::optional<contract::CommandResult> Writer::RangeImport::on_valid(const PreparedPayload& payload) {
  if (leading_) {
    const auto moved = writer_.lead_through_twin(payload);
    if (!moved.ok()) {
      log::warn("the EL cannot be led through twins",
                {log::kv("block", payload.ref.id()), log::kv("why", moved.status())});
      return writer_.ended(contract::Outcome::missing_state, std::string{moved.status().message()}, payload.ref.id());
    }
    leading_ = !*moved;
  }
  stream_tries_ = 0;
  rates_.add(steady_now(), payload.gas_used);
  blocks_total_.inc();
  gas_total_.inc(static_cast<double>(payload.gas_used));
  progress_.imported = payload.ref.id();
  ++progress_.blocks;
  progress_.transactions += payload.transactions;
  progress_.gas_used += payload.gas_used;
  progress_.bytes += payload.body.size();
  if (const auto f = plan_.on_valid(payload.ref); f && (!leading_ || plan_.done())) {
    if (auto end = move_head(*f)) return end;
  }
  if (plan_.contradicts_fence()) {
    return writer_.ended(
        contract::Outcome::contradicts_finalized,
        absl::StrCat("the chain has another block than the fence ", eth::to_string(*writer_.gate_.state().fence)),
        payload.ref.id());
  }
  return std::nullopt;
}

std::optional<contract::CommandResult> Writer::RangeImport::move_head(contract::Forkchoice f) {
  if (auto st = writer_.gate_.check_labels(f.head, f.safe, f.finalized, el_); !st.ok()) {
    log::warn("labels left out of an update", {log::kv("why", st)});
    f.safe.reset();
    f.finalized.reset();
  }
  auto bad = writer_.update(f, cancelled_);
  if (!bad) {
    tell(steady_now());
    return std::nullopt;
  }
  if (was_led_ || !stayed(bad)) return bad;
  if (needs_twins()) {
    lead_from_the_start();
    return std::nullopt;
  }
  // It may merely have shown its head late.
  if (writer_.shown_.latest->hash == f.head.hash) return writer_.update(f, cancelled_);
  return bad;
}

bool Writer::RangeImport::needs_twins() {
  if (!writer_.options_.twins || writer_.moves_ || !is_op_geth(writer_.board_.get().client_version)) return false;
  TwinNeed need{steady_now()};
  while (!cancelled_()) {
    const auto labels = writer_.engine_.labels();
    if (!labels.ok()) return false;
    writer_.shown_ = *labels;
    if (labels->latest->hash != el_.latest->hash) return false;
    const auto above = writer_.engine_.block_by_number(labels->latest->number + 1);
    if (!above.ok()) return false;
    switch (need.on_look(labels->latest->hash, *above ? std::optional{(*above)->hash} : std::nullopt, steady_now())) {
      case TwinNeed::Look::lead: return true;
      case TwinNeed::Look::not_needed: return false;
      case TwinNeed::Look::wait: absl::SleepFor(kLookAgain);
    }
  }
  return false;
}

bool Writer::RangeImport::stayed(const std::optional<contract::CommandResult>& update) const {
  return update && update->outcome == contract::Outcome::not_applied && update->labels.latest &&
         update->labels.latest->hash == el_.latest->hash;
}

void Writer::RangeImport::lead_from_the_start() {
  log::warn(
      "the EL does not move onto blocks that it has, as op-geth does when it was killed: leading it through twins",
      {log::kv("head", el_.latest->id()), log::kv("after", range_.parent)});
  was_led_ = leading_ = true;
  plan_ = ImportPlan{range_, writer_.options_.forkchoice_every, el_, writer_.gate_.state().fence};
  stream_ = writer_.open_stream_(range_.parent, range_.tip, range_.origin);
}

contract::CommandResult Writer::RangeImport::leave(contract::CommandResult r) {
  // Not to an EL that has come back as another one.
  const bool as_before = r.labels.latest && !after_loss(writer_.shown_, nullptr, r.labels);
  if (auto f = plan_.finish_early(); f && as_before) {
    if (writer_.gate_.check_labels(f->head, f->safe, f->finalized, el_).ok() &&
        !writer_.update(*f, [] { return true; })) {
      r.labels = writer_.board_.get().labels;
    }
  }
  tell(steady_now());
  writer_.board_.update([](contract::EngineState& s) { s.import.reset(); });
  return r;
}

void Writer::RangeImport::tell(absl::Time now) {
  progress_.elapsed_s = absl::ToDoubleSeconds(now - started_);
  progress_.blocks_per_s = rates_.blocks_per_s(now);
  progress_.mgas_per_s = rates_.mgas_per_s(now);
  told_ = now;
  writer_.board_.update([&](contract::EngineState& s) { s.import = progress_; });
  on_progress_(progress_);
}

}  // namespace towline::driver
