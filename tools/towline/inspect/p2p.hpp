// Decodes and verifies data of the p2p network: the core of `towline inspect gossip|enr|multiaddr|peer-id`. Pure.
#pragma once
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/gossip_block/validator.hpp"

namespace towline::inspect {

/// Fields in the order for a person. If `valid` is false the last two say what is wrong.
struct Facts {
  bool valid = false;
  std::vector<std::pair<std::string, std::string>> fields;
};

struct GossipQuestion {
  std::uint64_t chain_id = 0;
  /// Absent: the version that fits best.
  std::optional<gossip_block::PayloadVersion> version{};
  /// Absent: the block's own time.
  std::optional<absl::Time> at{};
  /// Absent: any signer is accepted.
  std::optional<Address> signer{};
  /// For Jovian's time; absent: any blob gas is accepted.
  std::optional<rollup::Config> config{};
};
/// `text`: the raw message, or its hex digits with 0x.
Facts inspect_gossip(const std::string& text, const GossipQuestion& q);
/// `text`: an enr: or enode: URL.
Facts inspect_enr(const std::string& text);
Facts inspect_multiaddr(const std::string& text);
Facts inspect_peer_id(const std::string& text);

/// Lines "name  value", and at the end VALID or INVALID.
std::string to_text(const Facts& f);
std::string to_json(const Facts& f);

}  // namespace towline::inspect
