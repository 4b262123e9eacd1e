#include "libs/rlp/rlp.hpp"

#include <gtest/gtest.h>

#include <random>

#include "libs/base/hex.hpp"

namespace towline::rlp {
namespace {

Bytes hex(const std::string& digits) { return *parse_hex("0x" + digits); }

std::string encoded_string(const Bytes& s) {
  Bytes out;
  append_string(s, out);
  return to_hex(out);
}

TEST(Encode, KnownForms) {
  EXPECT_EQ(encoded_string({}), "0x80");
  EXPECT_EQ(encoded_string({0x00}), "0x00");
  EXPECT_EQ(encoded_string({0x7f}), "0x7f");
  EXPECT_EQ(encoded_string({0x80}), "0x8180");
  EXPECT_EQ(encoded_string(hex("646f67")), "0x83646f67");
  EXPECT_EQ(encoded_string(Bytes(55, 1)).substr(0, 6), "0xb701");
  EXPECT_EQ(encoded_string(Bytes(56, 1)).substr(0, 8), "0xb83801");
  EXPECT_EQ(encoded_string(Bytes(256, 1)).substr(0, 10), "0xb9010001");
  EXPECT_EQ(encoded_string(Bytes(65536, 1)).substr(0, 12), "0xba01000001");
  Bytes out;
  append_u64(0, out);
  append_u64(127, out);
  append_u64(128, out);
  append_u64(~std::uint64_t{0}, out);
  append_u256(Uint256{}, out);
  append_list({}, out);
  EXPECT_EQ(to_hex(out), "0x807f818088ffffffffffffffff80c0");
}

// Every form that uses more bytes than needed, or declares more than there is.
TEST(Decode, RefusesWhatIsNotCanonical) {
  for (const char* bad : {
           "",        // nothing
           "8100",    // a single byte below 0x80 with a header
           "817f",    //
           "81",      // truncated
           "83646f",  //
           "b7",      //
           "b800",    // long form for a short string
           "b837"
           "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
           "000",
           "b90038",              // length with a leading zero
           "b9003800",            //
           "b8",                  // no length
           "b9ff",                // half a length
           "bfffffffffffffffff",  // a length that overflows
           "c1",                  // truncated list
           "f800",                // long form for a short list
           "f90000",              //
           "f8ff",                //
           "ffffffffffffffffff",
       }) {
    const Bytes in = hex(bad);
    EXPECT_FALSE(Reader{in}.next().ok()) << bad;
  }
}

// The items are complete, so that only the form of the length can be refused.
TEST(Decode, RefusesLengthsThatAreNotMinimal) {
  const std::string payload(56 * 2, 'a');
  for (const char* header : {"b838", "f838"}) {
    const Bytes in = hex(header + payload);
    EXPECT_TRUE(Reader{in}.next().ok()) << header;
  }
  for (const char* header :
       {"b90038", "ba000038", "bf0000000000000038", "f90038", "ff0000000000000038", "b837", "f837"}) {
    const Bytes in = hex(header + payload);
    EXPECT_FALSE(Reader{in}.next().ok()) << header;
  }
}

TEST(Decode, RefusesIntegersThatAreNotMinimal) {
  for (const char* bad : {"00", "820001", "8200ff", "89ffffffffffffffffff", "c0"}) {
    const Bytes in = hex(bad);
    EXPECT_FALSE(Reader{in}.u64().ok()) << bad;
  }
  const Bytes wide = hex("a1" + std::string(66, 'f'));
  EXPECT_FALSE(Reader{wide}.u256().ok());
  EXPECT_FALSE(Reader{hex("00")}.u256().ok());
  EXPECT_EQ(*Reader{hex("80")}.u64(), 0U);
  EXPECT_EQ(*Reader{hex("88ffffffffffffffff")}.u64(), ~std::uint64_t{0});
}

TEST(Decode, KindsAndLengthsMustFit) {
  EXPECT_FALSE(Reader{hex("c0")}.string().ok());
  EXPECT_FALSE(Reader{hex("80")}.list().ok());
  EXPECT_FALSE(Reader{hex("8101")}.fixed<1>().ok());
  EXPECT_FALSE(Reader{hex("820102")}.fixed<1>().ok());
  EXPECT_TRUE(Reader{hex("820102")}.fixed<2>().ok());
  const Bytes two = hex("0102");
  Reader r{two};
  EXPECT_TRUE(r.string().ok());
  EXPECT_FALSE(r.finish().ok());
  EXPECT_TRUE(r.string().ok());
  EXPECT_TRUE(r.finish().ok());
}

// A random tree: decoded item by item and encoded again it gives the same bytes.
void append_random(std::mt19937_64& random, int depth, Bytes& out) {
  if (depth == 0 || random() % 2 == 0) {
    Bytes s(random() % (random() % 8 == 0 ? 400 : 60));
    for (auto& b : s) b = static_cast<std::uint8_t>(random());
    append_string(s, out);
    return;
  }
  Bytes payload;
  for (std::uint64_t n = random() % 5; n > 0; --n) append_random(random, depth - 1, payload);
  append_list(payload, out);
}

absl::Status copy(Reader r, Bytes& out) {
  while (!r.empty()) {
    auto item = r.next();
    if (!item.ok()) return item.status();
    if (item->kind == Kind::string) {
      append_string(item->payload, out);
    } else {
      Bytes payload;
      if (auto st = copy(Reader{item->payload}, payload); !st.ok()) return st;
      append_list(payload, out);
    }
  }
  return absl::OkStatus();
}

TEST(Decode, WhatIsReadIsCanonical) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 3000; ++i) {
    Bytes in;
    append_random(random, 4, in);
    Bytes out;
    ASSERT_TRUE(copy(Reader{in}, out).ok());
    ASSERT_EQ(out, in);
    // Damaged input is refused, or is the canonical form of another value.
    in[random() % in.size()] ^= static_cast<std::uint8_t>(1U << (random() % 8));
    out.clear();
    if (copy(Reader{in}, out).ok()) {
      ASSERT_EQ(out, in);
    }
  }
}

}  // namespace
}  // namespace towline::rlp
