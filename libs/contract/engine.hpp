// What an engine-driver reports of itself and its EL. Pure values.
#pragma once
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::contract {

/// The labels of an EL; absent: not set there.
struct Labels {
  std::optional<eth::BlockRef> unsafe;
  std::optional<eth::BlockRef> safe;
  std::optional<eth::BlockRef> finalized;
  bool operator==(const Labels&) const = default;
};

/// As EngineStatus in engine_driver.proto, which explains each.
enum class EngineStatus {
  starting,
  ready,
  unreachable,
  auth_failed,
  wrong_chain,
  syncing,
  invalid,
  not_an_engine,          // an ordinary RPC: no engine_ methods
  driven_elsewhere,       // its head moves without us: another consensus client drives it
  contradicts_finalized,  // it has another block than the confirmed finalized block at that height
  state_not_saved,        // engine-driver cannot write its own state: says nothing of the EL
};

/// False before the EL has answered, for an EL of another chain, an ordinary RPC, an EL that somebody else drives or
/// that contradicts the confirmed finalized block, and while our own state cannot be saved.
bool may_be_written_to(EngineStatus s);

/// Of the import that runs; rates are over the last seconds. `bytes`: of Engine API request bodies.
struct ImportProgress {
  eth::BlockId imported;
  eth::BlockId tip;
  std::uint64_t blocks = 0;
  std::uint64_t transactions = 0;
  std::uint64_t gas_used = 0;
  std::uint64_t bytes = 0;
  double elapsed_s = 0;
  double blocks_per_s = 0;
  double mgas_per_s = 0;
  bool operator==(const ImportProgress&) const = default;
};

/// A remote-fetcher that payloads come from.
struct Replica {
  std::string address;
  /// Payloads from it that were handed to the EL's writer, since the start.
  std::uint64_t blocks = 0;
  /// The configured name still leads to it.
  bool listed = true;
  /// Why it gets no work at the moment; empty: it may get some.
  std::string rests;
  bool operator==(const Replica&) const = default;
};

/// A sync of the EL's own, by its peers.
struct ElSync {
  /// The block that engine-driver last told the EL to sync to; absent: the EL syncs for another reason.
  std::optional<eth::BlockId> target;
  /// From eth_syncing; 0: not told.
  std::uint64_t current = 0;
  std::uint64_t highest = 0;
  /// Grows with each look at which eth_syncing told something new: progress without a block number.
  std::uint64_t steps = 0;
  bool operator==(const ElSync&) const = default;
};

/// As EngineState in engine_driver.proto.
struct EngineState {
  EngineStatus status = EngineStatus::starting;
  std::string reason = "the EL was not asked yet";
  Labels labels;
  /// The authority that the driver obeys, as kept on disk.
  std::string authority;
  std::uint64_t term = 0;
  /// The highest finalized block ever confirmed by a read back, as kept on disk.
  std::optional<eth::BlockId> confirmed_finalized;
  std::string client_version;
  bool can_rewind = false;
  /// The EL may be rewound on the word of a single trust group, which nobody confirms.
  bool rewind_for_single_source = false;
  eth::BlockId genesis;
  std::optional<ImportProgress> import;
  std::vector<Replica> replicas;
  std::optional<ElSync> el_sync;
  /// The number of the EL's peers; absent: not known.
  std::optional<std::uint32_t> el_peers;
  /// Another number after each restart of the EL.
  std::uint64_t engine_session = 0;
  /// Open watches of this state, and the time since the last admitted command, or since the driver's start.
  std::uint32_t watchers = 0;
  absl::Duration idle;
  bool operator==(const EngineState&) const = default;
};

}  // namespace towline::contract
