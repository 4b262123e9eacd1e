#include "libs/telemetry/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "libs/telemetry/log.hpp"

namespace towline {

struct Metrics::Impl {
  prometheus::Registry registry;
};

Metrics::Metrics() : impl_{std::make_unique<Impl>()} {}
Metrics::~Metrics() = default;

void Metrics::Counter::inc(double n) { impl_->Increment(n); }
void Metrics::Gauge::set(double v) { impl_->Set(v); }
void Metrics::Histogram::observe(double v) { impl_->Observe(v); }

Metrics::Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  Counter c;
  c.impl_ = &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return c;
}

void Metrics::declare(const std::string& name, const std::string& help, const std::string& label,
                      const std::vector<std::string>& values) {
  for (const auto& v : values) counter(name, help, {{label, v}});
}

Metrics::Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  Gauge g;
  g.impl_ = &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
  return g;
}

Metrics::Histogram Metrics::histogram(const std::string& name, const std::string& help,
                                      const std::vector<double>& buckets, const Labels& labels) {
  Histogram h;
  h.impl_ = &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry).Add(labels, buckets);
  return h;
}

namespace {

void append(std::ostringstream& out, const char* name, const char* type, const char* help, double value) {
  out << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n' << name << ' ' << value << '\n';
}

/// The standard process_* series, from /proc.
std::string process_text() {
  std::ostringstream out;
  out.precision(17);
  std::ifstream stat{"/proc/self/stat"};
  std::string line{std::istreambuf_iterator<char>{stat}, {}};
  // The command may contain spaces and brackets: fields are counted from after it.
  std::istringstream rest{line.substr(std::min(line.rfind(')') + 2, line.size()))};
  std::vector<std::string> f{std::istream_iterator<std::string>{rest}, {}};
  if (f.size() > 21) {
    const double tick = static_cast<double>(sysconf(_SC_CLK_TCK));
    double boot = 0;
    std::ifstream global{"/proc/stat"};
    for (std::string l; std::getline(global, l);) {
      if (l.starts_with("btime ")) boot = std::stod(l.substr(6));
    }
    append(out, "process_cpu_seconds_total", "counter", "User and system CPU time in seconds.",
           (std::stod(f[11]) + std::stod(f[12])) / tick);
    append(out, "process_start_time_seconds", "gauge", "Start time in seconds since the term.",
           boot + std::stod(f[19]) / tick);
    append(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", std::stod(f[20]));
    append(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
           std::stod(f[21]) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    append(out, "process_threads", "gauge", "Number of threads.", std::stod(f[17]));
  }
  std::error_code ec;
  append(out, "towline_log_lines_dropped_total", "counter", "Log lines that nobody read in time.",
         static_cast<double>(log::dropped()));
  const auto fds = std::distance(std::filesystem::directory_iterator{"/proc/self/fd", ec}, {});
  append(out, "process_open_fds", "gauge", "Number of open file descriptors.", static_cast<double>(fds));
  return out.str();
}

}  // namespace

std::string Metrics::text() const {
  return prometheus::TextSerializer{}.Serialize(impl_->registry.Collect()) + process_text();
}

}  // namespace towline
