#include "services/p2p-gossip/actors/block_store.hpp"

#include <algorithm>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/guard.hpp"

namespace towline::gossip {
namespace {

/// A stream without news gets a sign of life every 2 s.
constexpr auto kTick = std::chrono::milliseconds{500};
constexpr int kQuietTicks = 4;

std::size_t size_of(const ValidBlock& b) {
  std::size_t n = 1024;
  for (const auto& t : b.payload->transactions) n += t.size() + sizeof(Bytes);
  return n;
}

}  // namespace

block_store_impl::behavior_type block_store_state::make_behavior(BlockStoreConfig config) {
  config_ = config;
  self_->delayed_send(self_, kTick, tick_atom{});
  const auto is = [](const WatcherPtr& w) { return [&w](const Place& p) { return p.watcher == w; }; };
  return {[this](block_atom, const ValidBlockPtr& block) { put(block); },
          [this](find_atom, const HashPtr& hash) { return find(*hash); },
          [this](stretch_atom, const StretchPtr& s) -> ValidBlocksPtr {
            return std::make_shared<const std::vector<ValidBlockPtr>>(stretch(*s));
          },
          [this](join_atom, const WatcherPtr& w) {
            if (stopped_) return w->end();
            Place& place = watchers_.emplace_back(Place{w});
            if (w->wants == Watcher::Wants::newest) place.next = end();
            show(place);
            if (place.ahead == 0) say_alive(place);
          },
          [this, is](room_atom, const WatcherPtr& w) {
            const auto place = std::find_if(watchers_.begin(), watchers_.end(), is(w));
            if (place == watchers_.end()) return;
            place->ahead = 0;
            show(*place);
          },
          [this, is](leave_atom, const WatcherPtr& w) { std::erase_if(watchers_, is(w)); },
          [this](stop_atom) {
            stopped_ = true;
            for (const auto& p : watchers_) p.watcher->end();
            watchers_.clear();
          },
          [this](tick_atom) {
            for (auto& p : watchers_)
              if (++p.quiet >= kQuietTicks && p.ahead == 0) say_alive(p);
            self_->delayed_send(self_, kTick, tick_atom{});
          }};
}

void block_store_state::put(ValidBlockPtr block) {
  if (by_hash_.contains(block->payload->block_hash)) return;
  by_hash_[block->payload->block_hash] = block;
  bytes_ += size_of(*block);
  log_.push_back(block);
  while (log_.size() > config_.max_blocks || (bytes_ > config_.max_bytes && log_.size() > 1)) {
    bytes_ -= size_of(*log_.front());
    by_hash_.erase(log_.front()->payload->block_hash);
    log_.pop_front();
    ++first_;
  }
  for (auto& p : watchers_) show(p);
  config_.last->set(std::move(block));
}

ValidBlockPtr block_store_state::find(const Hash32& hash) const {
  const auto it = by_hash_.find(hash);
  return it == by_hash_.end() ? nullptr : it->second;
}

std::vector<ValidBlockPtr> block_store_state::stretch(const Stretch& s) const {
  std::vector<ValidBlockPtr> out;
  for (Hash32 at = s.tip.hash; at != s.parent.hash;) {
    const auto block = find(at);
    if (!block || block->payload->number <= s.parent.number) return {};
    out.push_back(block);
    at = block->payload->parent_hash;
  }
  return {out.rbegin(), out.rend()};
}

void block_store_state::show(Place& to) {
  const bool newest = to.watcher->wants == Watcher::Wants::newest;
  const std::size_t ahead = newest ? 1 : kAhead;
  const std::uint64_t from = newest && !log_.empty() ? end() - 1 : first_;
  for (to.next = std::max(to.next, from); to.next < end() && to.ahead < ahead; ++to.next) {
    ++to.ahead;
    to.quiet = 0;
    to.watcher->block(*log_[to.next - first_]);
  }
}

void block_store_state::say_alive(Place& to) {
  ++to.ahead;
  to.quiet = 0;
  to.watcher->alive();
}

block_store_impl::behavior_type block_store(block_store_impl::stateful_pointer<block_store_state> self,
                                            BlockStoreConfig config) {
  guard(static_cast<block_store_impl::pointer>(self), "block_store");
  return self->state.make_behavior(config);
}

}  // namespace towline::gossip
