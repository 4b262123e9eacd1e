// What work inside the dispatcher (dispatcher.hpp) needs from it: time, and work done elsewhere. All callbacks run in
// the dispatcher.
#pragma once
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "libs/actor_kit/task.hpp"
#include "libs/http/message.hpp"

namespace towline::fetcher {

class Host {
 public:
  virtual ~Host() = default;
  virtual Loop& loop() = 0;
  virtual absl::Time now() const = 0;
  virtual void after(absl::Duration wait, std::function<void()> then) = 0;
  /// `job` runs on a verifier, `then` in the dispatcher. An `urgent` job overtakes those that are not.
  virtual void compute(bool urgent, std::function<void()> job, std::function<void()> then) = 0;
  /// The response is still compressed.
  virtual std::uint64_t post(http::Request request, std::function<void(http::Response)> then) = 0;
  virtual void cancel_post(std::uint64_t id) = 0;
};

/// Runs `f` on a verifier and returns its result. `f` may refer to objects owned by the awaiting task, since verifiers
/// end before the dispatcher.
template <class F>
auto computed(Host& host, bool urgent, F f) -> Task<std::invoke_result_t<F&>> {
  using Result = std::invoke_result_t<F&>;
  const auto result = std::make_shared<std::optional<Result>>();
  const auto done = std::make_shared<Once<bool>>(host.loop());
  const auto job = std::make_shared<F>(std::move(f));
  host.compute(
      urgent, [result, job] { result->emplace((*job)()); }, [done] { done->set(true); });
  co_await *done;
  co_return *std::move(*result);
}

}  // namespace towline::fetcher
