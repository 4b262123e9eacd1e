#include "services/engine-driver/core/shared_range.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace towline::driver {
namespace {

/// Borders are requested this many blocks before they are needed.
constexpr std::uint64_t kBordersAhead = 1024;
constexpr absl::Duration kAskBordersAgain = absl::Seconds(5);
/// Work that takes a replica less time is not worth a cut.
constexpr absl::Duration kWorthACut = absl::Seconds(2);
/// Fewer blocks are no measurement of speed.
constexpr std::uint64_t kMeasured = 32;

bool refuses(const absl::Status& why) {
  return absl::IsFailedPrecondition(why) || absl::IsNotFound(why) || absl::IsInvalidArgument(why);
}

}  // namespace

std::map<std::uint64_t, Hash32> agreed(const Heights& sources) {
  std::map<std::uint64_t, Hash32> out;
  std::set<std::uint64_t> disputed;
  for (const auto& source : sources) {
    for (const auto& [number, hash] : source)
      if (const auto [it, fresh] = out.try_emplace(number, hash); !fresh && it->second != hash) disputed.insert(number);
  }
  for (const std::uint64_t n : disputed) out.erase(n);
  return out;
}

SharedRange::SharedRange(Replicas& replicas, const eth::BlockId& parent, const eth::BlockId& tip)
    : replicas_{replicas}, tip_{tip}, asked_up_to_{parent.number} {
  parts_.emplace_back();
  parts_.back().last = parent;
  parts_.back().end = tip;
}

SharedRange::Effects SharedRange::start(absl::Time now) { return go_on(now); }

SharedRange::Effects SharedRange::on_next(absl::Time now) {
  wanted_ = true;
  return go_on(now);
}

SharedRange::Effects SharedRange::on_tick(absl::Time now) { return go_on(now); }

SharedRange::Part* SharedRange::part_of(std::uint64_t stream) {
  const auto it =
      std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.stream && p.stream->id == stream; });
  return it == parts_.end() ? nullptr : &*it;
}

SharedRange::Effects SharedRange::on_payload(std::uint64_t stream, PreparedPayload payload, absl::Time now) {
  Part* const p = part_of(stream);
  if (p == nullptr) return {};
  if (payload.ref.number != p->last.number + 1 || payload.ref.parent_hash != p->last.hash) {
    return on_end(stream,
                  absl::FailedPreconditionError(
                      absl::StrCat(eth::to_string(payload.ref.id()), " does not continue ", eth::to_string(p->last))),
                  now);
  }
  Stream& s = *p->stream;
  s.pulled = false;
  ++s.blocks;
  ++s.given;
  p->tried.clear();
  p->refused_by.clear();
  p->refusal = absl::OkStatus();
  p->last = payload.ref.id();
  bytes_ += payload.body.size();
  bytes_seen_ += payload.body.size();
  ++blocks_seen_;
  p->ready.push_back({std::move(payload), s.replica});
  if (p->complete()) {
    if (s.blocks >= kMeasured) replicas_.on_speed(s.replica, s.blocks, now - s.opened);
    const eth::BlockId to = s.to;
    if (to.number == p->end.number) finish(*p);
    else close(*p);
    if (p->last.hash != p->end.hash) without_borders(*p, to);
  }
  return go_on(now);
}

SharedRange::Effects SharedRange::on_end(std::uint64_t stream, const absl::Status& why, absl::Time now) {
  Part* const p = part_of(stream);
  if (p == nullptr) return {};
  const std::string replica = p->stream->replica;
  close(*p);
  out_.emplace_back(Note{"a remote-fetcher did not serve its part of a range", replica, why.ToString()});
  p->tried.insert(replica);
  if (refuses(why)) {
    p->refused_by.insert(replica);
    p->refusal = why;
  } else {
    replicas_.on_failed(replica, std::string{why.message()}, now);
    p->last_failure = why;
  }
  return go_on(now);
}

void SharedRange::give_up_what_nobody_has() {
  for (auto p = parts_.begin(); p != parts_.end(); ++p) {
    if (p->stream || p->complete() || !p->failure.ok() || p->tried.empty()) continue;
    if (p->refused_by.size() < 2 && !replicas_.all_listed_are_in(p->tried)) continue;
    // A refusal counts only for the pinned tip; a border may be wrong.
    if (!p->refusal.ok() && p->end != tip_) return without_borders(*p, tip_);
    p->failure = p->refusal.ok() ? p->last_failure : p->refusal;
  }
}

SharedRange::Effects SharedRange::on_borders(const absl::StatusOr<Heights>& sources, absl::Time now) {
  asking_since_.reset();
  if (sources.ok()) {
    for (const auto& [number, hash] : agreed(*sources))
      if (number < tip_.number && cuts_) borders_[number] = hash;
  } else {
    ask_again_ = now + kAskBordersAgain;
    asked_up_to_ = asked_from_;
  }
  return go_on(now);
}

void SharedRange::without_borders(Part& p, const eth::BlockId& end) {
  out_.emplace_back(Note{"a block that sources agree on is not on the way to the tip", "", eth::to_string(p.end)});
  cuts_ = false;
  borders_.clear();
  while (&parts_.back() != &p) {
    Part& later = parts_.back();
    close(later);
    for (const Ready& r : later.ready) bytes_ -= r.payload.body.size();
    parts_.pop_back();
  }
  p.end = end;
  p.tried.clear();
  p.refused_by.clear();
  p.refusal = absl::OkStatus();
  if (end == tip_) return;
  parts_.emplace_back();
  parts_.back().last = end;
  parts_.back().end = tip_;
}

SharedRange::Effects SharedRange::go_on(absl::Time now) {
  give_up_what_nobody_has();
  give();
  take_over_from_the_slow(now);
  ask_for_borders(now);
  assign(now);
  pull(now);
  return std::exchange(out_, {});
}

void SharedRange::give() {
  while (!parts_.empty() && parts_.front().complete() && parts_.front().ready.empty()) parts_.pop_front();
  if (!wanted_) return;
  if (parts_.empty()) {
    wanted_ = false;
    out_.emplace_back(Give{absl::OutOfRangeError("the range is complete"), ""});
    return;
  }
  Part& p = parts_.front();
  if (!p.ready.empty()) {
    wanted_ = false;
    Ready r = std::move(p.ready.front());
    p.ready.pop_front();
    bytes_ -= r.payload.body.size();
    replicas_.on_served(r.replica);
    out_.emplace_back(Give{std::move(r.payload), std::move(r.replica)});
  } else if (!p.failure.ok()) {
    wanted_ = false;
    out_.emplace_back(Give{p.failure, ""});
  }
}

std::vector<std::string> SharedRange::idle(absl::Time now) const {
  std::vector<std::string> out = replicas_.fit(now);
  for (const Part& p : parts_)
    if (p.stream) std::erase(out, p.stream->replica);
  return out;
}

std::uint64_t SharedRange::window_of(const std::string& replica) const {
  std::uint64_t blocks = kFirstWindow;
  if (const double speed = replicas_.speed(replica); speed > 0)
    blocks = static_cast<std::uint64_t>(speed * absl::ToDoubleSeconds(kWindowTime));
  if (blocks_seen_ > 0) {
    const std::uint64_t each = std::max<std::uint64_t>(1, bytes_seen_ / blocks_seen_);
    blocks = std::min<std::uint64_t>(blocks, kMaxBytes / 2 / std::max<std::size_t>(1, replicas_.listed()) / each);
  }
  return std::clamp(blocks, kStep, kMaxWindow);
}

double SharedRange::speed_of(const Stream& s, absl::Time now) const {
  if (s.blocks < kMeasured) return replicas_.speed(s.replica);
  return static_cast<double>(s.blocks) / std::max(1e-3, absl::ToDoubleSeconds(now - s.opened));
}

bool SharedRange::waits_for_borders(absl::Time now) const {
  return asking_since_ && now - *asking_since_ < kBorderPatience;
}

std::optional<eth::BlockId> SharedRange::border_in(const Part& p, std::uint64_t number) const {
  const auto it = borders_.lower_bound(std::max(number, p.last.number + 1));
  if (it == borders_.end() || it->first >= p.end.number) return std::nullopt;
  return eth::BlockId{it->first, it->second};
}

void SharedRange::cut(Parts::iterator p, const eth::BlockId& border) {
  Part rest;
  rest.last = border;
  rest.end = p->end;
  p->end = border;
  parts_.insert(std::next(p), std::move(rest));
}

void SharedRange::open(Part& p, const std::string& replica, absl::Time now) {
  Stream s;
  s.id = ++last_stream_;
  s.replica = replica;
  s.to = p.end;
  s.opened = s.watched = now;
  p.stream = s;
  replicas_.on_work(replica);
  out_.emplace_back(Open{s.id, replica, p.last, p.end});
}

void SharedRange::finish(Part& p) {
  out_.emplace_back(Pull{p.stream->id});
  p.stream.reset();
}

void SharedRange::close(Part& p) {
  if (!p.stream) return;
  out_.emplace_back(Close{p.stream->id});
  p.stream.reset();
}

SharedRange::Parts::iterator SharedRange::cut_from_another(absl::Time now) {
  for (auto p = parts_.begin(); p != parts_.end(); ++p) {
    if (!p->stream || p->rest() <= kStep) continue;
    const double speed = speed_of(*p->stream, now);
    const std::uint64_t window = window_of(p->stream->replica);
    // The rest without a window is cut in any case; a window only if the importer waits for it.
    const bool unbounded = p->rest() > 4 * window;
    const bool waited_for = wanted_ && speed > 0 && absl::Seconds(static_cast<double>(p->rest()) / speed) > kWorthACut;
    if (!unbounded && !waited_for) continue;
    if (const auto border = border_in(*p, p->last.number + std::min(window, p->rest() / 2))) {
      cut(p, *border);
      return std::next(p);
    }
  }
  return parts_.end();
}

bool SharedRange::bound(Parts::iterator p, const std::string& replica, absl::Time now) {
  const std::uint64_t window = window_of(replica);
  if (replicas_.listed() < 2 || !cuts_ || p->rest() <= window + kStep / 2) return true;
  const auto border = border_in(*p, p->last.number + window);
  if (border) cut(p, *border);
  return border.has_value() || !waits_for_borders(now);
}

SharedRange::Parts::iterator SharedRange::work_for(const std::string& replica, absl::Time now) {
  // A replica does not work further ahead than this many parts.
  std::size_t left = 2 * std::max<std::size_t>(1, replicas_.listed());
  for (auto p = parts_.begin(); p != parts_.end() && left > 0; ++p, --left) {
    if (p->stream || p->complete() || !p->failure.ok() || p->refused_by.contains(replica)) continue;
    if (bound(p, replica, now)) return p;
  }
  const auto rest = left > 0 ? cut_from_another(now) : parts_.end();
  if (rest != parts_.end()) bound(rest, replica, now);
  return rest;
}

void SharedRange::assign(absl::Time now) {
  std::vector<std::string> free = idle(now);
  // If no stream is open, a resting replica has to try.
  const bool nobody = std::none_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.stream.has_value(); });
  if (nobody && !parts_.empty()) {
    const auto& tried = parts_.front().tried;
    if (std::all_of(free.begin(), free.end(), [&](const auto& r) { return tried.contains(r); }))
      if (std::string r = replicas_.least_bad(tried); !r.empty()) free.push_back(std::move(r));
  }
  while (!free.empty()) {
    const std::string replica = replicas_.next_of(free);
    std::erase(free, replica);
    if (const auto p = work_for(replica, now); p != parts_.end()) open(*p, replica, now);
  }
  fetch_the_first(now);
}

void SharedRange::fetch_the_first(absl::Time now) {
  if (parts_.empty()) return;
  Part& first = parts_.front();
  if (first.stream || first.complete() || !first.failure.ok()) return first_waits_.reset();
  if (!first_waits_) first_waits_ = now;
  for (auto p = parts_.rbegin(); p != parts_.rend(); ++p) {
    if (!p->stream || first.tried.contains(p->stream->replica)) continue;
    // Otherwise the pull would wait for the importer, which waits for the first part.
    if (p->stream->pulled && now - *first_waits_ < kSlow) continue;
    const std::string replica = p->stream->replica;
    close(*p);
    open(first, replica, now);
    return first_waits_.reset();
  }
}

void SharedRange::pull(absl::Time now) {
  for (auto p = parts_.begin(); p != parts_.end(); ++p) {
    if (!p->stream || p->stream->pulled) continue;
    const bool first = p == parts_.begin() && p->ready.empty();
    if (!first && bytes_ >= kMaxBytes) {
      p->stream->watched = now;
      p->stream->given = 0;
      continue;
    }
    p->stream->pulled = true;
    out_.emplace_back(Pull{p->stream->id});
  }
}

void SharedRange::ask_for_borders(absl::Time now) {
  if (!cuts_ || asking_since_ || now < ask_again_ || parts_.empty() || replicas_.listed() < 2) return;
  // The height at which the next window begins.
  std::uint64_t at = parts_.front().last.number;
  for (const Part& p : parts_)
    if (p.stream) at = std::max(at, p.stream->to == tip_ ? p.last.number : p.end.number);
  asked_up_to_ = std::max(asked_up_to_, at);
  if (asked_up_to_ > at + kBordersAhead || tip_.number - at <= 2 * kStep) return;
  AskBorders ask;
  std::uint64_t n = (asked_up_to_ / kStep + 1) * kStep;
  for (; n < tip_.number && ask.numbers.size() < kBorders; n += kStep) ask.numbers.push_back(n);
  if (ask.numbers.empty()) return;
  std::vector<std::string> free = idle(now);
  if (free.empty()) free = replicas_.fit(now);
  if (free.empty()) return;
  // Any free replica; the question does not count as work.
  ask.replica = free[ask.numbers.front() / kStep % free.size()];
  asked_from_ = std::exchange(asked_up_to_, ask.numbers.back());
  asking_since_ = now;
  out_.emplace_back(std::move(ask));
}

void SharedRange::take_over_from_the_slow(absl::Time now) {
  for (Part& p : parts_) {
    if (!p.stream || !p.stream->pulled) continue;
    Stream& s = *p.stream;
    const absl::Duration waited = now - s.watched;
    if (waited < kSlow * (1 << std::min(p.taken_over, 4))) continue;
    const double best = replicas_.best_speed_beside(s.replica);
    const bool slow = s.given == 0 || static_cast<double>(s.given) < best * absl::ToDoubleSeconds(waited) / 4;
    s.watched = now;
    const std::uint64_t given = std::exchange(s.given, 0);
    if (!slow || idle(now).empty()) continue;
    const std::string why = given == 0 ? "it is silent" : "it is much slower than others";
    replicas_.on_failed(s.replica, why, now);
    out_.emplace_back(Note{"another remote-fetcher takes over", s.replica, why});
    ++p.taken_over;
    close(p);
  }
}

}  // namespace towline::driver
