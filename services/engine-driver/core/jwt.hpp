// The Engine API's token (execution-apis, authentication): HS256 over {"iat": now}. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

using JwtSecret = FixedBytes<32>;

/// From a secret file's text: 64 hex digits, an optional 0x, white space around. The message never holds the text.
absl::StatusOr<JwtSecret> parse_jwt_secret(const std::string& text);
/// A token that says it was made at `iat` (Unix seconds); valid for 60 s around the EL's clock.
std::string make_jwt(const JwtSecret& secret, std::int64_t iat);

}  // namespace towline::driver
