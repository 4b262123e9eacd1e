// Prometheus metrics of one process, with process_* beside them. Thread safe.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace towline {

using Labels = std::map<std::string, std::string>;

class Metrics {
 public:
  class Counter {
   public:
    void inc(double n = 1);

   private:
    friend class Metrics;
    prometheus::Counter* impl_ = nullptr;
  };
  class Gauge {
   public:
    void set(double v);

   private:
    friend class Metrics;
    prometheus::Gauge* impl_ = nullptr;
  };
  class Histogram {
   public:
    void observe(double v);

   private:
    friend class Metrics;
    prometheus::Histogram* impl_ = nullptr;
  };

  Metrics();
  ~Metrics();

  /// The same name and labels give the same series. Names: towline_<service>_<what>_<unit or total>.
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  /// Makes the series of one label exist with 0 before the first event: PromQL's increase() misses an event that
  /// creates its own series.
  void declare(const std::string& name, const std::string& help, const std::string& label,
               const std::vector<std::string>& values);
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  /// `buckets`: their upper bounds, ascending.
  Histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                      const Labels& labels = {});

  /// The text exposition format.
  std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline
