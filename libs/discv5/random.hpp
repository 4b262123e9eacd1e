// Random bytes as an input. Pure.
#pragma once
#include <functional>
#include <span>

#include "libs/base/bytes.hpp"

namespace towline::discv5 {

/// Fills the bytes; they must be unpredictable.
using Random = std::function<void(std::span<std::uint8_t>)>;

template <std::size_t N>
FixedBytes<N> random_bytes(const Random& random) {
  FixedBytes<N> out;
  random(out.bytes);
  return out;
}

}  // namespace towline::discv5
