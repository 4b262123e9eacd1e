#include "libs/service/watchdog.hpp"

namespace towline::service {
namespace {

constexpr int kTurns = 30;

}  // namespace

std::optional<std::size_t> Patience::turn(const std::vector<bool>& took_turn) {
  missed_.resize(took_turn.size());
  std::optional<std::size_t> hangs;
  for (std::size_t i = 0; i < took_turn.size(); ++i) {
    missed_[i] = took_turn[i] ? 0 : missed_[i] + 1;
    if (missed_[i] >= most_ && !hangs) hangs = i;
  }
  return hangs;
}

void Watchdog::watch(std::string name, Ask ask) { loops_.push_back({std::move(name), std::move(ask)}); }

void Watchdog::start(std::function<void(const std::string&)> on_hang) {
  thread_ = std::thread{[this, on_hang = std::move(on_hang)] { run(on_hang); }};
}

void Watchdog::stop() {
  {
    std::lock_guard lock{mutex_};
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string Watchdog::hung() const {
  std::lock_guard lock{mutex_};
  return hung_;
}

void Watchdog::run(const std::function<void(const std::string&)>& on_hang) {
  Patience patience{kTurns};
  std::vector<bool> took_turn(loops_.size());
  while (true) {
    for (Loop& l : loops_) {
      // A loop that still owes a turn is not asked for another, or its queue would grow.
      if (l.took_turn->exchange(false)) l.ask([flag = l.took_turn] { *flag = true; });
    }
    {
      std::unique_lock lock{mutex_};
      if (wake_.wait_for(lock, length_, [this] { return stopped_; })) return;
      if (!hung_.empty()) break;
    }
    for (std::size_t i = 0; i < loops_.size(); ++i) took_turn[i] = *loops_[i].took_turn;
    if (const auto i = patience.turn(took_turn)) {
      std::lock_guard lock{mutex_};
      hung_ = loops_[*i].name;
    }
  }
  on_hang(hung());
}

}  // namespace towline::service
