#include "tools/towline/live_area.hpp"

#include <absl/strings/str_cat.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

namespace towline::cli {

LiveArea::LiveArea() {
  const char* term = std::getenv("TERM");
  live_ = isatty(STDOUT_FILENO) != 0 && term != nullptr && std::strcmp(term, "dumb") != 0;
}

void LiveArea::draw(const std::vector<std::string>& lines) {
  if (!live_) return;
  winsize size{};
  const std::size_t width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  std::string out;
  if (drawn_ > 0) absl::StrAppend(&out, "\x1b[", drawn_, "A");
  out += "\r\x1b[J";
  for (const auto& line : lines) absl::StrAppend(&out, line.substr(0, width - 1), "\n");
  drawn_ = lines.size();
  std::cout << out << std::flush;
}

void LiveArea::leave() { drawn_ = 0; }

}  // namespace towline::cli
