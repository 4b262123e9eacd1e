// The last lines of a terminal, which are redrawn in place. Without a terminal it draws nothing.
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

  /// Whether standard output is a terminal.
  bool live() const { return live_; }
  /// Replaces the last drawing; lines are cut at the terminal's width. No colours if NO_COLOR is set.
  void draw(const std::vector<Line>& lines);
  /// Keeps the last drawing; later output goes below it.
  void leave();

 private:
  bool live_ = false, colours_ = false;
  std::size_t drawn_ = 0;
};

}  // namespace towline::cli
