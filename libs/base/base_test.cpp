#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <random>
#include <unordered_set>

#include "libs/base/bytes.hpp"
#include "libs/base/files.hpp"
#include "libs/base/hex.hpp"
#include "libs/base/steady_time.hpp"
#include "libs/base/text.hpp"

namespace towline {
namespace {

TEST(Hex, WritesDataAndQuantities) {
  EXPECT_EQ(to_hex({}), "0x");
  EXPECT_EQ(to_hex(Bytes{0x00, 0x0f, 0xa5}), "0x000fa5");
  EXPECT_EQ(to_quantity(0), "0x0");
  EXPECT_EQ(to_quantity(0x400), "0x400");
  EXPECT_EQ(to_quantity(~std::uint64_t{0}), "0xffffffffffffffff");
  EXPECT_EQ(to_quantity(Uint256{}), "0x0");
  Uint256 n;
  n.bytes[30] = 0x0a;
  EXPECT_EQ(to_quantity(n), "0xa00");
  n.bytes[0] = 0xf0;
  EXPECT_EQ(to_quantity(n).size(), 66U);
  std::string out = "x";
  append_hex_digits(Bytes{1, 2}, out);
  EXPECT_EQ(out, "x0102");
  EXPECT_EQ(short_hex(Bytes{1, 2, 3, 4, 5, 6}), "0x0102..0506");
}

TEST(Hex, ReadsData) {
  EXPECT_EQ(*parse_hex("0x"), Bytes{});
  EXPECT_EQ(*parse_hex("0x00fF"), (Bytes{0x00, 0xff}));
  EXPECT_EQ(*parse_hex("0XAb"), Bytes{0xab});
  for (const char* bad : {"", "0", "00", "x00", "0x0", "0x0g", "0xg0", "0x 0", "0x00 ", "1x00", "0x0\xff"}) {
    EXPECT_FALSE(parse_hex(bad).ok()) << bad;
  }
  Bytes out{7};
  EXPECT_FALSE(parse_hex_into("0x01zz", out).ok());
  EXPECT_EQ(out, Bytes{7});
  EXPECT_TRUE(parse_hex_into("0x0102", out).ok());
  EXPECT_EQ(out, (Bytes{7, 1, 2}));
}

TEST(Hex, FixedHasExactlyItsLength) {
  EXPECT_TRUE(parse_fixed_hex<2>("0x0102").ok());
  for (const char* bad : {"0x01", "0x010203", "0x", "0102", "0x01g2"})
    EXPECT_FALSE(parse_fixed_hex<2>(bad).ok()) << bad;
}

TEST(Hex, ReadsQuantities) {
  EXPECT_EQ(*parse_quantity("0x0"), 0U);
  EXPECT_EQ(*parse_quantity("0x00"), 0U);
  EXPECT_EQ(*parse_quantity("0x0000000000000000000010"), 16U);
  EXPECT_EQ(*parse_quantity("0xffffffffffffffff"), ~std::uint64_t{0});
  for (const char* bad : {"", "0x", "12", "0x10000000000000000", "0xg", "-0x1", "0x-1"})
    EXPECT_FALSE(parse_quantity(bad).ok()) << bad;
  EXPECT_EQ(parse_quantity256("0x1" + std::string(63, '0'))->bytes[0], 0x10);
  EXPECT_EQ(parse_quantity256("0x" + std::string(90, '0') + "ff")->bytes[31], 0xff);
  EXPECT_EQ(*parse_quantity256("0x0"), Uint256{});
  for (const std::string& bad : {std::string{"0x"}, "0x1" + std::string(64, '0'), std::string{"0xz"}}) {
    EXPECT_FALSE(parse_quantity256(bad).ok()) << bad;
  }
}

TEST(Hex, EveryCharacterIsADigitOrNotWhereverItStands) {
  for (const std::size_t at : {0U, 13U, 63U, 64U, 65U}) {
    for (int c = 0; c < 256; ++c) {
      std::string text = "0x" + std::string(66, '7');
      text[2 + at] = static_cast<char>(c);
      const auto parsed = parse_hex(text);
      ASSERT_EQ(parsed.ok(), std::isxdigit(c) != 0) << c << " at " << at;
      if (!parsed.ok()) continue;
      text[2 + at] = static_cast<char>(std::tolower(c));
      ASSERT_EQ(to_hex(*parsed), text);
    }
  }
}

TEST(Hex, RoundTripsAnything) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random{seed};
  for (int i = 0; i < 2000; ++i) {
    Bytes data(random() % 140);
    for (auto& b : data) b = static_cast<std::uint8_t>(random());
    ASSERT_EQ(*parse_hex(to_hex(data)), data);
    const std::uint64_t n = random() >> (random() % 64);
    ASSERT_EQ(*parse_quantity(to_quantity(n)), n);
    Uint256 wide;
    for (std::size_t k = random() % 33; k < 32; ++k) wide.bytes[k] = static_cast<std::uint8_t>(random());
    ASSERT_EQ(*parse_quantity256(to_quantity(wide)), wide);
  }
}

TEST(Bytes, FixedFromTakesItsLengthOnly) {
  EXPECT_TRUE(FixedBytes<2>::from(Bytes{1, 2}).has_value());
  EXPECT_FALSE(FixedBytes<2>::from(Bytes{1}).has_value());
  EXPECT_FALSE(FixedBytes<2>::from(Bytes{1, 2, 3}).has_value());
  EXPECT_TRUE(Hash32{}.is_zero());
  Hash32 h;
  h.bytes[31] = 1;
  EXPECT_FALSE(h.is_zero());
  EXPECT_LT(Hash32{}, h);
  const std::unordered_set<Hash32> set{h, Hash32{}, h};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Bytes, ReaderNeverPassesTheEnd) {
  const Bytes data{1, 2, 3, 4, 5};
  ByteReader r{data};
  EXPECT_EQ(r.u8(), 1);
  EXPECT_EQ(r.be(2), 0x0203U);
  EXPECT_EQ(r.be(0), 0U);
  EXPECT_FALSE(r.take(3).has_value());
  EXPECT_EQ(r.remaining(), 2U);
  EXPECT_FALSE(r.be(9).has_value());
  EXPECT_EQ(r.take(2)->size(), 2U);
  EXPECT_TRUE(r.empty());
  EXPECT_FALSE(r.u8().has_value());
  EXPECT_EQ(to_string(as_bytes("ab")), "ab");
}

TEST(CutText, IsValidUtf8OfAtMostThatManyBytes) {
  struct Row {
    const char* in;
    std::size_t max;
    const char* out;
  };
  for (const Row& r :
       {Row{"", 3, ""}, Row{"abc", 3, "abc"}, Row{"abcd", 3, "abc"}, Row{"abc", 0, ""},
        Row{"a\xc3\xa9", 3, "a\xc3\xa9"}, Row{"a\xc3\xa9", 2, "a"},           // é
        Row{"\xe2\x82\xac!", 3, "\xe2\x82\xac"}, Row{"\xe2\x82\xac", 2, ""},  // €
        Row{"\xf0\x9f\x9a\xa2x", 4, "\xf0\x9f\x9a\xa2"}, Row{"\xf0\x9f\x9a\xa2", 3, ""},
        // No characters: a lone byte, one cut short, overlong forms, a surrogate, above U+10FFFF.
        Row{"a\xff"
            "b",
            9, "a?b"},
        Row{"\xa9", 9, "?"}, Row{"\xe2\x82", 9, "??"}, Row{"\xc0\x80", 9, "??"}, Row{"\xe0\x80\x80", 9, "???"},
        Row{"\xed\xa0\x80", 9, "???"}, Row{"\xf4\x90\x80\x80", 9, "????"}, Row{"\xf0\x80\x80\x80", 9, "????"}}) {
    EXPECT_EQ(cut_text(r.in, r.max), r.out) << r.in;
  }
}

TEST(Files, AStateIsReplacedWholeOrStays) {
  const std::string top = std::filesystem::temp_directory_path() / absl::StrCat("towline-state-", getpid());
  ASSERT_FALSE(make_private_directory(top));
  const std::string path = top + "/state";
  EXPECT_TRUE(absl::IsNotFound(read_state_file(path).status()));
  ASSERT_TRUE(write_state_file(path, "one").ok());
  ASSERT_TRUE(write_state_file(path, "").ok());
  EXPECT_EQ(*read_state_file(path), "");
  ASSERT_TRUE(write_state_file(path, std::string("two\0", 4)).ok());
  EXPECT_EQ(*read_state_file(path), std::string("two\0", 4));
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_directory(path + ".new");
  EXPECT_TRUE(absl::IsUnavailable(write_state_file(path, "three")));
  EXPECT_EQ(*read_state_file(path), std::string("two\0", 4));
  // A file that cannot be read is not "none": its state would be forgotten.
  EXPECT_TRUE(absl::IsInvalidArgument(read_state_file(path + ".new").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(read_state_file(path + "/below").status()));
  std::filesystem::remove_all(top);
}

TEST(Files, ADirectoryThatIsMadeIsItsOwnersAlone) {
  const std::string top = ::testing::TempDir() + "towline-files-" + std::to_string(::getpid());
  ASSERT_FALSE(make_private_directory(top + "/data"));
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(top + "/data").permissions(), perms::owner_all);
  std::filesystem::permissions(top + "/data", perms::owner_all | perms::group_read);
  ASSERT_FALSE(make_private_directory(top + "/data"));
  EXPECT_EQ(std::filesystem::status(top + "/data").permissions(), perms::owner_all | perms::group_read);
  EXPECT_TRUE(make_private_directory("/proc/none"));
  std::filesystem::remove_all(top);
}

TEST(SteadyNow, StartsAtTheTrueTimeAndNeverGoesBack) {
  const absl::Time first = steady_now();
  EXPECT_LT(absl::AbsDuration(first - absl::Now()), absl::Hours(1));
  absl::Time before = first;
  while (before == first) {
    const absl::Time now = steady_now();
    EXPECT_GE(now, before);
    before = now;
  }
}

}  // namespace
}  // namespace towline
