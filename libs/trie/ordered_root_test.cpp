#include "libs/trie/ordered_root.hpp"

#include <gtest/gtest.h>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"

namespace towline::trie {
namespace {

enum { kShort, kLong, kMixed };

/// Short values are embedded in their parents, long values are hashed.
Bytes value(std::size_t i, int kind) {
  Bytes out(kind == kShort ? 1 + i % 5 : kind == kLong ? 40 + i * 13 % 90 : 1 + i * 17 % 64);
  for (std::size_t j = 0; j < out.size(); ++j) {
    const auto b = static_cast<std::uint8_t>(i * 7 + j * 3 + 1);
    out[j] = b == 0 ? 1 : b;
  }
  return out;
}

// Computed with trie 4.0.0 (the Python implementation of the Ethereum Foundation). Counts lie around the places where
// rlp(index) changes its length and the tree its depth.
const struct {
  int kind;
  std::size_t count;
  const char* root;
} kRoots[] = {
    {kShort, 1, "0xac92bc8d02906a87a573c32c72bb427036f0e43d7a7375c5c491ebba064add15"},
    {kShort, 2, "0xeecaf65cb0b997764f5bb992e0b66f7f74a2d71bab33bd67fc23b52c53a5f90f"},
    {kShort, 3, "0x729c7eb631488a062efdceee88d9c0f6876f2ab623b897bdbd3e78ea3e4f1562"},
    {kShort, 15, "0x387b9f184ec0cf5aded4ced636ae9ba9e917145c1d2c74b23aac5f25aaf34fa6"},
    {kShort, 16, "0xb939e1e2971368126b1da3438a0dd899ba3df5dbacb3172170d11621a976407f"},
    {kShort, 17, "0x67e486a87012529fe8b2475e461935c1a0f268ac1ac900b87fe56e2ab1b5b444"},
    {kShort, 18, "0x50c8d518591a9b41bd6f5d5f20045f8786fd0de84edc5ef8370c7d1ca94df8ef"},
    {kShort, 127, "0xa2c5fef752598ec62ef20fc087061cb393766faf83b9c96b9b47e1762a92c3ee"},
    {kShort, 128, "0x309f9a8e83ae43153f4bd26a0eb4c1f0ced479c89b26faa3e92cb78886174ddb"},
    {kShort, 129, "0x89bc81007f45e20aea3ae1876d7a92ab02c62f8c58ecddeaccb40624307389a9"},
    {kShort, 200, "0x91c6bd6c1cf0e945d6a78c68d4e0d9c129d879450c9141b7340a8b4fe8b8f576"},
    {kShort, 255, "0xf0489eec5fcd37b4114bae2faa2c1ac9a0ae357033b296305e5fab200fd8e87c"},
    {kShort, 256, "0x44ae0e640d641e3e3c99c912a35171ea572c5f291d8e930ef289445a71b3c81b"},
    {kShort, 257, "0xc09353c9b3d7ba8e9bf179134ed08f94396489c263783def50ac295b6004545b"},
    {kShort, 300, "0x13db728b209ed4edf5a0645e4fc2626a6eff8f495b5239fb986574d912b66d2f"},
    {kShort, 600, "0x16c069f146e57ef87261f227aea1d5fa239b2e1bae6c16a4a8de5054a0e8544f"},
    {kLong, 1, "0x6d264ed4411a1f58e9a0d87e8e1719f5a25a4dc8029778896eb88a21a84b24ff"},
    {kLong, 2, "0x56b635a923b55a4668d29d3166e2cc496c4b5e85a63c7a2d993f210552298dc9"},
    {kLong, 3, "0x3e880e1f0fd9f25f8d503cc657f48430011bf746c8a57cf04e2268f503cf08a3"},
    {kLong, 15, "0xb9f6c6248dc9fbf4de8b4edb56ba15d66aef7330047860bfae3a319c3e081414"},
    {kLong, 16, "0x33acb2ea98cda7d68ed3ac26dd147b10ff1160b504a29dfe1cac9727cb2202d5"},
    {kLong, 17, "0xebc277b2bf996998142e2daecbfd8134ea6e9c35d21b101ca95eeef78a3bdb64"},
    {kLong, 18, "0x529d1e252e31740ba1d17deb5e1684d63ed4c95569c35fef0602250e82c934c2"},
    {kLong, 127, "0xc7e745ab028cd925303f4a4128523454a41e956d6be1f292d3822ea290203d7f"},
    {kLong, 128, "0x7d847af534d69225fdf9dd0b2ccc717547c868a7313a2c49f1f9756f26fdc551"},
    {kLong, 129, "0x90fd4e6d0ce076573d04a049df2e63455f83ace07fcfdc20e394a38878af9d94"},
    {kLong, 200, "0xcb7b828110dbe7baad6dfe49e1dc311901db18ae32e3eec3ad2ec34262630676"},
    {kLong, 255, "0x108274003dcca6bbda4b28c0e037bf03509fa0e1446b0bd41667040239e10d0f"},
    {kLong, 256, "0xb9a74870e8852db1ba9e4ded9918e64fa4d233f85d6daddd56818114e5539f4b"},
    {kLong, 257, "0x3b869c9b32f797ac1b86ecafd8c80bd2ce71d80de9f9964b85f31e67492cdf60"},
    {kLong, 300, "0x06a45134b91e3fa2b4a22b6b22be8324617c103ff0149ea15f95bd5e7fb4b213"},
    {kLong, 600, "0xfe7b76f5bde82f3e28944a581efa78d704d187700d57733605be291f11a8c970"},
    {kMixed, 1, "0xac92bc8d02906a87a573c32c72bb427036f0e43d7a7375c5c491ebba064add15"},
    {kMixed, 2, "0x23170b260c580ad012f584f4cfd9e86065e256c95af08c85e5151bcb2470e883"},
    {kMixed, 3, "0x9515805af510b92b930422be1285ee737a4329c456cefe20d08533639436cced"},
    {kMixed, 15, "0x6158a74261fdf79b38ef570f012aa7377daa6b3520512744d7b4689020ab4240"},
    {kMixed, 16, "0x39032cf460f8e5e5ec918d354c179761146bb6afcbaad2baf469a9bde83cb013"},
    {kMixed, 17, "0xd5f47f632a430392c3d32fe0c1a888aba529bdd67ca919911f38daee25e185f5"},
    {kMixed, 18, "0xe1bb72b895a33140f4db66a29ea4427b0b6afa3abf85dca136a5de891f45461f"},
    {kMixed, 127, "0x8c8f366c16045be7869dc91de18f40619396c85e824ebc04bd8a8c2fc42cea23"},
    {kMixed, 128, "0x05dddaf55af109060a92a49a8202613f78fbc09705131ae6c52f20d0c6d30c2b"},
    {kMixed, 129, "0x76eb406f7c5c4ff7b8d7f92ebab96be05d2777f10838b3a77b25381ac8dc3511"},
    {kMixed, 200, "0x432dba216442565d0453577f082e88b88cba66fbb03e0aa709d914ff7fe702ce"},
    {kMixed, 255, "0x897a00d0fba7981e486e25d73f961d4e1f1f74ae3908a162c3224a017fe317e2"},
    {kMixed, 256, "0x48fb8ca70dc8d6d45a970999502348f677b104b6eeb1625b9ccd56e336c6c993"},
    {kMixed, 257, "0x97122a74d3e0402f88317c0350fb3c9642427d153cbbe1083eee818f316434ef"},
    {kMixed, 300, "0x2454b2285217f3f2d41d5c9a7eb5c91dba4c9d6c677a62b3702e9fba06b98add"},
    {kMixed, 600, "0x2d84584e7f301cf92d9b51c0c0052d3b8cf6a64cd9cabb24d9a80575e1f2ce69"},
};

TEST(OrderedRoot, Vectors) {
  for (const auto& v : kRoots) {
    std::vector<Bytes> items;
    for (std::size_t i = 0; i < v.count; ++i) items.push_back(value(i, v.kind));
    EXPECT_EQ(to_hex(ordered_root(items).view()), v.root) << v.kind << ' ' << v.count;
  }
}

TEST(OrderedRoot, EmptyListHasTheEmptyRoot) {
  EXPECT_EQ(ordered_root({}), kEmptyRoot);
  EXPECT_EQ(keccak256(Bytes{0x80}), kEmptyRoot);
}

TEST(OrderedRoot, OrderAndCountMatter) {
  const std::vector<Bytes> items{value(1, kLong), value(2, kLong), value(3, kLong)};
  std::vector<Bytes> swapped = items;
  std::swap(swapped[0], swapped[1]);
  EXPECT_NE(ordered_root(swapped), ordered_root(items));
  EXPECT_NE(ordered_root(std::span{items}.first(2)), ordered_root(items));
}

}  // namespace
}  // namespace towline::trie
