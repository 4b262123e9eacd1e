#include "libs/wire/token.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace towline::wire {
namespace {

constexpr std::size_t kLeast = 32;
constexpr std::size_t kMost = 4096;

}  // namespace

absl::StatusOr<std::string> read_token(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", file, ": ", std::strerror(errno)));
  std::string text(kMost + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  const std::string token{absl::StripAsciiWhitespace(text)};
  if (token.size() < kLeast || text.size() > kMost || !std::all_of(token.begin(), token.end(), [](char c) {
        return absl::ascii_isgraph(static_cast<unsigned char>(c));
      }))
    return absl::InvalidArgumentError(
        absl::StrCat(file, " must hold one token of 32 or more visible characters; `openssl rand -hex 32` makes one"));
  return token;
}

absl::Status make_token(const std::string& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return absl::OkStatus();
  if (fd < 0) return absl::UnavailableError(absl::StrCat("cannot make ", file, ": ", std::strerror(errno)));
  std::string bytes(32, '\0');
  bool ok = getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  const std::string line = absl::BytesToHexString(bytes) + "\n";
  ok = ok && write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  ok = close(fd) == 0 && ok;
  if (ok) return absl::OkStatus();
  const std::string why = std::strerror(errno);
  unlink(file.c_str());
  return absl::UnavailableError(absl::StrCat("cannot write ", file, ": ", why));
}

}  // namespace towline::wire
