#include "services/engine-driver/core/jwt.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/hmac.h>

#include "libs/base/hex.hpp"

namespace towline::driver {
namespace {

std::string base64url(absl::string_view v) {
  std::string out = absl::WebSafeBase64Escape(v);
  while (!out.empty() && out.back() == '=') out.pop_back();
  return out;
}

}  // namespace

absl::StatusOr<JwtSecret> parse_jwt_secret(const std::string& text) {
  absl::string_view digits = absl::StripAsciiWhitespace(text);
  if (absl::StartsWithIgnoreCase(digits, "0x")) digits.remove_prefix(2);
  if (digits.empty()) return absl::InvalidArgumentError("the JWT secret file is empty; it must hold 64 hex digits");
  if (digits.size() != 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("the JWT secret has ", digits.size(),
                     " characters; it must be 64 hex digits (32 bytes), the same as the EL's"));
  }
  auto secret = parse_fixed_hex<32>(absl::StrCat("0x", digits));
  if (!secret.ok()) return absl::InvalidArgumentError("the JWT secret is not hexadecimal; it must be 64 hex digits");
  return *secret;
}

std::string make_jwt(const JwtSecret& secret, std::int64_t iat) {
  const std::string head = base64url(R"({"alg":"HS256","typ":"JWT"})");
  const std::string body = base64url(absl::StrCat("{\"iat\":", iat, "}"));
  const std::string text = absl::StrCat(head, ".", body);
  unsigned char mac[32];
  unsigned int size = sizeof mac;
  HMAC(EVP_sha256(), secret.data(), 32, as_bytes(text).data(), text.size(), mac, &size);
  return absl::StrCat(text, ".", base64url(towline::to_string(BytesView{mac, size})));
}

}  // namespace towline::driver
