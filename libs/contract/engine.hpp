// What an engine-driver tells of itself and its EL. Pure values.
#pragma once
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/eth/types.hpp"

namespace towline::contract {

/// The labels of an EL; absent = not set there.
struct Labels {
  std::optional<eth::BlockRef> unsafe;
  std::optional<eth::BlockRef> safe;
  std::optional<eth::BlockRef> finalized;
  bool operator==(const Labels&) const = default;
};

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
  state_not_saved,        // nothing of the EL: our own disk
};

/// Not: another chain's EL, an ordinary RPC, one that somebody else drives, or while our own state is not safe.
bool may_be_written_to(EngineStatus s);

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
  /// Payloads of it that were handed to the EL's writer, since the start.
  std::uint64_t blocks = 0;
  /// The name still leads there.
  bool listed = true;
  /// Why it gets no work for the moment; empty: it may.
  std::string rests;
  bool operator==(const Replica&) const = default;
};

/// A sync of the EL's own, by its peers.
struct ElSync {
  /// What engine-driver told it to sync to last; absent: it syncs for another reason.
  std::optional<eth::BlockId> target;
  /// As eth_syncing tells them; 0: it does not.
  std::uint64_t current = 0;
  std::uint64_t highest = 0;
  /// Grows with each look at which eth_syncing told something new.
  std::uint64_t steps = 0;
  bool operator==(const ElSync&) const = default;
};

struct EngineState {
  EngineStatus status = EngineStatus::starting;
  std::string reason = "the EL was not asked yet";
  Labels labels;
  /// Whom the driver obeys, as it is kept on disk.
  std::string authority;
  std::uint64_t term = 0;
  /// The highest finalized block ever confirmed by a read back, as it is kept on disk.
  std::optional<eth::BlockId> confirmed_finalized;
  std::string client_version;
  bool can_rewind = false;
  /// It may be rewound although there is one trust group only, whose word nobody confirms.
  bool rewind_for_single_source = false;
  eth::BlockId genesis;
  std::optional<ImportProgress> import;
  std::vector<Replica> replicas;
  std::optional<ElSync> el_sync;
  /// The EL's peers; absent: not known.
  std::optional<std::uint32_t> el_peers;
  /// Another one after each restart of the EL.
  std::uint64_t engine_session = 0;
  /// Open watches of this state, and how long ago the last command was admitted, or the driver was started.
  std::uint32_t watchers = 0;
  absl::Duration idle;
  bool operator==(const EngineState&) const = default;
};

}  // namespace towline::contract
