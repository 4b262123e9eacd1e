// How large the answer to a request may be, by what is asked. Pure.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace towline::fetcher {

/// What a larger answer means.
enum class Beyond {
  bad_data,  // no honest answer is so large
  ask_less,  // fewer calls may fit
  ask_more,  // it was a guess: the same again with more room
};

struct Allowance {
  std::size_t bytes = 0;
  Beyond beyond = Beyond::bad_data;
};

enum class Asked {
  small,   // numbers, labels of a CL, configurations
  header,  // with the hashes of its transactions
  block,   // whether it is there, while nothing is known of its size
};

/// For all answers in flight. One takes about five times its bytes while it is read.
inline constexpr std::size_t kBulkBytes = 40U << 20U, kPollBytes = 24U << 20U;

inline Allowance allowance_of(Asked what, std::size_t calls) {
  // Numbers and labels are below 4 KiB. In the place of any answer a gateway may send its error page, which has tens of
  // them: that is no bad data.
  constexpr std::size_t kEach = 64U << 10U;
  // The hashes of the bare transfers that 400M gas pay for are 1.4 MB.
  constexpr std::size_t kOneFullHeader = 2U << 20U;
  constexpr std::size_t kLook = 4U << 20U;
  if (what == Asked::block) return {kLook * calls, Beyond::ask_less};
  return {kEach * calls + (what == Asked::header ? kOneFullHeader : 0),
          calls == 1 ? Beyond::bad_data : Beyond::ask_less};
}

/// The JSON of the largest block with this gas limit: a byte of calldata costs 4 gas at least and is two digits; for
/// the fields of a transaction there are 21,000 gas.
inline std::size_t largest_body(std::uint64_t gas_limit) {
  constexpr std::uint64_t kMostGas = 10'000'000'000;
  return (256U << 10U) + static_cast<std::size_t>(std::min(gas_limit, kMostGas)) / 8 * 5;
}

/// The room that bodies get at first, at least.
inline constexpr std::size_t kLeastGuess = 512U << 10U;
/// For a request of bodies that are `largest` bytes at most, and `usual` as far as is known.
inline Allowance allowance_of_bodies(std::size_t largest, std::size_t usual) {
  if (largest <= std::min(usual, kBulkBytes)) return {largest, Beyond::bad_data};
  return usual < kBulkBytes ? Allowance{usual, Beyond::ask_more} : Allowance{kBulkBytes, Beyond::ask_less};
}

/// Blocks that verified came with many times of what they are: `raw` bytes of transactions, `count` of them.
inline bool padded(std::size_t answer, std::size_t blocks, std::size_t count, std::size_t raw) {
  return answer > 8 * raw + 4096 * count + (64U << 10U) * blocks;
}

}  // namespace towline::fetcher
