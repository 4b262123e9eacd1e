// Answers to payload_by_number, and snappy's frames below them: known answers, round trips, and what is refused.
#include "libs/gossip_block/payload_by_number.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/gossip_block/validator.hpp"
#include "tests/support/vectors.hpp"

namespace towline::gossip_block {
namespace {

Bytes hex(const std::string& text) { return *parse_hex(text); }
Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// Made by the snappy of cramjam 2.14 (rust's snap).
TEST(Frames, KnownAnswers) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "towline ";
  const auto packed = unframe(hex("0xff060000734e61507059001800007b068044a0011c746f776c696e6520fe0800fe08005e0800"));
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(*packed, bytes_of(text));
  const std::string plain =
      "0xff060000734e61507059012c000075118983000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324"
      "25"
      "2627";
  Bytes counted(40);
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(to_hex(frame(counted)), plain) << "what does not shrink is not packed";
  EXPECT_EQ(unframe(hex(plain)).value(), counted);
}

TEST(Frames, RoundTripAndEveryChangedByteIsSeen) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65536}, std::size_t{65537}, std::size_t{400'000}}) {
    Bytes text(size);
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<std::uint8_t>(i % 5 == 0 ? random() : i / 100);
    const Bytes framed = frame(text);
    EXPECT_EQ(unframe(framed).value(), text);
    for (int i = 0; i < 50 && size > 0; ++i) {
      Bytes bad = framed;
      bad[random() % bad.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
      const auto got = unframe(bad);
      EXPECT_FALSE(got.ok() && *got == text);
      const auto cut =
          unframe(BytesView{framed}.first(framed.size() - 1 - random() % std::min<std::size_t>(size, 1000)));
      EXPECT_FALSE(cut.ok() && *cut == text);
    }
  }
}

TEST(Frames, WhatIsNoStreamIsRefused) {
  const std::string id = "ff060000734e61507059";
  EXPECT_TRUE(unframe({}).value().empty());
  for (const char* bad : {"0x01", "0x010500000000000061", "0xff060000734e61507058", "0xff050000734e615070"})
    EXPECT_TRUE(absl::IsInvalidArgument(unframe(hex(bad)).status())) << bad;
  EXPECT_EQ(unframe(hex("0x" + id + "fe030000000000" + "80010000aa" + id)).value(), Bytes{})
      << "padding, skippable, again";
  for (const char* bad : {"0201000000", "0103000000000000", "01050000000000006", "00050000000000ff"})
    EXPECT_FALSE(parse_hex("0x" + id + bad).ok() && unframe(*parse_hex("0x" + id + bad)).ok()) << bad;
  // A chunk may say at most 64 KiB, whatever it unpacks to; and all of them 10 MiB.
  Bytes large = hex("0x" + id);
  const Bytes packed = compress(Bytes(70'000, 1));
  for (const std::uint8_t b : {std::uint8_t{0}, static_cast<std::uint8_t>(packed.size() + 4),
                               static_cast<std::uint8_t>((packed.size() + 4) >> 8U), std::uint8_t{0}})
    large.push_back(b);
  large.insert(large.end(), 4, 0);
  large.insert(large.end(), packed.begin(), packed.end());
  EXPECT_TRUE(absl::IsInvalidArgument(unframe(large).status()));
  EXPECT_TRUE(unframe(frame(Bytes(kMaxMessage))).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(unframe(frame(Bytes(kMaxMessage + 1))).status()));
}

TEST(Requests, AreEightBytesLittleEndian) {
  EXPECT_EQ(encode_payload_request(0x0102), (Bytes{2, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(decode_payload_request(encode_payload_request(1ULL << 63U)), 1ULL << 63U);
  EXPECT_FALSE(decode_payload_request(Bytes(7)));
  EXPECT_EQ(payload_by_number_protocols(10),
            (std::vector<std::string>{"/opstack/req/payload_by_number/10/0", "/opstack/req/payload_by_number/10/0/"}));
}

TEST(Answers, CarryTheGoldenBlocks) {
  const auto j = nlohmann::json::parse(testing::read_vector("gossip-golden.json"));
  int versions = 0;
  for (const auto& m : j["messages"]) {
    const auto version = static_cast<PayloadVersion>(m["version"].get<int>());
    SCOPED_TRACE(static_cast<int>(version));
    rollup::Config config;
    for (const auto& [fork, since] : {std::pair{rollup::Fork::canyon, PayloadVersion::v2},
                                      {rollup::Fork::ecotone, PayloadVersion::v3},
                                      {rollup::Fork::isthmus, PayloadVersion::v4}})
      if (version >= since) config.fork_times[static_cast<std::size_t>(fork)] = 0;
    const auto text = decompress(hex(m["data"].get<std::string>()));
    Bytes answer{0, static_cast<std::uint8_t>(version >= PayloadVersion::v3 ? 1 : 0), 0, 0, 0};
    const Bytes framed = frame(BytesView{*text}.subspan(65));
    answer.insert(answer.end(), framed.begin(), framed.end());
    const auto p = decode_payload_answer(config, answer);
    ASSERT_TRUE(p.ok()) << p.status();
    EXPECT_EQ(encode_payload_answer(*p), answer);
    // The other kind of version is not this block's.
    answer[1] ^= 1U;
    EXPECT_TRUE(absl::IsInvalidArgument(decode_payload_answer(config, answer).status()));
    answer[1] = 2;
    EXPECT_TRUE(absl::IsInvalidArgument(decode_payload_answer(config, answer).status()));
    ++versions;
  }
  EXPECT_EQ(versions, 4);
}

TEST(Answers, WithoutABlockSayWhy) {
  const rollup::Config config;
  EXPECT_TRUE(absl::IsNotFound(decode_payload_answer(config, payload_not_found()).status()));
  EXPECT_TRUE(absl::IsUnavailable(decode_payload_answer(config, {}).status()));
  EXPECT_TRUE(absl::IsUnavailable(decode_payload_answer(config, Bytes{3}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(decode_payload_answer(config, Bytes{0, 0}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(decode_payload_answer(config, Bytes{0, 0, 0, 0, 0}).status()));
}

}  // namespace
}  // namespace towline::gossip_block
