// The latest value of an actor's data, for readers that may not wait for its answer: a status page, a readiness check.
#pragma once
#include <atomic>
#include <memory>
#include <utility>

namespace towline {

/// One writer, any number of readers; none waits for another.
template <class T>
class Published {
 public:
  explicit Published(T first) : value_{std::make_shared<const T>(std::move(first))} {}
  void set(T value) { value_.store(std::make_shared<const T>(std::move(value))); }
  std::shared_ptr<const T> get() const { return value_.load(); }

 private:
  std::atomic<std::shared_ptr<const T>> value_;
};

}  // namespace towline
