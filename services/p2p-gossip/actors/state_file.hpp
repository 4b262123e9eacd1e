// Small files that outlive the process: written whole or not at all.
#pragma once
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace towline::gossip {

/// NOT_FOUND: there is none. INVALID_ARGUMENT: it cannot be read.
inline absl::StatusOr<std::string> read_state_file(const std::string& path) {
  if (!std::filesystem::exists(path)) return absl::NotFoundError(absl::StrCat("there is no ", path));
  std::ifstream in{path};
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return absl::InvalidArgumentError(absl::StrCat("cannot read ", path));
  return text.str();
}

/// UNAVAILABLE: it cannot be written; the old one is still there.
inline absl::Status write_state_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".new";
  {
    std::ofstream out{temporary};
    out << text;
    if (!out.flush()) return absl::UnavailableError(absl::StrCat("cannot write ", temporary));
  }
  std::error_code ec;
  std::filesystem::rename(temporary, path, ec);
  return ec ? absl::UnavailableError(absl::StrCat("cannot write ", path)) : absl::OkStatus();
}

}  // namespace towline::gossip
