// op-node's rollup.json: an accepted config is consistent.
#include "libs/rollup/config.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto forks = rollup::parse_forks(fuzz::text(data, size));
  const auto c = rollup::parse_config(fuzz::text(data, size));
  if (!c.ok()) return 0;
  fuzz::require(forks.ok() && forks->times == c->fork_times && forks->unknown == c->unknown_forks);
  fuzz::require(c->block_time > 0 && c->l1_chain_id != c->l2_chain_id);
  auto before = rollup::Fork::bedrock;
  for (const auto& t : c->fork_times) {
    if (!t) continue;
    fuzz::require(c->fork_at(*t) >= before);
    before = c->fork_at(*t);
  }
  return 0;
}
