// A peer's answer to payload_by_number: result, version, snappy's frames, SSZ. A block that decodes is the same again.
#include "libs/gossip_block/payload_by_number.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  rollup::Config config;
  for (const auto fork : {rollup::Fork::canyon, rollup::Fork::ecotone, rollup::Fork::isthmus})
    if (data[0] % 4 >= (fork == rollup::Fork::canyon ? 1 : fork == rollup::Fork::ecotone ? 2 : 3))
      config.fork_times[static_cast<std::size_t>(fork)] = 0;
  const BytesView in{data + 1, size - 1};
  if (const auto text = gossip_block::unframe(in); text.ok())
    fuzz::require(*gossip_block::unframe(gossip_block::frame(*text)) == *text);
  if (const auto p = gossip_block::decode_payload_answer(config, in); p.ok())
    fuzz::require(gossip_block::encode_payload_answer(*gossip_block::decode_payload_answer(
                      config, gossip_block::encode_payload_answer(*p))) == gossip_block::encode_payload_answer(*p));
  // The checksums keep a mutator out: below them the text is what it likes.
  Bytes answer{0, static_cast<std::uint8_t>(data[0] % 4 >= 2 ? 1 : 0), 0, 0, 0};
  const Bytes framed = gossip_block::frame(in);
  answer.insert(answer.end(), framed.begin(), framed.end());
  (void)gossip_block::decode_payload_answer(config, answer);
  return 0;
}
