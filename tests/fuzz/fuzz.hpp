// Common parts of the fuzz targets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "libs/base/bytes.hpp"

namespace towline::fuzz {

/// Ends the process as a finding unless `holds`. (assert() is off in release builds, which also replay the corpus.)
inline void require(bool holds) {
  if (!holds) std::abort();
}

inline std::string text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace towline::fuzz
