// What is known of one remote RPC, and when it may be asked: probing, back-off, rate limits, batch size, being set aside. Pure.
#pragma once
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

namespace towline::fetcher {

enum class Kind { unknown, el, cl };
enum class State { probing, ready, backing_off, set_aside, cordoned, refused };
const char* name(Kind k);
const char* name(State s);

struct EndpointLimits {
  int max_in_flight = 16;
  /// 0: no limit.
  double max_requests_per_s = 0;
};

class Endpoint {
 public:
  static constexpr std::size_t kMaxBatch = 100;

  Endpoint(std::string name, EndpointLimits limits) : name_{std::move(name)}, limits_{limits} {}

  const std::string& name() const { return name_; }
  Kind kind() const { return kind_; }
  /// backing_off and set_aside end by themselves.
  State state(absl::Time now) const;
  const std::string& reason() const { return reason_; }
  std::size_t max_batch() const { return max_batch_; }
  bool raw_methods() const { return raw_methods_; }
  int in_flight() const { return in_flight_; }

  /// When the next request may leave; InfiniteFuture while it may not be used or all its slots are taken.
  absl::Time next_slot(absl::Time now) const;

  void on_request(absl::Time now);
  void on_success(absl::Time now, absl::Duration latency);
  /// Transport errors, HTTP errors, answers that are no JSON-RPC.
  void on_error(absl::Time now, std::string why);
  /// A call that was cancelled says nothing of the endpoint.
  void on_cancelled() { --in_flight_; }
  void on_rate_limit(absl::Time now, std::optional<absl::Duration> retry_after);
  /// 413 or a batch error: half of what was asked for.
  void on_too_large(std::size_t asked);

  void on_probed(Kind kind, bool raw_methods);
  /// Another chain or genesis.
  void refuse(std::string why);
  /// It served data that does not verify, or that contradicts what is proven. Each time for longer.
  void set_aside(absl::Time now, std::string why);
  void cordon(std::string why);
  void uncordon();

  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    std::uint64_t rate_limited = 0;
    std::uint64_t lies = 0;
  };
  const Counts& counts() const { return counts_; }
  /// Moving mean over the last answers.
  absl::Duration latency() const { return latency_; }

 private:
  void hold_until(absl::Time t, std::string why);
  const std::string name_;
  const EndpointLimits limits_;
  Kind kind_ = Kind::unknown;
  bool raw_methods_ = false;
  bool cordoned_ = false;
  bool refused_ = false;
  std::string reason_ = "not probed yet";
  std::size_t max_batch_ = kMaxBatch;
  std::uint64_t answers_since_shrink_ = 0;
  int in_flight_ = 0;
  int failures_ = 0;
  absl::Time hold_ = absl::InfinitePast();
  absl::Time aside_ = absl::InfinitePast();
  absl::Time next_token_ = absl::InfinitePast();
  absl::Duration latency_;
  Counts counts_;
};

}  // namespace towline::fetcher
