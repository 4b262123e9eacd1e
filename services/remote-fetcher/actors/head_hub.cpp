#include "services/remote-fetcher/actors/head_hub.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/actor_kit/actor_time.hpp"
#include "libs/actor_kit/guard.hpp"

namespace towline::fetcher {
namespace {

using impl = head_hub_actor::extend<caf::reacts_to<tick_atom, std::uint64_t>>;
using BoardSlot = std::shared_ptr<Published<HeadBoard>>;

class HeadHubState {
 public:
  static inline const char* name = "head_hub";
  explicit HeadHubState(impl::pointer self) : self_{self} {}

  impl::behavior_type make_behavior(const HeadHubConfig& config, BoardSlot slot) {
    config_.emplace(config);
    slot_ = std::move(slot);
    board_.emplace(config.vote, config.clock);
    return {
        [this](put_atom, const LookPtr& look) { change([&] { board_->put(look->heads, look->asked, look->has); }); },
        [this](heard_atom, const std::string& endpoint, std::uint64_t head_time) {
          board_->heard(endpoint, absl::FromUnixSeconds(static_cast<std::int64_t>(head_time)), now());
          slot_->set(*board_);
        },
        [this](drop_atom, const std::string& endpoint) { change([&] { board_->drop(endpoint); }); },
        [this](rules_atom, const std::string& what) {
          if (!what.empty()) change([&] { board_->set_unknown_rules(what, now()); });
          else if (board_->clear_unknown_rules()) change([] {});
        },
        [this](watch_atom, std::uint64_t id, const HeadSubscriberPtr& s) {
          if (stopped_) return s->end();
          if (s->confirmed_finalized) board_->watch(id, *s->confirmed_finalized);
          slot_->set(*board_);
          const auto [it, added] = watching_.try_emplace(id, s, HeadWatch{now(), config_->interval});
          tell(it->second, config_->troubles(*board_, now()));
          wake();
        },
        [this](unwatch_atom, std::uint64_t id) {
          board_->unwatch(id);
          slot_->set(*board_);
          watching_.erase(id);
        },
        [this](stop_atom) {
          stopped_ = true;
          for (const auto& [id, w] : watching_) w.subscriber->end();
          watching_.clear();
        },
        [this](tick_atom, std::uint64_t tick) {
          if (tick != tick_) return;
          armed_ = absl::InfiniteFuture();
          tell_all([now = now()](const Watching& w) { return w.watch.due() <= now; });
        },
    };
  }

 private:
  struct Watching {
    Watching(HeadSubscriberPtr s, HeadWatch w) : subscriber{std::move(s)}, watch{std::move(w)} {}
    HeadSubscriberPtr subscriber;
    HeadWatch watch;
  };

  absl::Time now() const { return actor_now(self_); }
  template <class F>
  void change(F f) {
    f();
    slot_->set(*board_);
    tell_all([](const Watching&) { return true; });
  }
  template <class Which>
  void tell_all(Which which) {
    const SourceTroubles troubles = config_->troubles(*board_, now());
    for (auto& [id, w] : watching_)
      if (which(w)) tell(w, troubles);
    wake();
  }
  void tell(Watching& w, const SourceTroubles& troubles) {
    const auto message = w.watch.look(board_->choose(now(), w.subscriber->confirmed_finalized), troubles, now());
    if (message) w.subscriber->tell(*message, now());
  }
  void wake() {
    absl::Time due = absl::InfiniteFuture();
    for (const auto& [id, w] : watching_) due = std::min(due, w.watch.due());
    if (due >= armed_ || due == absl::InfiniteFuture()) return;
    armed_ = due;
    self_->delayed_send(self_, timer_until(due, now()), tick_atom{}, ++tick_);
  }

  impl::pointer self_;
  std::optional<HeadHubConfig> config_;
  BoardSlot slot_;
  std::optional<HeadBoard> board_;
  std::map<std::uint64_t, Watching> watching_;
  /// When the current timer fires.
  absl::Time armed_ = absl::InfiniteFuture();
  std::uint64_t tick_ = 0;
  bool stopped_ = false;
};

impl::behavior_type head_hub(impl::stateful_pointer<HeadHubState> self, const HeadHubConfig& config,
                             const BoardSlot& slot) {
  guard(self, "head_hub");
  return self->state.make_behavior(config, slot);
}

}  // namespace

Heads::Heads(caf::actor_system& system, HeadHubConfig config)
    : board_{std::make_shared<Published<HeadBoard>>(HeadBoard{config.vote, config.clock})},
      actor_{system.spawn(head_hub, std::move(config), board_)} {}

void Heads::put(Look look) const {
  caf::anon_send(actor_, put_atom{}, LookPtr{std::make_shared<const Look>(std::move(look))});
}
void Heads::heard(const std::string& endpoint, std::uint64_t head_time) const {
  caf::anon_send(actor_, heard_atom{}, endpoint, head_time);
}
void Heads::drop(const std::string& endpoint) const { caf::anon_send(actor_, drop_atom{}, endpoint); }
void Heads::set_unknown_rules(std::string what) const { caf::anon_send(actor_, rules_atom{}, std::move(what)); }
void Heads::clear_unknown_rules() const { caf::anon_send(actor_, rules_atom{}, std::string{}); }
void Heads::watch(std::uint64_t subscriber, HeadSubscriberPtr s) const {
  caf::anon_send(actor_, watch_atom{}, subscriber, std::move(s));
}
void Heads::unwatch(std::uint64_t subscriber) const { caf::anon_send(actor_, unwatch_atom{}, subscriber); }
void Heads::stop() const { caf::anon_send(actor_, stop_atom{}); }

}  // namespace towline::fetcher
