// What an EL's eth_syncing tells of a sync of its own. Pure.
#pragma once
#include <simdjson.h>

#include <cstdint>
#include <string>

namespace towline::driver {

struct ElSyncing {
  bool syncing = false;
  std::uint64_t current = 0;
  std::uint64_t highest = 0;
  /// All that it told: another text is another step. op-geth counts accounts and trie nodes while no block moves.
  std::string told;
};
/// The result of eth_syncing: false, or an object. Fields that are missing are 0.
ElSyncing el_syncing_from(simdjson::dom::element result);

}  // namespace towline::driver
