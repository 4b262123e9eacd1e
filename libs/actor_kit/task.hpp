// Work inside one actor that waits for answers without holding a thread: a coroutine, which reads from top to bottom
// and goes on when the answer has come. Everything here belongs to one actor, so nothing is thread safe.
#pragma once
#include <absl/status/status.h>

#include <coroutine>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace towline {

/// As TOWLINE_RETURN_IF_ERROR and TOWLINE_ASSIGN_OR_RETURN (libs/base/status.hpp), in a Task.
#define TOWLINE_CO_RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                             \
    if (::absl::Status towline_status_ = (expr); !towline_status_.ok()) co_return towline_status_; \
  } while (false)
#define TOWLINE_CO_ASSIGN_OR_RETURN(lhs, expr) \
  TOWLINE_CO_ASSIGN_OR_RETURN_(TOWLINE_CONCAT_(towline_statusor_, __LINE__), lhs, expr)
// `lhs` may declare a variable, so it cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define TOWLINE_CO_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) co_return std::move(tmp).status();  \
  lhs = *std::move(tmp)
// NOLINTEND(bugprone-macro-parentheses)

namespace task_detail {

struct PromiseBase {
  /// Goes on in the coroutine that awaits the task.
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      if (const auto waiting = h.promise().waiting) waiting.resume();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  /// The exception leaves the actor's handler, and guard() ends the process.
  [[noreturn]] void unhandled_exception() const { throw; }
  std::coroutine_handle<> waiting;
};

template <class T>
struct Promise : PromiseBase {
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() { return *std::move(value); }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace task_detail

/// A coroutine with a result. It starts when it is awaited, which may happen once. Everything that it refers to must
/// live until it is done: a lambda that is a coroutine must outlive its task.
template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;
  Task(Handle h) : handle_{h} {}  // NOLINT(google-explicit-constructor): the promise's object
  Task(Task&& o) noexcept : handle_{std::exchange(o.handle_, {})} {}
  Task& operator=(Task&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  Handle handle() const { return handle_; }
  bool await_ready() const {
    handle_.resume();
    return handle_.done();
  }
  void await_suspend(std::coroutine_handle<> h) const { handle_.promise().waiting = h; }
  T await_resume() const { return handle_.promise().take(); }

 private:
  Handle handle_;
};

/// The tasks of one actor, and those that are ready to go on. The actor calls run() at the end of each handler.
class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// `done` is called when the task is done, but not when drop_all() ends it.
  void start(Task<void> task, std::function<void()> done = {}) {
    const std::uint64_t id = ++last_;
    const auto [it, added] = roots_.emplace(id, root(*this, id, std::move(task), std::move(done)));
    ready_.push_back(it->second.handle());
  }
  void ready(std::coroutine_handle<> h) { ready_.push_back(h); }
  void run() {
    while (!ready_.empty()) {
      const auto h = ready_.front();
      ready_.pop_front();
      h.resume();
      for (const std::uint64_t id : std::exchange(finished_, {})) roots_.erase(id);
    }
  }
  /// Tasks that were started and are not done.
  std::size_t size() const { return roots_.size(); }
  /// Ends all tasks where they stand.
  void drop_all() {
    ready_.clear();
    roots_.clear();
  }

 private:
  static Task<void> root(Loop& loop, std::uint64_t id, Task<void> task, std::function<void()> done) {
    co_await task;
    if (done) done();
    loop.finished_.push_back(id);
  }

  std::deque<std::coroutine_handle<>> ready_;
  std::map<std::uint64_t, Task<void>> roots_;
  std::vector<std::uint64_t> finished_;
  std::uint64_t last_ = 0;
};

/// A value that is set once, for the one task that awaits it. Shared with the code that sets it.
template <class T>
class Once {
 public:
  explicit Once(Loop& loop) : loop_{loop} {}
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;
  /// The first value counts.
  void set(T v) {
    if (value_) return;
    value_.emplace(std::move(v));
    if (waiting_) loop_.ready(waiting_);
  }
  bool is_set() const { return value_.has_value(); }

  struct Awaiter {
    Once* of;
    bool await_ready() const { return of->value_.has_value(); }
    void await_suspend(std::coroutine_handle<> h) const { of->waiting_ = h; }
    T await_resume() const { return *std::move(of->value_); }
  };
  Awaiter operator co_await() { return {this}; }

 private:
  Loop& loop_;
  std::optional<T> value_;
  std::coroutine_handle<> waiting_;
};

/// Runs all tasks at once; done when the last one is.
inline Task<void> all(Loop& loop, std::vector<Task<void>> tasks) {
  if (tasks.empty()) co_return;
  const auto left = std::make_shared<std::size_t>(tasks.size());
  const auto last = std::make_shared<Once<bool>>(loop);
  for (auto& t : tasks) {
    loop.start(std::move(t), [left, last] {
      if (--*left == 0) last->set(true);
    });
  }
  co_await *last;
}

/// Says that something is no longer wanted. Its hooks run at once.
class Cancel {
 public:
  bool called() const { return called_; }
  void call() {
    if (std::exchange(called_, true)) return;
    for (auto& [id, f] : std::exchange(hooks_, {})) f();
  }

  /// Runs `f` when call() is called, as long as the hook lives; at once if it was called before.
  class Hook {
   public:
    Hook(std::shared_ptr<Cancel> of, std::function<void()> f) : of_{std::move(of)} {
      if (of_->called_) f();
      else of_->hooks_.emplace(id_ = ++of_->last_, std::move(f));
    }
    ~Hook() { of_->hooks_.erase(id_); }
    Hook(const Hook&) = delete;
    Hook& operator=(const Hook&) = delete;

   private:
    std::shared_ptr<Cancel> of_;
    std::uint64_t id_ = 0;
  };

 private:
  bool called_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::function<void()>> hooks_;
};
using CancelPtr = std::shared_ptr<Cancel>;

}  // namespace towline
