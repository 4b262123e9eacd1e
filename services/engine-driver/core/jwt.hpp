// The authentication token of the Engine API (execution-apis, authentication): HS256 over {"iat": now}. Pure.
#pragma once
#include <absl/status/statusor.h>

#include <string>

#include "libs/base/bytes.hpp"

namespace towline::driver {

using JwtSecret = FixedBytes<32>;

/// Parses a secret file: 64 hex digits, an optional 0x, surrounding white space. The error never quotes the text.
absl::StatusOr<JwtSecret> parse_jwt_secret(const std::string& text);
/// A token issued at `iat` (Unix seconds). The EL accepts it while its clock is within 60 s of `iat`.
std::string make_jwt(const JwtSecret& secret, std::int64_t iat);

}  // namespace towline::driver
