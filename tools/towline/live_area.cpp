#include "tools/towline/live_area.hpp"

#include <absl/strings/str_cat.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

namespace towline::cli {

namespace {

const char* sgr(LiveArea::Colour c) {
  switch (c) {
    case LiveArea::Colour::good: return "\x1b[32m";
    case LiveArea::Colour::attention: return "\x1b[33m";
    case LiveArea::Colour::bad: return "\x1b[31m";
    case LiveArea::Colour::none: break;
  }
  return "";
}

}  // namespace

LiveArea::LiveArea() {
  const char* term = std::getenv("TERM");
  live_ = isatty(STDOUT_FILENO) != 0 && term != nullptr && std::strcmp(term, "dumb") != 0;
  const char* no_color = std::getenv("NO_COLOR");
  colours_ = no_color == nullptr || *no_color == '\0';
}

void LiveArea::draw(const std::vector<Line>& lines) {
  if (!live_) return;
  winsize size{};
  const std::size_t width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  std::string out;
  if (drawn_ > 0) absl::StrAppend(&out, "\x1b[", drawn_, "A");
  out += "\r\x1b[J";
  for (const auto& line : lines) {
    const char* colour = colours_ ? sgr(line.colour) : "";
    absl::StrAppend(&out, colour, line.text.substr(0, width - 1), *colour != '\0' ? "\x1b[0m" : "", "\n");
  }
  drawn_ = lines.size();
  std::cout << out << std::flush;
}

void LiveArea::leave() { drawn_ = 0; }

}  // namespace towline::cli
