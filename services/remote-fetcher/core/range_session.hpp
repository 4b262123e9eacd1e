// One call for the payloads of a range, from its first header to its last body: windows of headers, each proven while
// the bodies of the one before travel, bodies in batches, written in order. Events go in, what is to be done comes out.
// Pure.
#pragma once
#include <map>
#include <variant>

#include "services/remote-fetcher/core/body_window.hpp"
#include "services/remote-fetcher/core/window_proof.hpp"

namespace towline::fetcher {

class RangeSession {
 public:
  /// Headers that are proven and held at once. A longer range is cut at blocks that most have: a first window that is
  /// soon proven, then large ones.
  static constexpr std::uint64_t kWindow = 8192, kFirstWindow = 2048;

  /// parent+1 .. tip.
  RangeSession(const eth::BlockId& parent, const eth::BlockId& tip) : parent_{parent}, tip_{tip} {}

  /// Which block do most have at a border between two windows? on_border()
  struct AskBorder {
    std::uint64_t number = 0;
  };
  /// Headers of an earlier try that are kept for this range: on_kept().
  struct AskKept {
    std::uint64_t first = 0, last = 0;
  };
  /// on_bodies()
  struct AskBodies {
    std::uint64_t id = 0;
    ProvenHeaders headers;
    BodyWindow::Batch batch;
  };
  /// Payloads for the reader: on_written().
  struct Write {
    std::vector<ServedPtr> payloads;
  };
  /// What a batch held in memory is free.
  struct Free {
    std::uint64_t id = 0;
  };
  /// Headers of a proof that failed, for another try.
  struct Keep {
    std::vector<HashedHeader> headers;
  };
  /// The sources do not agree on the way: the headers of the whole range come first, from its tip down.
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

  /// `lines`: how many batches of bodies are asked for at once.
  Effects start(std::size_t lines);
  Effects on_border(const absl::StatusOr<eth::BlockId>& border);
  Effects on_kept(std::vector<HashedHeader> kept);
  Effects on_headers(WindowProof::Headers got);
  Effects on_gap(absl::StatusOr<WindowProof::Closed> got);
  Effects on_judged(const absl::Status& st);
  Effects on_bodies(std::uint64_t id, absl::StatusOr<std::vector<ServedPtr>> got, std::size_t bytes);
  /// The reader has room for more.
  Effects on_written();
  /// The caller is gone: nothing more comes but what is to be kept.
  Effects on_gone();

 private:
  struct Range {
    eth::BlockId from, to;
  };
  void prove_from(const eth::BlockId& from, std::uint64_t width);
  void prove(const Range& range);
  /// The next stretch of the way down from the tip.
  void walk();
  void proven(const ProvenHeaders& headers);
  void not_proven(const absl::Status& why);
  void begin_bodies(ProvenHeaders headers);
  void end(absl::Status st);
  /// Whatever can go on now does.
  Effects go_on();

  const eth::BlockId parent_, tip_;
  std::size_t lines_ = 1;
  Effects out_;
  bool ended_ = false;
  /// What is being proven; without a proof its kept headers are asked for.
  std::optional<Range> range_;
  std::optional<WindowProof> proof_;
  /// The window that waits for its border.
  eth::BlockId border_from_;
  std::uint64_t border_ = 0;
  /// Of a range whose sources do not agree on the way: the tip's own.
  std::map<std::uint64_t, Hash32> borders_;
  /// While the way down is walked: where it goes on.
  std::optional<eth::BlockId> walking_;

  std::optional<BodyWindow> bodies_;
  /// Proven, and waits for the bodies of the window before; or why it cannot be.
  ProvenHeaders ready_;
  absl::Status failure_;
  struct Asked {
    BodyWindow::Batch batch;
  };
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, Asked> asked_;
  /// By where a batch begins: those that have come and hold memory.
  std::map<std::size_t, std::uint64_t> held_;
  /// The batch that is being written.
  std::optional<std::uint64_t> writing_;
};

}  // namespace towline::fetcher
