// One call for the payloads of a range, from its first header to its last body. Windows of headers are proven while the
// bodies of the previous window are fetched; bodies come in batches and are written in order. Events in, effects out.
// Pure.
#pragma once
#include <map>
#include <variant>

#include "services/remote-fetcher/core/body_window.hpp"
#include "services/remote-fetcher/core/window_proof.hpp"

namespace towline::fetcher {

class RangeSession {
 public:
  /// The number of proven headers held at once. A longer range is cut at blocks that a majority has: first a small
  /// window, which is proven soon, then large ones.
  static constexpr std::uint64_t kWindow = 8192, kFirstWindow = 2048;

  /// Blocks parent+1 .. tip.
  RangeSession(const eth::BlockId& parent, const eth::BlockId& tip) : parent_{parent}, tip_{tip} {}

  /// Ask for the majority's block at the border between two windows; on_border().
  struct AskBorder {
    std::uint64_t number = 0;
  };
  /// Ask for headers kept from an earlier attempt at this range; on_kept().
  struct AskKept {
    std::uint64_t first = 0, last = 0;
  };
  /// Ask for a batch of bodies; on_bodies().
  struct AskBodies {
    std::uint64_t id = 0;
    ProvenHeaders headers;
    BodyWindow::Batch batch;
  };
  /// Write payloads to the reader; on_written().
  struct Write {
    std::vector<ServedPtr> payloads;
  };
  /// Release the memory of a batch.
  struct Free {
    std::uint64_t id = 0;
  };
  /// Keep the headers of a failed proof for another attempt.
  struct Keep {
    std::vector<HashedHeader> headers;
  };
  /// The sources disagree about a border: the headers of the whole range are fetched first, from its tip down.
  struct NoBorder {
    absl::Status why;
    eth::BlockId from;
  };
  struct End {
    absl::Status status;
  };
  using Effect = std::variant<AskBorder, AskKept, WindowProof::AskHeaders, WindowProof::AskGap, WindowProof::Judge,
                              AskBodies, Write, Free, Keep, NoBorder, End>;
  using Effects = std::vector<Effect>;

  /// `lines`: the number of batches of bodies in flight.
  Effects start(std::size_t lines);
  Effects on_border(const absl::StatusOr<eth::BlockId>& border);
  Effects on_kept(std::vector<HashedHeader> kept);
  Effects on_headers(WindowProof::Headers got);
  Effects on_gap(absl::StatusOr<WindowProof::Closed> got);
  Effects on_judged(const absl::Status& st);
  Effects on_bodies(std::uint64_t id, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// The reader has room for more.
  Effects on_written();
  /// The caller is gone: only headers to keep and the end are still returned.
  Effects on_gone();

 private:
  struct Range {
    eth::BlockId from, to;
  };
  void prove_from(const eth::BlockId& from, std::uint64_t width);
  void prove(const Range& range);
  /// Proves the next stretch on the way down from the tip.
  void walk();
  void proven(const ProvenHeaders& headers);
  void not_proven(const absl::Status& why);
  void begin_bodies(ProvenHeaders headers);
  void end(absl::Status st);
  /// Does everything that is possible now.
  Effects go_on();

  const eth::BlockId parent_, tip_;
  std::size_t lines_ = 1;
  Effects out_;
  bool ended_ = false;
  /// The range being proven; while proof_ is empty, its kept headers are awaited.
  std::optional<Range> range_;
  std::optional<WindowProof> proof_;
  /// The window that waits for its border.
  eth::BlockId border_from_;
  std::uint64_t border_ = 0;
  /// Borders found by walking down from the tip, when the sources disagree.
  std::map<std::uint64_t, Hash32> borders_;
  /// While walking down: the block from which to continue.
  std::optional<eth::BlockId> walking_;

  std::optional<BodyWindow> bodies_;
  /// A proven window that waits for the bodies of the previous one; or why it could not be proven.
  ProvenHeaders ready_;
  absl::Status failure_;
  struct Asked {
    BodyWindow::Batch batch;
  };
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, Asked> asked_;
  /// Fetched batches that hold memory, by the position where they begin.
  std::map<std::size_t, std::uint64_t> held_;
  /// The batch that is being written.
  std::optional<std::uint64_t> writing_;
};

}  // namespace towline::fetcher
