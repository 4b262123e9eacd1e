#include "services/remote-fetcher/edge/fetcher_service.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/base/status.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/eth/header.hpp"
#include "libs/grpc_kit/server_calls.hpp"
#include "libs/telemetry/log.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/remote_fetcher.hpp"

namespace towline::fetcher {
namespace {

constexpr int kMaxNumbers = 1024;
constexpr int kMaxCompared = 64;

v1::EndpointState to_proto(State s) {
  switch (s) {
    case State::probing: return v1::ENDPOINT_STATE_PROBING;
    case State::ready: return v1::ENDPOINT_STATE_READY;
    case State::backing_off: return v1::ENDPOINT_STATE_BACKING_OFF;
    case State::quarantined: return v1::ENDPOINT_STATE_QUARANTINED;
    case State::cordoned: return v1::ENDPOINT_STATE_CORDONED;
    case State::rejected: return v1::ENDPOINT_STATE_REJECTED;
  }
  return v1::ENDPOINT_STATE_UNSPECIFIED;
}

grpc::Status no_such_endpoint(const std::string& name) {
  return {grpc::StatusCode::NOT_FOUND, absl::StrCat("no endpoint \"", name, "\"; `towline endpoints` lists them")};
}

/// How long an endpoint may take when all endpoints are compared.
constexpr absl::Duration kTestimonyPatience = absl::Seconds(5);

/// A call that the dispatcher answers: the coroutine `ask` returns the response, and is cancelled when the caller is
/// gone.
template <class Response, class F>
grpc::ServerUnaryReactor* answer_later(const Dispatcher& dispatcher, Response* response, F ask) {
  Question q;
  q.owner = dispatcher.new_owner();
  const auto call =
      grpc_kit::UnaryCall<Response>::make(response, [&dispatcher, owner = q.owner] { dispatcher.close(owner); });
  q.ask = [call, ask = std::move(ask)](Sources sources, CancelPtr cancelled) -> Task<void> {
    absl::StatusOr<Response> answer = co_await ask(sources, cancelled);
    if (answer.ok()) call->finish(*std::move(answer));
    else call->fail(wire::to_grpc(answer.status()));
  };
  q.refuse = [call](const absl::Status& why) { call->fail(wire::to_grpc(why)); };
  dispatcher.ask(std::move(q));
  return call.get();
}

Task<void> ask_one(Headers* headers, std::size_t i, std::vector<std::uint64_t> numbers, CancelPtr cancelled,
                   Headers::Heard* out) {
  *out = co_await headers->ask(i, std::move(numbers), std::move(cancelled));
}

/// The blocks of each endpoint, and those of the majority of groups.
v1::CompareEndpointsResponse compared(const EndpointView& endpoints, const std::vector<Headers::Heard>& heard) {
  const auto write = [](const std::map<std::uint64_t, Hash32>& blocks, auto* out) {
    for (const auto& [number, hash] : blocks) *out->Add() = wire::to_proto(eth::BlockId{number, hash});
  };
  v1::CompareEndpointsResponse out;
  std::map<std::size_t, Testimony> said;
  for (std::size_t i = 0; i < heard.size(); ++i) {
    auto& e = *out.add_endpoints();
    e.set_endpoint(endpoints.name(i));
    e.set_group(endpoints.voters()[i].group);
    e.set_silence(heard[i].silence);
    write(heard[i].testimony.has, e.mutable_blocks());
    said[i] = heard[i].testimony;
  }
  write(majority(endpoints.voters(), said), out.mutable_majority());
  out.set_groups(static_cast<std::uint32_t>(count_groups(endpoints.voters())));
  return out;
}

/// Ascending, without duplicates.
std::vector<std::uint64_t> sorted(const google::protobuf::RepeatedField<std::uint64_t>& numbers) {
  std::vector<std::uint64_t> out{numbers.begin(), numbers.end()};
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

SourceTroubles troubles_of(const EndpointView& endpoints, const HeadBoard& board, absl::Time now) {
  const auto heads = [&]() -> contract::SourceTrouble {
    if (const std::string rules = board.unknown_rules(now); !rules.empty()) {
      return {"unknown_rules",
              absl::StrCat("every endpoint fails the same check, is there a fork that this version does not know? ",
                           rules)};
    }
    if (board.anybody(now)) {
      return {"sources_disagree",
              "the sources that are heard have another block where one is final here, and they are no majority; "
              "`towline endpoints` shows them"};
    }
    if (auto t = endpoints.trouble([](contract::EndpointKind) { return true; })) return *t;
    return {"no_heads", "no endpoint gives heads; `towline endpoints` says why"};
  };
  return {heads(), endpoints.blocks_trouble(), endpoints.nothing_asked_yet()};
}

grpc::ServerWriteReactor<v1::WatchHeadsResponse>* FetcherService::WatchHeads(grpc::CallbackServerContext*,
                                                                             const v1::WatchHeadsRequest* req) {
  using Stream = grpc_kit::StreamCall<v1::WatchHeadsResponse>;
  const auto refuse = [](grpc::Status why) { return grpc_kit::refuse<v1::WatchHeadsResponse>(std::move(why)); };
  auto place = std::make_shared<std::optional<wire::Watchers::Place>>(watchers_.take());
  if (!**place) return refuse(watchers_.refusal());
  HeadSubscriber subscriber;
  if (req->has_confirmed_finalized()) {
    auto given = wire::from_proto(req->confirmed_finalized());
    if (!given.ok()) return refuse(wire::to_grpc(given.status()));
    subscriber.confirmed_finalized = *given;
  }
  const std::uint64_t id = ++last_watch_;
  const auto stream = Stream::make({{}, [&heads = heads_, id, place] {
                                      place->reset();
                                      heads.unwatch(id);
                                    }});
  subscriber.tell = [stream](const HeadWatch::Message& m, absl::Time now) {
    v1::WatchHeadsResponse message;
    if (const auto* s = std::get_if<contract::HeadSnapshot>(&m)) *message.mutable_snapshot() = wire::to_proto(*s, now);
    else *message.mutable_trouble() = wire::to_proto(std::get<contract::SourceTrouble>(m));
    // A slow reader gets only the newest message.
    stream->offer(std::move(message));
  };
  subscriber.end = [stream] { stream->close({grpc::StatusCode::UNAVAILABLE, "shutting down"}); };
  heads_.watch(id, std::make_shared<const HeadSubscriber>(std::move(subscriber)));
  return stream.get();
}

grpc::ServerUnaryReactor* FetcherService::GetHeaders(grpc::CallbackServerContext* ctx, const v1::GetHeadersRequest* req,
                                                     v1::GetHeadersResponse* resp) {
  if (req->numbers_size() > kMaxNumbers)
    return grpc_kit::answer(ctx,
                            {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("at most ", kMaxNumbers, " numbers")});
  std::optional<std::size_t> prefer;
  if (!req->endpoint().empty()) prefer = view_.find(req->endpoint());
  using Answer = absl::StatusOr<v1::GetHeadersResponse>;
  return answer_later(dispatcher_, resp,
                      [numbers = sorted(req->numbers()), prefer](Sources sources, CancelPtr cancelled) -> Task<Answer> {
                        const absl::StatusOr<Headers::View> view =
                            co_await sources.headers.by_numbers(numbers, prefer, cancelled);
                        if (!view.ok()) co_return view.status();
                        v1::GetHeadersResponse out;
                        for (const auto& h : view->headers) *out.add_headers() = wire::to_proto(h);
                        out.set_endpoint(view->endpoint);
                        co_return out;
                      });
}

grpc::ServerUnaryReactor* FetcherService::GetHeaderByHash(grpc::CallbackServerContext* ctx,
                                                          const v1::GetHeaderByHashRequest* req,
                                                          v1::GetHeaderByHashResponse* resp) {
  const auto hash = wire::hash_from(req->block_hash(), "block_hash");
  if (!hash.ok()) return grpc_kit::answer(ctx, wire::to_grpc(hash.status()));
  using Answer = absl::StatusOr<v1::GetHeaderByHashResponse>;
  return answer_later(dispatcher_, resp, [hash = *hash](Sources sources, CancelPtr cancelled) -> Task<Answer> {
    const absl::StatusOr<eth::Header> h = co_await sources.headers.by_hash(hash, cancelled);
    if (!h.ok()) co_return h.status();
    v1::GetHeaderByHashResponse out;
    *out.mutable_header() = wire::to_proto(eth::ref_of(*h, hash));
    co_return out;
  });
}

grpc::ServerUnaryReactor* FetcherService::ListEndpoints(grpc::CallbackServerContext* ctx,
                                                        const v1::ListEndpointsRequest*,
                                                        v1::ListEndpointsResponse* resp) {
  const absl::Time now = steady_now();
  const auto board = heads_.now();
  for (std::size_t i = 0; i < view_.size(); ++i) {
    const auto shared = view_.get(i);
    const Endpoint& e = *shared;
    auto& out = *resp->add_endpoints();
    out.set_name(e.name());
    out.set_kind(wire::to_proto(e.kind()));
    out.set_state(to_proto(e.state(now)));
    Trouble t = e.trouble(now);
    if (!t && board->stalled(e.name())) t = {Problem::behind, "its head stands still while another's moves"};
    const Vote::Standing standing = board->standing(e.name(), now);
    if (!t && standing.dissents) t = {Problem::other_branch, standing.text};
    if (!t && (e.slow(Work::bodies) || e.slow(Work::headers)))
      t = {Problem::slow, "it takes several times as long as another; that one is asked first"};
    if (!t && (e.unsteady(Work::bodies) || e.unsteady(Work::headers)))
      t = {Problem::slow,
           "some of its answers take several times as long as those of another; that one is asked first"};
    const Voter& voter = view_.voters()[i];
    out.set_group(voter.group);
    for (const auto& [votes, label] :
         {std::pair{voter.unsafe, "unsafe"}, {voter.safe, "safe"}, {voter.finalized, "finalized"}})
      if (votes) out.add_votes(label);
    out.set_standing(standing.text);
    out.set_reason(t.why);
    out.set_reason_code(std::string{reason_code(t.problem)});
    out.set_max_batch(static_cast<std::uint32_t>(e.max_batch(Work::headers, now)));
    out.set_raw_methods(e.raw_methods());
    out.set_requests(e.counts().requests);
    out.set_errors(e.counts().errors);
    out.set_rate_limited(e.counts().rate_limited);
    out.set_integrity_failures(e.counts().integrity_failures);
    out.set_latency_ms(absl::ToDoubleMilliseconds(e.latency()));
    out.set_in_flight(static_cast<std::uint32_t>(std::max(0, e.in_flight())));
    if (auto s = board->of(e.name())) *out.mutable_heads() = wire::to_proto(*s, now);
  }
  return grpc_kit::answer(ctx);
}

grpc::ServerUnaryReactor* FetcherService::CompareEndpoints(grpc::CallbackServerContext* ctx,
                                                           const v1::CompareEndpointsRequest* req,
                                                           v1::CompareEndpointsResponse* resp) {
  if (req->numbers_size() == 0 || req->numbers_size() > kMaxCompared)
    return grpc_kit::answer(ctx, {grpc::StatusCode::INVALID_ARGUMENT, absl::StrCat("1 to ", kMaxCompared, " numbers")});
  using Answer = absl::StatusOr<v1::CompareEndpointsResponse>;
  return answer_later(dispatcher_, resp,
                      [numbers = sorted(req->numbers())](Sources sources, CancelPtr cancelled) -> Task<Answer> {
                        Pool& pool = sources.pool;
                        const auto limit = std::make_shared<Cancel>();
                        const Cancel::Hook hook{cancelled, [limit] { limit->call(); }};
                        pool.host().after(kTestimonyPatience, [limit] { limit->call(); });
                        std::vector<Headers::Heard> heard(pool.size());
                        std::vector<Task<void>> questions;
                        for (std::size_t i = 0; i < heard.size(); ++i)
                          questions.push_back(ask_one(&sources.headers, i, numbers, limit, &heard[i]));
                        co_await all(pool.host().loop(), std::move(questions));
                        co_return compared(pool.view(), heard);
                      });
}

grpc::ServerUnaryReactor* FetcherService::CordonEndpoint(grpc::CallbackServerContext* ctx,
                                                         const v1::CordonEndpointRequest* req,
                                                         v1::CordonEndpointResponse* resp) {
  const auto i = view_.find(req->name());
  if (!i) return grpc_kit::answer(ctx, no_such_endpoint(req->name()));
  const auto call = grpc_kit::UnaryCall<v1::CordonEndpointResponse>::make(resp);
  const std::string reason = req->reason().empty() ? "cordoned by an operator" : req->reason();
  dispatcher_.change(
      *i,
      [call, reason, name = req->name(), &heads = heads_](Endpoint& e) {
        e.cordon(reason);
        heads.drop(name);
        log::warn("endpoint cordoned", {log::kv("endpoint", name), log::kv("reason", reason)});
      },
      [call] { call->finish({}); });
  return call.get();
}

grpc::ServerUnaryReactor* FetcherService::UncordonEndpoint(grpc::CallbackServerContext* ctx,
                                                           const v1::UncordonEndpointRequest* req,
                                                           v1::UncordonEndpointResponse* resp) {
  const auto i = view_.find(req->name());
  if (!i) return grpc_kit::answer(ctx, no_such_endpoint(req->name()));
  const auto call = grpc_kit::UnaryCall<v1::UncordonEndpointResponse>::make(resp);
  const auto st = std::make_shared<absl::Status>();
  dispatcher_.change(
      *i, [st](Endpoint& e) { *st = e.uncordon(); },
      [call, st, name = req->name()] {
        if (!st->ok()) return call->fail(wire::to_grpc(*st));
        log::info("endpoint uncordoned", {log::kv("endpoint", name)});
        call->finish({});
      });
  return call.get();
}

grpc::ServerUnaryReactor* PayloadService::GetPayload(grpc::CallbackServerContext* ctx, const v1::GetPayloadRequest* req,
                                                     v1::GetPayloadResponse* resp) {
  const auto hash = wire::hash_from(req->block_hash(), "block_hash");
  if (!hash.ok()) return grpc_kit::answer(ctx, wire::to_grpc(hash.status()));
  using Answer = absl::StatusOr<v1::GetPayloadResponse>;
  return answer_later(*stream_.dispatcher, resp, [hash = *hash](Sources sources, CancelPtr cancelled) -> Task<Answer> {
    absl::StatusOr<eth::Header> header = co_await sources.headers.by_hash(hash, cancelled);
    if (!header.ok()) co_return header.status();
    std::vector<HashedHeader> wanted(1);
    wanted[0] = {hash, *std::move(header)};
    std::size_t bytes = 0;
    const absl::StatusOr<std::vector<Served>> got =
        co_await sources.bodies.fetch(std::move(wanted), 0, true, cancelled, &bytes);
    if (!got.ok()) co_return got.status();
    v1::GetPayloadResponse out;
    *out.mutable_payload() = wire::to_proto(got->front().payload);
    out.set_endpoint(got->front().endpoint);
    co_return out;
  });
}

grpc::ServerWriteReactor<v1::StreamPayloadsResponse>* PayloadService::StreamPayloads(
    grpc::CallbackServerContext*, const v1::StreamPayloadsRequest* req) {
  using Response = v1::StreamPayloadsResponse;
  const auto place = std::make_shared<std::optional<wire::Watchers::Place>>(readers_.take());
  if (!**place) return grpc_kit::refuse<Response>(readers_.refusal());
  const auto parent = wire::from_proto(req->parent());
  if (!parent.ok()) return grpc_kit::refuse<Response>(wire::to_grpc(parent.status()));
  const auto tip = wire::from_proto(req->tip());
  if (!tip.ok()) return grpc_kit::refuse<Response>(wire::to_grpc(tip.status()));
  StreamConfig config = stream_;
  config.id = stream_.dispatcher->new_owner();
  config.parent = *parent;
  config.tip = *tip;
  const payload_stream_actor actor = system_.spawn(payload_stream, config);
  const auto stream = grpc_kit::StreamCall<Response>::make({[actor] { caf::anon_send(actor, room_atom{}); },
                                                            [actor, place] {
                                                              place->reset();
                                                              caf::anon_send(actor, gone_atom{});
                                                            }});
  PayloadReader reader;
  reader.write = [stream](const std::vector<ServedPtr>& payloads) {
    std::vector<Response> messages(payloads.size());
    for (std::size_t k = 0; k < payloads.size(); ++k) {
      *messages[k].mutable_payload() = wire::to_proto(payloads[k]->payload);
      messages[k].set_endpoint(payloads[k]->endpoint);
    }
    stream->push_all(std::move(messages));
  };
  reader.end = [stream](const absl::Status& st) { stream->close(wire::to_grpc(st)); };
  caf::anon_send(actor, begin_atom{}, PayloadReaderPtr{std::make_shared<const PayloadReader>(std::move(reader))});
  return stream.get();
}

}  // namespace towline::fetcher
