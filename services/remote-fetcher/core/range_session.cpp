#include "services/remote-fetcher/core/range_session.hpp"

#include <absl/strings/str_cat.h>

#include <utility>

namespace towline::fetcher {

RangeSession::Effects RangeSession::start(std::size_t lines) {
  lines_ = std::max<std::size_t>(1, lines);
  if (tip_.number <= parent_.number) end(absl::InvalidArgumentError("tip must be above parent"));
  else prove_from(parent_, kFirstWindow);
  return go_on();
}

void RangeSession::prove_from(const eth::BlockId& from, std::uint64_t width) {
  if (tip_.number - from.number <= kWindow) return prove({from, tip_});
  const std::uint64_t number = from.number + width;
  if (const auto b = borders_.find(number); b != borders_.end()) return prove({from, {number, b->second}});
  border_from_ = from;
  border_ = number;
  out_.emplace_back(AskBorder{number});
}

void RangeSession::prove(const Range& range) {
  range_ = range;
  out_.emplace_back(AskKept{range.from.number + 1, range.to.number});
}

void RangeSession::walk() {
  if (walking_->number <= border_) {
    walking_.reset();
    return prove({border_from_, {border_, borders_.at(border_)}});
  }
  const std::uint64_t below = border_ + (walking_->number - 1 - border_) / kWindow * kWindow;
  prove({{below, {}}, *walking_});
}

RangeSession::Effects RangeSession::on_border(const absl::StatusOr<eth::BlockId>& border) {
  if (ended_) return {};
  if (border.ok()) {
    prove({border_from_, *border});
  } else if (absl::IsAborted(border.status())) {
    out_.emplace_back(NoBorder{border.status(), border_from_});
    walking_ = tip_;
    walk();
  } else {
    not_proven(border.status());
  }
  return go_on();
}

RangeSession::Effects RangeSession::on_kept(std::vector<HashedHeader> kept) {
  if (ended_ || !range_) return {};
  proof_.emplace(range_->from.number + 1, range_->to, std::move(kept));
  return go_on();
}

RangeSession::Effects RangeSession::on_headers(WindowProof::Headers got) {
  if (ended_ || !proof_) return {};
  proof_->on_headers(std::move(got));
  return go_on();
}

RangeSession::Effects RangeSession::on_gap(absl::StatusOr<WindowProof::Closed> got) {
  if (ended_ || !proof_) return {};
  proof_->on_gap(std::move(got));
  return go_on();
}

RangeSession::Effects RangeSession::on_judged(const absl::Status& st) {
  if (ended_ || !proof_) return {};
  proof_->on_judged(st);
  return go_on();
}

void RangeSession::proven(const ProvenHeaders& headers) {
  const Range range = *std::exchange(range_, {});
  proof_.reset();
  const Hash32& below = headers->front().header.parent_hash;
  if (walking_) {
    walking_ = eth::BlockId{range.from.number, below};
    borders_[range.from.number] = below;
    return walk();
  }
  if (below != range.from.hash)
    return not_proven(absl::FailedPreconditionError(
        absl::StrCat(eth::to_string(range.to), " does not descend from ", eth::to_string(range.from), " but from ",
                     eth::to_string(eth::BlockId{range.from.number, below}))));
  if (bodies_) ready_ = headers;
  else begin_bodies(headers);
}

void RangeSession::not_proven(const absl::Status& why) {
  range_.reset();
  proof_.reset();
  walking_.reset();
  failure_ = why;
  if (!bodies_) end(failure_);
}

void RangeSession::begin_bodies(ProvenHeaders headers) {
  const eth::BlockId last{headers->back().header.number, headers->back().hash};
  bodies_.emplace(std::move(headers));
  if (last != tip_) prove_from(last, kWindow);
}

RangeSession::Effects RangeSession::on_bodies(std::uint64_t id, absl::StatusOr<std::vector<ServedPtr>> got,
                                              std::size_t bytes) {
  const auto node = asked_.extract(id);
  if (ended_ || !node || !bodies_) return {};
  const BodyWindow::Batch& batch = node.mapped().batch;
  if (got.ok()) held_[batch.at] = id;
  else out_.emplace_back(Free{id});
  bodies_->put(batch, std::move(got), bytes);
  return go_on();
}

RangeSession::Effects RangeSession::on_written() {
  if (ended_ || !writing_) return {};
  out_.emplace_back(Free{*std::exchange(writing_, {})});
  return go_on();
}

RangeSession::Effects RangeSession::on_gone() {
  if (!ended_) end(absl::CancelledError("the reader is gone"));
  return std::exchange(out_, {});
}

void RangeSession::end(absl::Status st) {
  ended_ = true;
  if (proof_) {
    auto kept = std::move(*proof_).give_up();
    if (!kept.empty()) out_.emplace_back(Keep{std::move(kept)});
  }
  out_.emplace_back(End{std::move(st)});
}

RangeSession::Effects RangeSession::go_on() {
  while (!ended_ && proof_) {
    while (auto ask = proof_->next()) std::visit([&](auto& a) { out_.emplace_back(std::move(a)); }, *ask);
    const auto result = proof_->result();
    if (!result) break;
    if (result->ok()) {
      proven(**result);
    } else {
      auto kept = std::move(*proof_).give_up();
      if (!kept.empty()) out_.emplace_back(Keep{std::move(kept)});
      not_proven(result->status());
    }
  }
  while (!ended_ && bodies_) {
    // Nothing is being written: write the next batch, or end the window.
    if (!writing_) {
      if (auto ready = bodies_->next()) {
        const auto held = held_.extract(ready->at);
        writing_ = held.mapped();
        out_.emplace_back(Write{std::move(ready->payloads)});
      } else if (const auto why = bodies_->failure()) {
        end(*why);
        break;
      } else if (bodies_->done()) {
        const HashedHeader& last = bodies_->headers()->back();
        const bool whole = eth::BlockId{last.header.number, last.hash} == tip_;
        bodies_.reset();
        if (whole) end(absl::OkStatus());
        else if (ready_) begin_bodies(std::exchange(ready_, {}));
        else if (!failure_.ok()) end(failure_);
        continue;
      }
    }
    while (asked_.size() < lines_) {
      const auto batch = bodies_->take();
      if (!batch) break;
      asked_.emplace(++last_id_, Asked{*batch});
      out_.emplace_back(AskBodies{last_id_, bodies_->headers(), *batch});
    }
    break;
  }
  return std::exchange(out_, {});
}

}  // namespace towline::fetcher
