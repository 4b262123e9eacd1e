// Reads the files of tests/vectors for unit tests.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace towline::testing {

inline std::string read_vector(const std::string& name) {
  std::ifstream in{std::string{TOWLINE_SOURCE_DIR} + "/tests/vectors/" + name, std::ios::binary};
  EXPECT_TRUE(in.good()) << "no vector " << name;
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Names of the real OP Stack blocks: {hash, header, raw_transactions}.
inline std::vector<std::string> block_vectors() {
  std::vector<std::string> out;
  for (const auto& e : std::filesystem::directory_iterator{std::string{TOWLINE_SOURCE_DIR} + "/tests/vectors"}) {
    const std::string name = e.path().filename();
    if (name.starts_with("devnet-forks-0") || name.starts_with("op-sepolia-2")) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  EXPECT_EQ(out.size(), 15U);
  return out;
}

/// Names of the real L1 blocks: {newPayload: {payload, sidecar}}.
inline std::vector<std::string> l1_vectors() {
  std::vector<std::string> out;
  for (const auto& e : std::filesystem::directory_iterator{std::string{TOWLINE_SOURCE_DIR} + "/tests/vectors"}) {
    const std::string name = e.path().filename();
    if (name.starts_with("l1-prague-")) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  EXPECT_EQ(out.size(), 2U);
  return out;
}

}  // namespace towline::testing
