#include "services/remote-fetcher/actors/payload_stream.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

using Effects = RangeSession::Effects;
constexpr std::uint64_t kMaxLines = 48;
/// The desk answers at once.
constexpr auto kDesk = std::chrono::seconds{30};

SessionEventPtr event(std::function<Effects(RangeSession&)> f) {
  return std::make_shared<const std::function<Effects(RangeSession&)>>(std::move(f));
}

}  // namespace

PayloadStreamState::~PayloadStreamState() {
  *cancelled_ = true;
  if (config_.desk != nullptr) config_.desk->close(config_.id);
}

payload_stream_impl::behavior_type PayloadStreamState::make_behavior(const StreamConfig& config) {
  config_ = config;
  session_.emplace(config.parent, config.tip);
  return {
      [this](room_atom) { apply(session_->on_written()); },
      [this](gone_atom) { apply(session_->on_gone()); },
      [this](begin_atom, const PayloadReaderPtr& reader) {
        reader_ = reader;
        const std::uint64_t blocks = config_.tip.number - std::min(config_.tip.number, config_.parent.number);
        const auto lines = static_cast<std::uint64_t>(config_.max_in_flight) *
                           std::max<std::uint64_t>(1, config_.pool->usable_els().size());
        apply(session_->start(static_cast<std::size_t>(std::min({lines, kMaxLines, (blocks + 3) / 4}))));
      },
      [this](event_atom, const SessionEventPtr& e) { apply((*e)(*session_)); },
  };
}

void PayloadStreamState::apply(Effects effects) {
  for (const auto& e : effects) std::visit([this](const auto& x) { run(x); }, e);
}

template <class F>
void PayloadStreamState::work(Crew crew, F job) {
  const payload_stream_impl me{self_};
  config_.desk->run(crew, [me, job = std::move(job)] { caf::anon_send(me, event_atom{}, event(job())); });
}

void PayloadStreamState::run(const RangeSession::AskBorder& ask) {
  const auto els = config_.pool->usable_els();
  border_.clear();
  border_left_ = els.size();
  const auto settle = [this, number = ask.number] {
    work(Crew::questions, [headers = config_.headers, number, answers = border_, cancelled = cancelled_] {
      return [border = headers->border(number, answers, *cancelled)](RangeSession& s) { return s.on_border(border); };
    });
  };
  if (els.empty()) return settle();
  for (const std::size_t i : els) {
    work(Crew::questions, [this, i, number = ask.number, headers = config_.headers, cancelled = cancelled_, settle] {
      return [this, i, settle,
              has = headers->block_at(i, number, [cancelled] { return cancelled->load(); })](RangeSession&) -> Effects {
        if (has) border_[i] = *has;
        if (--border_left_ == 0) settle();
        return {};
      };
    });
  }
}

void PayloadStreamState::run(const RangeSession::AskKept& ask) {
  self_->request(config_.desk->actor(), kDesk, kept_atom{}, ask.first, ask.last)
      .then([this](const KeptPtr& kept) { apply(session_->on_kept(*kept)); },
            [this](const caf::error&) { apply(session_->on_kept({})); });
}

void PayloadStreamState::run(const WindowProof::AskHeaders& ask) {
  work(Crew::headers, [headers = config_.headers, ask, cancelled = cancelled_] {
    auto got = headers->batch_of(ask.numbers, [&] { return cancelled->load(); });
    return [got = std::move(got)](RangeSession& s) { return s.on_headers(got); };
  });
}

void PayloadStreamState::run(const WindowProof::AskGap& ask) {
  work(Crew::headers, [headers = config_.headers, ask, cancelled = cancelled_] {
    auto got = headers->close(ask, [&] { return cancelled->load(); });
    return [got = std::move(got)](RangeSession& s) { return s.on_gap(got); };
  });
}

void PayloadStreamState::run(const WindowProof::Judge& ask) {
  work(Crew::headers, [headers = config_.headers, ask] {
    return [st = headers->judge(*ask.headers, ask.suspects)](RangeSession& s) { return s.on_judged(st); };
  });
}

void PayloadStreamState::run(const RangeSession::AskBodies& ask) {
  const payload_stream_impl me{self_};
  BodiesOrder order;
  order.headers = ask.headers;
  order.at = ask.batch.at;
  order.count = ask.batch.count;
  order.expected_bytes = ask.batch.expected_bytes;
  order.fetch = [bodies = config_.bodies, cancelled = cancelled_](std::span<const HashedHeader> wanted,
                                                                  std::size_t expected, std::size_t& bytes) {
    return bodies->fetch(
        wanted, expected, [&] { return cancelled->load(); }, bytes);
  };
  order.done = [me, id = ask.id](absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes) {
    caf::anon_send(me, event_atom{},
                   event([id, got = std::move(got), bytes](RangeSession& s) { return s.on_bodies(id, got, bytes); }));
  };
  config_.desk->fetch(config_.id, ask.id, std::move(order));
}

void PayloadStreamState::run(const RangeSession::Write& w) { reader_->write(w.payloads); }

void PayloadStreamState::run(const RangeSession::Free& f) { config_.desk->free(config_.id, f.id); }

void PayloadStreamState::run(const RangeSession::Keep& k) { config_.desk->keep(k.headers); }

void PayloadStreamState::run(const RangeSession::NoBorder& n) {
  log::warn("the headers of the whole range are fetched first, from its tip down",
            {log::kv("why", n.why), log::kv("from", n.from), log::kv("tip", config_.tip)});
}

void PayloadStreamState::run(const RangeSession::End& e) {
  if (e.status.ok()) config_.pool->note_blocks_served(true);
  if (absl::IsUnavailable(e.status) || absl::IsDeadlineExceeded(e.status)) config_.pool->note_blocks_served(false);
  if (!e.status.ok())
    log::debug("payload stream ended",
               {log::kv("parent", config_.parent), log::kv("tip", config_.tip), log::kv("why", e.status)});
  reader_->end(e.status);
  self_->quit();
}

payload_stream_impl::behavior_type payload_stream(payload_stream_impl::stateful_pointer<PayloadStreamState> self,
                                                  const StreamConfig& config) {
  guard(self, "payload_stream");
  return self->state.make_behavior(config);
}

}  // namespace towline::fetcher
