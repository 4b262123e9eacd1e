#include "services/p2p-gossip/key_file.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/base/hex.hpp"
#include "libs/crypto/openssl.hpp"

namespace towline::gossip {

absl::StatusOr<secp256k1::SecretKey> parse_key(absl::string_view text) {
  const absl::string_view digits = absl::StripPrefix(absl::StripAsciiWhitespace(text), "0x");
  const auto bytes = parse_hex(absl::StrCat("0x", digits));
  if (digits.size() != 64 || !bytes.ok()) return absl::InvalidArgumentError("is not a private key (64 hex digits)");
  return secp256k1::SecretKey::from(*bytes);
}

absl::StatusOr<secp256k1::SecretKey> read_or_make_key(const std::string& path) {
  const auto failed = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("--p2p.priv.path: ", path, ": ", what));
  };
  if (std::filesystem::exists(path)) {
    std::ifstream in{path};
    std::string text(200, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (in.bad() || (text.empty() && !in.eof())) return failed("cannot be read");
    auto key = parse_key(text);
    if (!key.ok()) return failed(key.status().message());
    return key;
  }
  auto key = secp256k1::SecretKey::from(crypto::random<32>().view());
  if (!key.ok()) return key.status();  // once in 2^128
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed(std::strerror(errno));
  std::string text;
  append_hex_digits(key->secret_bytes(), text);
  text += '\n';
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!written) return failed("cannot be written");
  return key;
}

}  // namespace towline::gossip
