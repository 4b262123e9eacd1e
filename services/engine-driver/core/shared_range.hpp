// One range of payloads, shared by several remote-fetchers. The range is cut into windows; each replica serves one
// window at a time, and the importer gets the payloads in order. A replica that fails, stays silent or is slow loses
// its window to another one, which continues after the last delivered block. A new replica gets a part of another one's
// window. Events in, effects out. Pure.
//
// A window ends at a border: a height at which a majority of the trust groups and all answering sources have the same
// block. Each window is pinned to the blocks at both of its ends, so that all windows form one chain. With a single
// replica, or without a border, a replica gets the whole rest up to the pinned tip, which may be cut later. Waiting
// payloads take at most kMaxBytes plus one payload per replica: replicas that are ahead wait.
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

/// The blocks of each source at some heights.
using Heights = std::vector<std::map<std::uint64_t, Hash32>>;
/// The heights at which all sources that have a block have the same one.
std::map<std::uint64_t, Hash32> agreed(const Heights& sources);

class SharedRange {
 public:
  static constexpr std::size_t kMaxBytes = 16U << 20U;
  /// Borders are multiples of kStep; a range of up to twice as many blocks is not cut.
  static constexpr std::uint64_t kStep = 64;
  static constexpr std::uint64_t kFirstWindow = 2 * kStep, kMaxWindow = 16 * kStep;
  /// The time that a window should take a replica.
  static constexpr absl::Duration kWindowTime = absl::Seconds(4);
  /// Borders per request.
  static constexpr std::size_t kBorders = 32;
  /// How long the range waits for borders before a replica gets all of the rest.
  static constexpr absl::Duration kBorderPatience = absl::Seconds(3);
  /// How long a replica may deliver nothing, or less than a quarter of the best speed, before another replica takes
  /// over. The time doubles with each takeover of a part.
  static constexpr absl::Duration kSlow = absl::Seconds(5);

  /// Blocks parent+1 .. tip. `replicas` must outlive the range.
  SharedRange(Replicas& replicas, const eth::BlockId& parent, const eth::BlockId& tip);

  /// Open a stream of blocks from+1 .. to at a replica; on_payload() and on_end() get its number.
  struct Open {
    std::uint64_t stream = 0;
    std::string replica;
    eth::BlockId from, to;
  };
  /// Request the next payload of the stream.
  struct Pull {
    std::uint64_t stream = 0;
  };
  /// Close the stream.
  struct Close {
    std::uint64_t stream = 0;
  };
  /// Ask the replica for borders; the answer goes to on_borders().
  struct AskBorders {
    std::string replica;
    std::vector<std::uint64_t> numbers;
  };
  /// Answer the importer's request. `replica`: who served the payload; empty for an error.
  struct Give {
    NextPayload::Answer answer;
    std::string replica;
  };
  /// A log line: a replica lost its window, or a border was wrong.
  struct Note {
    std::string what, replica, why;
  };
  using Effect = std::variant<Open, Pull, Close, AskBorders, Give, Note>;
  using Effects = std::vector<Effect>;

  Effects start(absl::Time now);
  /// The importer requests the next payload.
  Effects on_next(absl::Time now);
  Effects on_payload(std::uint64_t stream, PreparedPayload payload, absl::Time now);
  /// OUT_OF_RANGE: the stream is complete. Other errors are those of payload_source.proto.
  Effects on_end(std::uint64_t stream, const absl::Status& why, absl::Time now);
  Effects on_borders(const absl::StatusOr<Heights>& sources, absl::Time now);
  /// To be called periodically, and when the replicas have changed.
  Effects on_tick(absl::Time now);

  /// Bytes of the payloads that wait for the importer.
  std::size_t held_bytes() const { return bytes_; }
  std::size_t parts() const { return parts_.size(); }

 private:
  struct Stream {
    std::uint64_t id = 0;
    std::string replica;
    /// The requested end; the part may have been cut since.
    eth::BlockId to;
    bool pulled = false;
    absl::Time opened;
    std::uint64_t blocks = 0;
    /// Payloads delivered since `watched`, while they were waited for.
    absl::Time watched;
    std::uint64_t given = 0;
  };
  struct Ready {
    PreparedPayload payload;
    std::string replica;
  };
  /// A contiguous stretch of the range. The importer is in the first part.
  struct Part {
    /// The last delivered block, and the last block of the part.
    eth::BlockId last, end;
    std::deque<Ready> ready;
    std::optional<Stream> stream;
    int taken_over = 0;
    /// Since the last delivered block: replicas that failed, and those of them that say that there are no such blocks.
    std::set<std::string> tried, refused_by;
    absl::Status last_failure, refusal;
    /// The part is not available; reported once the importer gets there.
    absl::Status failure;
    bool complete() const { return last.number >= end.number; }
    std::uint64_t rest() const { return end.number - last.number; }
  };
  using Parts = std::list<Part>;

  Effects go_on(absl::Time now);
  void give();
  void assign(absl::Time now);
  /// If no replica fetches the first part, a replica that is further ahead goes back for it, at once if it waits for
  /// the importer.
  void fetch_the_first(absl::Time now);
  /// The part that `replica` should fetch; end(): none. May cut off a piece of another replica's part.
  Parts::iterator work_for(const std::string& replica, absl::Time now);
  Parts::iterator cut_from_another(absl::Time now);
  /// The first border at or above `number` within the part.
  std::optional<eth::BlockId> border_in(const Part& p, std::uint64_t number) const;
  /// Cuts the part to the replica's window, if there is a border. False: wait for the borders.
  bool bound(Parts::iterator p, const std::string& replica, absl::Time now);
  void cut(Parts::iterator p, const eth::BlockId& border);
  void open(Part& p, const std::string& replica, absl::Time now);
  /// The stream delivered everything; its regular end is still pulled, and nothing waits for it.
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
  /// Fails parts that all listed replicas failed to serve, or that two of them refused.
  void give_up_what_nobody_has();
  /// A border is not on the way to the tip: fetch everything after `p` again, and cut no more.
  void without_borders(Part& p, const eth::BlockId& end);

  Replicas& replicas_;
  const eth::BlockId tip_;
  Effects out_;
  Parts parts_;
  bool wanted_ = false;
  std::size_t bytes_ = 0;
  std::uint64_t last_stream_ = 0;
  /// Since when no replica fetches the first part.
  std::optional<absl::Time> first_waits_;
  /// For the size of the windows.
  std::uint64_t blocks_seen_ = 0, bytes_seen_ = 0;

  std::map<std::uint64_t, Hash32> borders_;
  /// Borders up to here have been requested.
  std::uint64_t asked_up_to_, asked_from_ = 0;
  std::optional<absl::Time> asking_since_;
  absl::Time ask_again_ = absl::InfinitePast();
  bool cuts_ = true;
};

}  // namespace towline::driver
