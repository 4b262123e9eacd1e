// Bounds the calls that stay open, such as watches: each costs memory, and work at every change, for as long as its
// client wants.
#pragma once
#include <absl/strings/str_cat.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <utility>

namespace towline::wire {

class Watchers {
 public:
  explicit Watchers(int most) : most_{most} {}

  /// Held while a call is open. False: all places are taken, see refusal().
  class Place {
   public:
    explicit Place(std::atomic<int>* open) : open_{open} {}
    Place(Place&& o) noexcept : open_{std::exchange(o.open_, nullptr)} {}
    ~Place() {
      if (open_ != nullptr) --*open_;
    }
    explicit operator bool() const { return open_ != nullptr; }

   private:
    std::atomic<int>* open_;
  };

  [[nodiscard]] Place take() {
    if (++open_ <= most_) return Place{&open_};
    --open_;
    return Place{nullptr};
  }

  grpc::Status refusal() const {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("all ", most_,
                         " places for such streams are taken: close one that is not needed (each `towline "
                         "watch` and each coordinator has one), or try again later")};
  }

 private:
  const int most_;
  std::atomic<int> open_{0};
};

}  // namespace towline::wire
