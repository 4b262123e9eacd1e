// One import of a range that passed the gate: payloads in, newPayload and forkchoice updates out, until the tip is the
// head or something ends it. Lives for one command on the writer's thread.
#pragma once
#include "services/engine-driver/actors/writer.hpp"
#include "services/engine-driver/core/rates.hpp"

namespace towline::driver {

class Writer::RangeImport {
 public:
  /// `el`: the labels that the command was admitted with; `stream`: the range's payloads. The references must outlive
  /// this.
  RangeImport(Writer& writer, const contract::ImportRange& range, const contract::Labels& el,
              const std::optional<Hash32>& ours_above_parent, std::unique_ptr<PayloadStream> stream,
              const Cancelled& cancelled, const OnProgress& on_progress);
  contract::CommandResult run();

 private:
  /// Each of these returns how the command ends, or nullopt: go on with the next payload.
  std::optional<contract::CommandResult> on_broken_stream(const absl::Status& why);
  std::optional<contract::CommandResult> on_payload(const PreparedPayload& payload);
  std::optional<contract::CommandResult> on_valid(const PreparedPayload& payload);
  std::optional<contract::CommandResult> move_head(contract::Forkchoice f);

  /// VALID, and the head is where it was: an EL that calls blocks above its head canonical, see core/twin.hpp.
  bool stayed(const std::optional<contract::CommandResult>& update) const;
  /// ... and it is an op-geth that has not moved since it was lost or came back lower, and that stands so for a while.
  bool needs_twins();
  void lead_from_the_start();
  /// Whatever ends the import, what was imported becomes the head: the blocks would be lost with the EL's memory.
  contract::CommandResult leave(contract::CommandResult r);
  void tell(absl::Time now);

  Writer& writer_;
  const contract::ImportRange range_;
  const contract::Labels el_;
  const Cancelled& cancelled_;
  const OnProgress& on_progress_;
  ImportPlan plan_;
  std::unique_ptr<PayloadStream> stream_;
  int stream_tries_ = 0;
  /// The EL is led through twins now; it is tried once in a command.
  bool leading_ = false;
  bool was_led_ = false;
  contract::ImportProgress progress_;
  Rates rates_;
  const absl::Time started_;
  absl::Time told_;
  Metrics::Counter blocks_total_;
  Metrics::Counter gas_total_;
};

}  // namespace towline::driver
