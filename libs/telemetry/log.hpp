// Structured log: one line per record, as text, logfmt or JSON, on standard error. Thread safe. It never waits for its
// reader: lines that a full pipe does not take are dropped and counted, and the log says so when there is room again.
#pragma once
#include <absl/status/status.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

#include "libs/base/bytes.hpp"
#include "libs/eth/types.hpp"

namespace towline::log {

enum class Level { trace, debug, info, warn, error };
enum class Format { text, logfmt, json };

struct Field {
  std::string key;
  std::string value;
  bool quoted = true;  // a JSON string; false: a number or boolean
};

inline Field kv(std::string key, std::string value) { return {std::move(key), std::move(value), true}; }
inline Field kv(std::string key, const char* value) { return {std::move(key), value, true}; }
inline Field kv(std::string key, absl::string_view value) { return {std::move(key), std::string{value}, true}; }
inline Field kv(std::string key, bool value) { return {std::move(key), value ? "true" : "false", false}; }
template <class N>
requires std::is_arithmetic_v<N> Field kv(std::string key, N value) {
  return {std::move(key), std::to_string(value), false};
}
inline Field kv(std::string key, const absl::Status& s) { return {std::move(key), s.ToString(), true}; }
inline Field kv(std::string key, const eth::BlockId& b) { return {std::move(key), eth::to_string(b), true}; }

/// "info" -> Level::info; false if there is no such level or format.
bool parse(const std::string& text, Level& out);
bool parse(const std::string& text, Format& out);

void init(Level level, Format format);
/// The number of lines that were dropped so far.
std::uint64_t dropped();
void write(Level level, absl::string_view message, std::span<const Field> fields);
inline void write(Level level, absl::string_view message, std::initializer_list<Field> fields) {
  write(level, message, std::span{fields.begin(), fields.size()});
}

inline void debug(absl::string_view m, std::initializer_list<Field> f = {}) { write(Level::debug, m, f); }
inline void info(absl::string_view m, std::initializer_list<Field> f = {}) { write(Level::info, m, f); }
inline void warn(absl::string_view m, std::initializer_list<Field> f = {}) { write(Level::warn, m, f); }
inline void error(absl::string_view m, std::initializer_list<Field> f = {}) { write(Level::error, m, f); }

}  // namespace towline::log
