// Whether this coordinator may command the engine-driver, in which term, or whether another coordinator does. Pure.
#pragma once
#include "libs/contract/engine.hpp"

namespace towline::coordinator {

class Authority {
 public:
  /// The name of the elector when there is no etcd.
  static constexpr const char* kElector = "single";

  /// Returns true if this coordinator takes over from another one that is gone.
  bool on_state(const contract::EngineState& s);
  /// The driver's gate refused a command because another coordinator has the driver.
  void on_refused() { superseded_ = true; }

  bool superseded() const { return superseded_; }
  std::uint64_t term() const { return term_; }

 private:
  std::uint64_t term_ = 0;
  bool superseded_ = false;
};

}  // namespace towline::coordinator
