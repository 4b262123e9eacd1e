// Answers of sources to optimism_rollupConfig and eth_config: whatever they are, known fork times stay, and the
// schedule stays in order.
#include "services/remote-fetcher/core/fork_schedule.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const std::string s = fuzz::text(data, size);
  if (parser.parse(s).get(element) != simdjson::SUCCESS) return 0;
  rollup::Config own;
  own.fork_times[static_cast<std::size_t>(rollup::Fork::holocene)] = 1'700'000'000;
  fetcher::ForkSchedule schedule{own};
  std::vector<fetcher::ForkNews> news;
  schedule.on_rollup_config("a", element, 1'800'000'000, news).IgnoreError();
  schedule.on_eth_config("b", element, 1'800'000'000, news).IgnoreError();
  const auto& times = schedule.config().fork_times;
  fuzz::require(times[static_cast<std::size_t>(rollup::Fork::holocene)] == 1'700'000'000);
  std::uint64_t last = 0;
  for (const auto& t : times) {
    if (!t) continue;
    fuzz::require(*t >= last);
    last = *t;
  }
  // The same answer brings no news the second time.
  news.clear();
  if (schedule.on_rollup_config("a", element, 1'800'000'000, news).ok()) fuzz::require(news.empty());
  return 0;
}
