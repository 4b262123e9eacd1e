#include "libs/crypto/keccak.hpp"

#include <gtest/gtest.h>

#include "libs/base/hex.hpp"

namespace towline {
namespace {

// Computed with pycryptodome 3.24.1; byte i of the input is i % 251. Lengths lie around the rate of 136.
TEST(Keccak, Vectors) {
  const struct {
    std::size_t size;
    const char* hash;
  } vectors[] = {
      {0, "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
      {1, "0xbc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a"},
      {3, "0xf84a97f1f0a956e738abd85c2e0a5026f8874e3ec09c8f012159dfeeaab2b156"},
      {55, "0x797f92d5e159d80a886c0a7802a255b475a1e8e473e8cf4345144824a2aee79c"},
      {135, "0xcbdfd9dee5faad3818d6b06f95a219fd290b0e1706f6a82e5a595b9ce9faca62"},
      {136, "0x7ce759f1ab7f9ce437719970c26b0a66ff11fe3e38e17df89cf5d29c7d7f807e"},
      {137, "0xac73d4fae68b8453f764007c1a20ce95994187861f0c3227a3a8e99a73a3b1db"},
      {271, "0x27eceb59ebc3dc8a04a5b135be641591a7278540e4556a2ba9f408194e666ec3"},
      {272, "0x8e2476e65823b24d96ebe239f2c1534cdf763e689e2410c3b1cb0c74e6177bfc"},
      {273, "0x3f02f134370e4debb95140ef49ddd3aed8c65ff1ed83a43f1b269421f179c5f9"},
      {1000, "0xaf692982e84a5a9688359025660a7857cd28ee7c8d867cfa1677baf2e6d1f63b"},
  };
  for (const auto& v : vectors) {
    Bytes in(v.size);
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::uint8_t>(i % 251);
    EXPECT_EQ(to_hex(keccak256(in).view()), v.hash) << v.size;
  }
  EXPECT_EQ(to_hex(keccak256(as_bytes("abc")).view()),
            "0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

}  // namespace
}  // namespace towline
