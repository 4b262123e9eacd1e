// Whoever is told each new value of what an actor owns. The callbacks run in the actor: hand over and return. A
// subscriber that does not read costs one value that waits for it (grpc_kit::StreamCall::offer).
#pragma once
#include <caf/atom.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace towline {

template <class T>
struct Subscriber {
  std::function<void(const T&)> show;
  /// No value comes any more: we end.
  std::function<void()> end;
};

/// To an actor that has subscribers, with the subscriber.
using join_atom = caf::atom_constant<caf::atom("join")>;
using leave_atom = caf::atom_constant<caf::atom("leave")>;

template <class T>
class Subscribers {
 public:
  using Ptr = std::shared_ptr<const Subscriber<T>>;

  /// After end() it is told so at once.
  void join(const Ptr& s) {
    if (ended_) return s->end();
    all_.push_back(s);
  }
  /// False: it was none.
  bool leave(const Ptr& s) { return std::erase(all_, s) != 0; }
  void show(const T& value) const {
    for (const Ptr& s : all_) s->show(value);
  }
  void end() {
    ended_ = true;
    for (const Ptr& s : all_) s->end();
    all_.clear();
  }
  std::size_t size() const { return all_.size(); }

 private:
  std::vector<Ptr> all_;
  bool ended_ = false;
};

}  // namespace towline
