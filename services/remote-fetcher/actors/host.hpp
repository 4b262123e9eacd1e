// What work inside the dispatcher (dispatcher.hpp) needs of it: time, and what goes on elsewhere. Whatever comes back
// does so in the dispatcher.
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
  /// `job` runs on a verifier, `then` here. A job that is `urgent` overtakes those that are not.
  virtual void compute(bool urgent, std::function<void()> job, std::function<void()> then) = 0;
  /// The answer comes as it was packed.
  virtual std::uint64_t post(http::Request request, std::function<void(http::Response)> then) = 0;
  virtual void cancel_post(std::uint64_t id) = 0;
};

/// What `f` returns, which a verifier runs. It may refer to what the task that awaits it owns: verifiers end before the
/// dispatcher.
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
