// How the EL gets to the source's head while it is far below: block by block (import), by a sync of its own (elsync),
// or not before somebody gave it a snapshot. Which of them, why, how far it is, when it is over, and when it is given
// up. Pure.
//
// A sync of its own is begun by one command and repeated with newer targets; it has ended when the EL says VALID to
// one. Nobody can make an EL sync that has no peers: one that stands still is given up. Then blocks are imported, or an
// operator is asked for, and the command is repeated all the same: peers may still come.
#pragma once
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/engine.hpp"
#include "services/sync-coordinator/core/decision_log.hpp"
#include "services/sync-coordinator/core/tow_status.hpp"

namespace towline::coordinator {

/// --sync-start
enum class StartMode { automatic, snapshot, elsync, import };
inline constexpr StartMode kStartModes[] = {StartMode::automatic, StartMode::snapshot, StartMode::elsync,
                                            StartMode::import};
const char* name(StartMode m);
std::optional<StartMode> start_mode_of(absl::string_view text);

/// What is known when it is chosen.
struct StartFacts {
  eth::BlockRef head;
  /// The head is the genesis.
  bool empty = false;
  /// Where the tow goes.
  eth::BlockRef goal;
  /// The highest block that a quorum of the sources calls safe or final, or at least most of them have.
  std::optional<eth::BlockRef> target = {};
  std::optional<contract::ElSync> el_sync = {};
  std::optional<std::uint32_t> peers = {};
  std::string client = {};
  /// Another one after each restart of the EL.
  std::uint64_t session = 0;
};

class SyncStart {
 public:
  /// More blocks are imported only where `import` was named.
  static constexpr std::uint64_t kMostByImport = 500'000;
  /// From here on a sync of the EL's own is the better way, if it has peers.
  static constexpr std::uint64_t kFar = 10'000;
  /// Fewer are always imported.
  static constexpr std::uint64_t kNear = 64;

  struct Options {
    StartMode mode = StartMode::automatic;
    /// How long a sync of the EL's own may stand still.
    absl::Duration patience = absl::Minutes(1);
  };
  SyncStart() : SyncStart{Options{}} {}
  explicit SyncStart(const Options& o) : options_{o} {}

  /// As if it were not far: to the source's head block by block, or nothing is to do.
  struct Follow {};
  /// The EL is told to sync to `target` by itself.
  struct Begin {
    eth::BlockRef target;
    Status status;
  };
  /// Nothing is commanded. choose() is asked again with each state of engine-driver, once a second at least.
  struct Rest {
    Status status;
  };
  using Way = std::variant<Follow, Begin, Rest>;
  Way choose(const StartFacts& f, std::vector<Note>& notes, absl::Time now);

  /// The EL has said VALID: its own sync is over.
  std::optional<Note> on_synced(const eth::BlockId& head);
  /// The EL executes no block on its genesis, in session `session`. True: choose() knows another way now.
  bool on_not_executed(std::uint64_t session);

  StartMode mode() const { return options_.mode; }
  /// "import", "elsync", "snapshot", or empty where the EL is not far below; and why.
  const std::string& way() const { return way_; }
  const std::string& reason() const { return reason_; }

 private:
  /// A sync of the EL's own.
  struct Run {
    std::string why;
    /// What the EL has shown of it last, and since when.
    std::uint64_t head = 0, steps = 0;
    absl::Time moved;
    /// When the command is given again.
    absl::Time next = absl::InfinitePast();
    std::optional<eth::BlockId> target = {};
    bool given_up = false;
  };

  /// Why the EL is to sync by itself; nullopt: it is not.
  std::optional<std::string> wants_el_sync(const StartFacts& f, std::uint64_t gap) const;
  Way run(const StartFacts& f, std::uint64_t gap, std::vector<Note>& notes, absl::Time now);
  Way command(const StartFacts& f, Status status, absl::Duration again, absl::Time now);
  /// `way` is told once, with the first of its reasons.
  void take(const char* way, std::string reason, std::vector<Note>& notes);
  void forget_way();

  const Options options_;
  std::optional<Run> running_;
  /// The EL's life in which it executes no block on its genesis.
  std::optional<std::uint64_t> executes_nothing_;
  std::string way_, reason_;
};

}  // namespace towline::coordinator
