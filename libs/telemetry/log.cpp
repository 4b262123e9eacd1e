#include "libs/telemetry/log.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace towline::log {
namespace {

constexpr const char* kLevels[] = {"trace", "debug", "info", "warn", "error"};
std::atomic<Level> g_level{Level::info};
std::atomic<Format> g_format{Format::text};

bool has_control(absl::string_view v) {
  return std::any_of(v.begin(), v.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// For logfmt and text: quoted if it contains a space, a quote, or a character that would break the line.
std::string quoted_if_needed(const std::string& v) {
  if (!v.empty() && v.find_first_of(" \"=") == std::string::npos && !has_control(v)) return v;
  return nlohmann::json(v).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_string(absl::string_view v) {
  return nlohmann::json(std::string{v}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

bool parse(const std::string& text, Level& out) {
  for (int i = 0; i < 5; ++i) {
    if (text == kLevels[i]) {
      out = static_cast<Level>(i);
      return true;
    }
  }
  return false;
}

bool parse(const std::string& text, Format& out) {
  if (text == "text") out = Format::text;
  else if (text == "logfmt") out = Format::logfmt;
  else if (text == "json") out = Format::json;
  else return false;
  return true;
}

void init(Level level, Format format) {
  g_level = level;
  g_format = format;
}

namespace {

/// Writes to standard error without waiting for its reader.
class Output {
 public:
  void write(const std::string& line);
  std::uint64_t dropped() const { return dropped_; }

 private:
  static bool put(absl::string_view text);
  void drop() {
    ++dropped_;
    ++untold_;
  }
  std::mutex mutex_;
  std::atomic<std::uint64_t> dropped_{0};
  std::uint64_t untold_ = 0;
  bool torn_ = false;  // the last line was cut: the next one begins with a newline
};

Output g_output;

std::string format(Level level, absl::string_view message, std::span<const Field> fields) {
  const char* name = kLevels[static_cast<int>(level)];
  const std::string t = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line;
  switch (g_format.load(std::memory_order_relaxed)) {
    case Format::json:
      line = absl::StrCat("{\"t\":\"", t, "\",\"lvl\":\"", name, "\",\"msg\":", json_string(message));
      for (const auto& f : fields)
        absl::StrAppend(&line, ",", json_string(f.key), ":", f.quoted ? json_string(f.value) : f.value);
      line += "}\n";
      break;
    case Format::logfmt:
      line = absl::StrCat("t=", t, " lvl=", name, " msg=", quoted_if_needed(std::string{message}));
      for (const auto& f : fields) absl::StrAppend(&line, " ", f.key, "=", quoted_if_needed(f.value));
      line += '\n';
      break;
    case Format::text:
      line = absl::StrCat(t, " ", level == Level::info || level == Level::warn ? " " : "", name, "  ",
                          has_control(message) ? json_string(message) : std::string{message});
      for (const auto& f : fields) absl::StrAppend(&line, "  ", f.key, "=", quoted_if_needed(f.value));
      line += '\n';
      break;
  }
  return line;
}

/// False: the write would have blocked, or there is no reader any more. `text` is so small that a writable pipe takes
/// it whole.
bool Output::put(absl::string_view text) {
  pollfd p{STDERR_FILENO, POLLOUT, 0};
  if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) return false;
  return ::write(STDERR_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void Output::write(const std::string& line) {
  const std::lock_guard lock{mutex_};
  if (torn_ && !put("\n")) return drop();
  torn_ = false;
  if (untold_ > 0) {
    const Field lines[] = {kv("lines", untold_)};
    if (!put(format(Level::warn, "log lines were dropped because nobody read them", lines))) return drop();
    untold_ = 0;
  }
  // A line of at most PIPE_BUF bytes is one write call, so lines of several processes do not mix.
  for (std::size_t at = 0; at < line.size(); at += PIPE_BUF) {
    if (put(absl::string_view{line}.substr(at, PIPE_BUF))) continue;
    torn_ = at > 0;
    return drop();
  }
}

}  // namespace

std::uint64_t dropped() { return g_output.dropped(); }

void write(Level level, absl::string_view message, std::span<const Field> fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  g_output.write(format(level, message, fields));
}

}  // namespace towline::log
