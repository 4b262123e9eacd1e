// How large the answer to a request may be, depending on the request. Pure.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace towline::fetcher {

/// What it means if an answer is larger.
enum class Beyond {
  bad_data,  // no honest answer is so large
  ask_less,  // ask for fewer calls
  ask_more,  // the size was a guess: repeat the request with more room
};

struct Allowance {
  std::size_t bytes = 0;
  Beyond beyond = Beyond::bad_data;
};

enum class Asked {
  small,   // numbers, labels of a CL, configurations
  header,  // a header with the hashes of its transactions
  block,   // whether a block exists, while its size is unknown
};

/// Memory for all answers in flight, for bulk work and for polls. Parsing an answer takes about five times its size.
inline constexpr std::size_t kBulkBytes = 40U << 20U, kPollBytes = 24U << 20U;

inline Allowance allowance_of(Asked what, std::size_t calls) {
  // Numbers and labels are below 4 KiB. Instead of any answer a gateway may send its error page of some tens of KiB,
  // which is no bad data.
  constexpr std::size_t kEach = 64U << 10U;
  // 400M gas pay for bare transfers whose hashes take 1.4 MB.
  constexpr std::size_t kOneFullHeader = 2U << 20U;
  constexpr std::size_t kLook = 4U << 20U;
  if (what == Asked::block) return {kLook * calls, Beyond::ask_less};
  return {kEach * calls + (what == Asked::header ? kOneFullHeader : 0),
          calls == 1 ? Beyond::bad_data : Beyond::ask_less};
}

/// An upper bound for the JSON of a block with this gas limit: a byte of calldata costs at least 4 gas and is two hex
/// digits. The fields of a transaction are covered by its 21,000 gas.
inline std::size_t largest_body(std::uint64_t gas_limit) {
  constexpr std::uint64_t kMostGas = 10'000'000'000;
  return (256U << 10U) + static_cast<std::size_t>(std::min(gas_limit, kMostGas)) / 8 * 5;
}

/// The smallest room for bodies in a first request.
inline constexpr std::size_t kLeastGuess = 512U << 10U;
/// For a request of bodies that take at most `largest` bytes, and probably `usual` bytes.
inline Allowance allowance_of_bodies(std::size_t largest, std::size_t usual) {
  if (largest <= std::min(usual, kBulkBytes)) return {largest, Beyond::bad_data};
  return usual < kBulkBytes ? Allowance{usual, Beyond::ask_more} : Allowance{kBulkBytes, Beyond::ask_less};
}

/// Whether verified blocks came in an answer many times their size: `raw` bytes in `count` transactions.
inline bool padded(std::size_t answer, std::size_t blocks, std::size_t count, std::size_t raw) {
  return answer > 8 * raw + 4096 * count + (64U << 10U) * blocks;
}

}  // namespace towline::fetcher
