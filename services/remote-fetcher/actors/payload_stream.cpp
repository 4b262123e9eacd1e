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
/// Generous: the dispatcher answers at once.
constexpr auto kDispatcher = std::chrono::seconds{30};

SessionEventPtr event(std::function<Effects(RangeSession&)> f) {
  return std::make_shared<const std::function<Effects(RangeSession&)>>(std::move(f));
}

}  // namespace

PayloadStreamState::~PayloadStreamState() {
  if (config_.dispatcher != nullptr) config_.dispatcher->close(config_.id);
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
                           std::max<std::uint64_t>(1, config_.dispatcher->view().usable_els().size());
        apply(session_->start(static_cast<std::size_t>(std::min({lines, kMaxLines, (blocks + 3) / 4}))));
      },
      [this](event_atom, const SessionEventPtr& e) { apply((*e)(*session_)); },
  };
}

void PayloadStreamState::apply(Effects effects) {
  for (const auto& e : effects) std::visit([this](const auto& x) { run(x); }, e);
}

void PayloadStreamState::ask(Lane lane, std::function<Task<SessionEvent>(Sources, CancelPtr)> ask) {
  const payload_stream_impl me{self_};
  Question q;
  q.owner = config_.id;
  q.lane = lane;
  q.ask = [me, ask = std::move(ask)](Sources sources, CancelPtr cancelled) -> Task<void> {
    SessionEvent came = co_await ask(sources, cancelled);
    caf::anon_send(me, event_atom{}, event(std::move(came)));
  };
  q.refuse = [me](const absl::Status&) { caf::anon_send(me, gone_atom{}); };
  config_.dispatcher->ask(std::move(q));
}

void PayloadStreamState::run(const RangeSession::AskBorder& ask_border) {
  ask(Lane::headers, [number = ask_border.number](Sources s, CancelPtr cancelled) -> Task<SessionEvent> {
    const absl::StatusOr<eth::BlockId> border = co_await s.headers.border(number, cancelled);
    co_return SessionEvent{[border](RangeSession& session) { return session.on_border(border); }};
  });
}

void PayloadStreamState::run(const RangeSession::AskKept& ask) {
  self_->request(config_.dispatcher->actor(), kDispatcher, kept_atom{}, ask.first, ask.last)
      .then([this](const KeptPtr& kept) { apply(session_->on_kept(*kept)); },
            [this](const caf::error&) { apply(session_->on_kept({})); });
}

void PayloadStreamState::run(const WindowProof::AskHeaders& ask) {
  this->ask(Lane::headers, [numbers = ask.numbers](Sources s, CancelPtr cancelled) -> Task<SessionEvent> {
    WindowProof::Headers got = co_await s.headers.batch_of(numbers, cancelled);
    co_return SessionEvent{[got = std::move(got)](RangeSession& session) { return session.on_headers(got); }};
  });
}

void PayloadStreamState::run(const WindowProof::AskGap& ask) {
  this->ask(Lane::headers, [ask](Sources s, CancelPtr cancelled) -> Task<SessionEvent> {
    absl::StatusOr<WindowProof::Closed> got = co_await s.headers.close(ask, cancelled);
    co_return SessionEvent{[got = std::move(got)](RangeSession& session) { return session.on_gap(got); }};
  });
}

void PayloadStreamState::run(const WindowProof::Judge& ask) {
  this->ask(Lane::headers, [ask](Sources s, CancelPtr) -> Task<SessionEvent> {
    const absl::Status st = co_await s.headers.judge(ask.headers, ask.suspects);
    co_return SessionEvent{[st](RangeSession& session) { return session.on_judged(st); }};
  });
}

void PayloadStreamState::run(const RangeSession::AskBodies& ask) {
  const payload_stream_impl me{self_};
  BodiesOrder order;
  order.headers = ask.headers;
  order.at = ask.batch.at;
  order.count = ask.batch.count;
  order.expected_bytes = ask.batch.expected_bytes;
  order.done = [me, id = ask.id](absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes) {
    caf::anon_send(me, event_atom{},
                   event([id, got = std::move(got), bytes](RangeSession& s) { return s.on_bodies(id, got, bytes); }));
  };
  config_.dispatcher->fetch(config_.id, ask.id, std::move(order));
}

void PayloadStreamState::run(const RangeSession::Write& w) { reader_->write(w.payloads); }

void PayloadStreamState::run(const RangeSession::Free& f) { config_.dispatcher->free(config_.id, f.id); }

void PayloadStreamState::run(const RangeSession::Keep& k) { config_.dispatcher->keep(k.headers); }

void PayloadStreamState::run(const RangeSession::NoBorder& n) {
  log::warn("the headers of the whole range are fetched first, from its tip down",
            {log::kv("why", n.why), log::kv("from", n.from), log::kv("tip", config_.tip)});
}

void PayloadStreamState::run(const RangeSession::End& e) {
  if (e.status.ok()) config_.dispatcher->view().note_blocks_served(true);
  if (absl::IsUnavailable(e.status) || absl::IsDeadlineExceeded(e.status))
    config_.dispatcher->view().note_blocks_served(false);
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
