// One range of payloads, shared by several remote-fetchers: cut into windows, one of them in flight at each replica,
// given to the importer in order. A replica that fails, is silent or slow loses its window to another one, which goes
// on behind the last block that came; one that appears gets the rest of somebody's window. Events go in, what is to be
// done comes out. Pure.
//
// A window ends where a majority of the trust groups and all sources that answer have one block (a border), and each
// window is pinned to the blocks at both its ends, so all of them are one chain. While there is one replica, or no
// border, it gets the whole rest, up to the pinned tip; that is cut later. The whole may not be larger than kMaxBytes
// and one payload a replica: who is ahead waits.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "services/engine-driver/core/effects.hpp"
#include "services/engine-driver/core/replicas.hpp"

namespace towline::driver {

/// What sources have at some heights, each asked for itself.
using Heights = std::vector<std::map<std::uint64_t, Hash32>>;
/// Where all that have a block have the same one.
std::map<std::uint64_t, Hash32> agreed(const Heights& sources);

class SharedRange {
 public:
  static constexpr std::size_t kMaxBytes = 32U << 20U;
  /// Borders are multiples of it; a shorter range is not cut.
  static constexpr std::uint64_t kStep = 64;
  static constexpr std::uint64_t kFirstWindow = 2 * kStep, kMaxWindow = 16 * kStep;
  /// How long a window shall take a replica.
  static constexpr absl::Duration kWindowTime = absl::Seconds(4);
  /// Borders that are asked for at once.
  static constexpr std::size_t kBorders = 32;
  /// How long a range waits for its first borders before a replica gets all of it.
  static constexpr absl::Duration kBorderPatience = absl::Seconds(3);
  /// How long a replica that is waited for may give nothing, or less than a quarter of what the best one gives, before
  /// another takes over; twice as long each time.
  static constexpr absl::Duration kSlow = absl::Seconds(5);

  /// parent+1 .. tip. `replicas` outlives it.
  SharedRange(Replicas& replicas, const eth::BlockId& parent, const eth::BlockId& tip);

  /// Opens a stream of from+1 .. to at a replica: on_payload(), on_end() with its number.
  struct Open {
    std::uint64_t stream = 0;
    std::string replica;
    eth::BlockId from, to;
  };
  /// The next payload of a stream is wanted.
  struct Pull {
    std::uint64_t stream = 0;
  };
  /// Nothing more is wanted of it.
  struct Close {
    std::uint64_t stream = 0;
  };
  /// on_borders()
  struct AskBorders {
    std::string replica;
    std::vector<std::uint64_t> numbers;
  };
  /// To the importer, who asked for one. `replica`: whose it is; empty: an error.
  struct Give {
    NextPayload::Answer answer;
    std::string replica;
  };
  /// A line for the log: a replica lost its window, or a border was wrong.
  struct Note {
    std::string what, replica, why;
  };
  using Effect = std::variant<Open, Pull, Close, AskBorders, Give, Note>;
  using Effects = std::vector<Effect>;

  Effects start(absl::Time now);
  /// The importer wants the next payload.
  Effects on_next(absl::Time now);
  Effects on_payload(std::uint64_t stream, PreparedPayload payload, absl::Time now);
  /// OUT_OF_RANGE: it ended; other errors as in payload_source.proto.
  Effects on_end(std::uint64_t stream, const absl::Status& why, absl::Time now);
  Effects on_borders(const absl::StatusOr<Heights>& sources, absl::Time now);
  /// Now and then, and when the replicas have changed.
  Effects on_tick(absl::Time now);

  /// Of payloads that wait for the importer.
  std::size_t held_bytes() const { return bytes_; }
  std::size_t parts() const { return parts_.size(); }

 private:
  struct Stream {
    std::uint64_t id = 0;
    std::string replica;
    /// Where it was asked to end; the part may have been cut since.
    eth::BlockId to;
    bool pulled = false;
    absl::Time opened;
    std::uint64_t blocks = 0;
    /// What it has given since, while it was waited for.
    absl::Time watched;
    std::uint64_t given = 0;
  };
  struct Ready {
    PreparedPayload payload;
    std::string replica;
  };
  /// A stretch of the range. They follow each other; the first is what the importer is in.
  struct Part {
    /// The last block that has come, and the last one of the part.
    eth::BlockId last, end;
    std::deque<Ready> ready;
    std::optional<Stream> stream;
    int taken_over = 0;
    /// Since a block of it came last: who was tried in vain, and of those who says that there are no such blocks.
    std::set<std::string> tried, refused_by;
    absl::Status last_failure, refusal;
    /// It cannot be had: told when the importer is there.
    absl::Status failure;
    bool complete() const { return last.number >= end.number; }
    std::uint64_t rest() const { return end.number - last.number; }
  };
  using Parts = std::list<Part>;

  Effects go_on(absl::Time now);
  void give();
  void assign(absl::Time now);
  /// The first part has nobody: somebody who is further ahead goes back for it, at once if it waits for the importer.
  void fetch_the_first(absl::Time now);
  /// The part that `replica` shall fetch; end(): none. It may be cut off from another one's.
  Parts::iterator work_for(const std::string& replica, absl::Time now);
  Parts::iterator cut_from_another(absl::Time now);
  /// The first border at or above `number` inside of the part.
  std::optional<eth::BlockId> border_in(const Part& p, std::uint64_t number) const;
  /// Not larger than the replica's window, where that can be had. False: the borders are waited for.
  bool bound(Parts::iterator p, const std::string& replica, absl::Time now);
  void cut(Parts::iterator p, const eth::BlockId& border);
  void open(Part& p, const std::string& replica, absl::Time now);
  /// It has given all that it was asked for, and its end comes: nobody waits for it.
  void finish(Part& p);
  void close(Part& p);
  std::uint64_t window_of(const std::string& replica) const;
  double speed_of(const Stream& s, absl::Time now) const;
  void pull(absl::Time now);
  void ask_for_borders(absl::Time now);
  void take_over_from_the_slow(absl::Time now);
  bool waits_for_borders(absl::Time now) const;
  std::vector<std::string> idle(absl::Time now) const;
  Part* part_of(std::uint64_t stream);
  /// Each replica was tried in vain, or two say that there are no such blocks.
  void give_up_what_nobody_has();
  /// A border is not on the way to the tip: what lies behind `p` is fetched again, and nothing is cut any more.
  void without_borders(Part& p, const eth::BlockId& end);

  Replicas& replicas_;
  const eth::BlockId tip_;
  Effects out_;
  Parts parts_;
  bool wanted_ = false;
  std::size_t bytes_ = 0;
  std::uint64_t last_stream_ = 0;
  /// Since when nobody fetches the first part.
  std::optional<absl::Time> first_waits_;
  /// For the size of windows.
  std::uint64_t blocks_seen_ = 0, bytes_seen_ = 0;

  std::map<std::uint64_t, Hash32> borders_;
  /// All up to here were asked for.
  std::uint64_t asked_up_to_, asked_from_ = 0;
  std::optional<absl::Time> asking_since_;
  absl::Time ask_again_ = absl::InfinitePast();
  bool cuts_ = true;
};

}  // namespace towline::driver
