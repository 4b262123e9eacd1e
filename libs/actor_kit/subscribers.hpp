// The subscribers of an actor, which get each new value. Their callbacks run in the actor: hand over and return. A
// subscriber that does not read costs one waiting value (grpc_kit::StreamCall::offer).
#pragma once
#include <caf/atom.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace towline {

template <class T>
struct Subscriber {
  std::function<void(const T&)> show;
  /// The actor ends: no more values come.
  std::function<void()> end;
};

/// The message that adds a subscriber to an actor.
using join_atom = caf::atom_constant<caf::atom("join")>;
using leave_atom = caf::atom_constant<caf::atom("leave")>;

template <class T>
class Subscribers {
 public:
  using Ptr = std::shared_ptr<const Subscriber<T>>;

  /// After end() the subscriber's `end` is called at once.
  void join(const Ptr& s) {
    if (ended_) return s->end();
    all_.push_back(s);
  }
  /// False: it was no subscriber.
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
