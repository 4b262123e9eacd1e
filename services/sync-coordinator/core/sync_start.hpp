// How an EL that is far behind gets to the source's head: block by block (import), by a sync of its own (elsync), or
// only after an operator restored a snapshot. Decides which way and why, tracks its progress, and ends it or gives it
// up. Pure.
//
// A sync of its own starts with one command, which is repeated with newer targets. The sync has ended when the EL
// answers VALID. An EL without peers cannot sync, so a sync that stands still is given up: then blocks are imported, or
// an operator is needed. Even then the command is repeated, because peers may still appear. An EL that executed no
// block is given blocks again before each of these commands, because it may have been restarted unseen.
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

/// The facts for a choice.
struct StartFacts {
  eth::BlockRef head;
  /// The head is the genesis block.
  bool empty = false;
  /// The block that the tow is heading for.
  eth::BlockRef goal;
  /// The target of an own sync: the highest block that a quorum calls safe or finalized; on a chain without such a
  /// block, the head that a majority has.
  std::optional<eth::BlockRef> target = {};
  std::optional<contract::ElSync> el_sync = {};
  std::optional<std::uint32_t> peers = {};
  std::string client = {};
  /// Changes with each restart of the EL.
  std::uint64_t session = 0;
};

class SyncStart {
 public:
  /// More blocks are imported only with --sync-start=import.
  static constexpr std::uint64_t kMostByImport = 500'000;
  /// Above this gap a sync of the EL's own is better, if the EL has peers.
  static constexpr std::uint64_t kFar = 10'000;
  /// Up to this gap blocks are imported, except into an empty EL with --sync-start=snapshot.
  static constexpr std::uint64_t kNear = 64;

  struct Options {
    StartMode mode = StartMode::automatic;
    /// How long a sync of the EL's own may stand still before it is given up.
    absl::Duration patience = absl::Minutes(1);
  };
  SyncStart() : SyncStart{Options{}} {}
  explicit SyncStart(const Options& o) : options_{o} {}

  /// The tow follows the source block by block, or is already there.
  struct Follow {};
  /// The EL is told to sync to `target` by itself.
  struct Begin {
    eth::BlockRef target;
    Status status;
  };
  /// No command. choose() is called again with each engine-driver state, at least once a second.
  struct Rest {
    Status status;
  };
  using Way = std::variant<Follow, Begin, Rest>;
  Way choose(const StartFacts& f, std::vector<Note>& notes, absl::Time now);

  /// The EL answered VALID: its own sync is over.
  std::optional<Note> on_synced(const eth::BlockId& head);
  /// The EL executes no block on its genesis in engine session `session`. Returns true if choose() has another way now.
  bool on_not_executed(std::uint64_t session);
  /// Follow{} was an attempt with an EL that executed no block. An operator is needed until it succeeds.
  bool tries() const;

  StartMode mode() const { return options_.mode; }
  /// "import", "elsync" or "snapshot", or empty if the EL is not far behind; and the reason.
  const std::string& way() const { return way_; }
  const std::string& reason() const { return reason_; }

 private:
  /// A sync of the EL's own.
  struct Run {
    std::string why;
    /// The EL's last reported progress; `moved` is when it last changed.
    std::uint64_t head = 0, steps = 0;
    absl::Time moved;
    /// When to repeat the command.
    absl::Time next = absl::InfinitePast();
    std::optional<eth::BlockId> target = {};
    bool given_up = false;
    /// Blocks were tried again since the last command.
    bool tried = false;
  };

  /// Why the EL should sync by itself; nullopt if it should not.
  std::optional<std::string> wants_el_sync(const StartFacts& f, std::uint64_t gap) const;
  Way run(const StartFacts& f, std::uint64_t gap, std::vector<Note>& notes, absl::Time now);
  Way command(const StartFacts& f, Status status, absl::Duration again, absl::Time now);
  /// Logs a new `way` once, with its first reason.
  void take(const char* way, std::string reason, std::vector<Note>& notes);
  void forget_way();

  const Options options_;
  std::optional<Run> running_;
  /// The engine session in which the EL executes no block on its genesis.
  std::optional<std::uint64_t> executes_nothing_;
  std::string way_, reason_;
};

}  // namespace towline::coordinator
