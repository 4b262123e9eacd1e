// What an EL reports in eth_syncing about a sync of its own. Pure.
#pragma once
#include <simdjson.h>

#include <cstdint>
#include <string>

namespace towline::driver {

struct ElSyncing {
  bool syncing = false;
  std::uint64_t current = 0;
  std::uint64_t highest = 0;
  /// The whole report: a different text counts as progress. op-geth counts accounts and trie nodes while no block
  /// moves.
  std::string told;
};
/// Decodes the result of eth_syncing: false, or an object. Missing fields are 0.
ElSyncing el_syncing_from(simdjson::dom::element result);

}  // namespace towline::driver
