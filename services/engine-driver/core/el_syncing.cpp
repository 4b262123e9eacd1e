#include "services/engine-driver/core/el_syncing.hpp"

#include "libs/base/hex.hpp"

namespace towline::driver {
namespace {

/// More than any client reports (stages of op-reth, counters of op-geth).
constexpr std::size_t kLongest = 16'384;

std::uint64_t number(simdjson::dom::element object, const char* key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS) return 0;
  const auto n = parse_quantity({text.data(), text.size()});
  return n.ok() ? *n : 0;
}

}  // namespace

ElSyncing el_syncing_from(simdjson::dom::element result) {
  if (!result.is_object()) return {};
  ElSyncing s;
  s.syncing = true;
  s.current = number(result, "currentBlock");
  s.highest = number(result, "highestBlock");
  s.told = simdjson::minify(result).substr(0, kLongest);
  return s;
}

}  // namespace towline::driver
