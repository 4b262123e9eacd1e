// Whether this coordinator may command the engine-driver: in which term, and whether another one does. Pure.
#pragma once
#include "libs/contract/engine.hpp"

namespace towline::coordinator {

class Authority {
 public:
  /// The elector of a coordinator without etcd.
  static constexpr const char* kElector = "single";

  /// True: it takes over from another coordinator that is gone.
  bool on_state(const contract::EngineState& s);
  /// The gate said that another one commands.
  void on_refused() { superseded_ = true; }

  bool superseded() const { return superseded_; }
  std::uint64_t term() const { return term_; }

 private:
  std::uint64_t term_ = 0;
  bool superseded_ = false;
};

}  // namespace towline::coordinator
