// The last lines of a terminal, drawn over and over. Not a terminal: draws nothing.
#pragma once
#include <string>
#include <vector>

namespace towline::cli {

class LiveArea {
 public:
  enum class Colour { none, good, attention, bad };
  struct Line {
    std::string text;
    Colour colour = Colour::none;
  };

  LiveArea();
  ~LiveArea() { leave(); }
  LiveArea(const LiveArea&) = delete;
  LiveArea& operator=(const LiveArea&) = delete;

  /// Standard output is a terminal.
  bool live() const { return live_; }
  /// Replaces what was drawn last; lines are cut at the terminal's width. Colours are left out where NO_COLOR is set.
  void draw(const std::vector<Line>& lines);
  /// What was drawn stays where it is; what is written next comes below.
  void leave();

 private:
  bool live_ = false, colours_ = false;
  std::size_t drawn_ = 0;
};

}  // namespace towline::cli
