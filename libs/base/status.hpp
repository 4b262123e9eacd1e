// Two macros that Abseil 20220623 lacks. Both return from the enclosing function on error.
#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <utility>

#define TOWLINE_RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                          \
    if (::absl::Status towline_status_ = (expr); !towline_status_.ok()) return towline_status_; \
  } while (false)

#define TOWLINE_CONCAT_INNER_(a, b) a##b
#define TOWLINE_CONCAT_(a, b) TOWLINE_CONCAT_INNER_(a, b)

/// TOWLINE_ASSIGN_OR_RETURN(auto x, f()): x is the value, or the error is returned.
#define TOWLINE_ASSIGN_OR_RETURN(lhs, expr) \
  TOWLINE_ASSIGN_OR_RETURN_(TOWLINE_CONCAT_(towline_statusor_, __LINE__), lhs, expr)
// `lhs` may declare a variable, so it cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define TOWLINE_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return std::move(tmp).status();  \
  lhs = *std::move(tmp)
// NOLINTEND(bugprone-macro-parentheses)
