// yamux: streams between two ends with any chunking, flow control, half-close and reset, and hostile frames.
#include "libs/p2p/yamux.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "libs/base/hex.hpp"

namespace towline::p2p {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

SharedBytes shared(Bytes b) { return std::make_shared<const Bytes>(std::move(b)); }

/// One end, with a log of what happened to it.
struct End : Yamux::Handler {
  explicit End(bool client, Yamux::Options options = {}) : yamux{client, *this, options, kStart} {}
  void on_open(StreamId id) override { opened.push_back(id); }
  void on_data(StreamId id, BytesView data) override {
    auto& to = got[id];
    to.insert(to.end(), data.begin(), data.end());
  }
  void on_end(StreamId id) override { ended.push_back(id); }
  void on_reset(StreamId id) override { was_reset.push_back(id); }
  Bytes take(std::size_t max = 1U << 20U) {
    Bytes out;
    yamux.output(out, max);
    return out;
  }
  std::vector<StreamId> opened, ended, was_reset;
  std::map<StreamId, Bytes> got;
  Yamux yamux;
};

/// Carries bytes both ways until nothing moves, `step` at a time.
absl::Status pump(End& a, End& b, std::size_t step = 4096, absl::Time now = kStart) {
  for (int quiet = 0; quiet < 2;) {
    quiet = 0;
    for (auto [from, to] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
      const Bytes bytes = from->take(20000);
      quiet += bytes.empty() ? 1 : 0;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        auto st = to->yamux.on_bytes(BytesView{bytes}.subspan(at, std::min(step, bytes.size() - at)), now);
        if (!st.ok()) return st;
      }
    }
  }
  return absl::OkStatus();
}

Bytes frame(const char* header, std::size_t body = 0) {
  Bytes out = *parse_hex(std::string{"0x"} + header);
  out.insert(out.end(), body, 7);
  return out;
}

TEST(Yamux, CarriesManyStreamsBothWays) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  End a{true}, b{false};
  std::map<StreamId, Bytes> sent_by_a, sent_by_b;
  for (int i = 0; i < 20; ++i) {
    End& from = i % 2 == 0 ? a : b;
    auto& sent = i % 2 == 0 ? sent_by_a : sent_by_b;
    const auto id = from.yamux.open();
    ASSERT_TRUE(id.ok());
    // Up to four windows, so that updates must flow.
    Bytes data(random() % (1U << 22U));
    for (auto& x : data) x = static_cast<std::uint8_t>(random());
    sent[*id] = data;
    from.yamux.write(*id, shared(std::move(data)));
    from.yamux.finish(*id);
    if (i % 3 == 0) {
      ASSERT_TRUE(pump(a, b, 1 + random() % 5000).ok());
    }
  }
  ASSERT_TRUE(pump(a, b, 777).ok());
  for (const auto& [id, data] : sent_by_a) EXPECT_EQ(b.got[id], data) << id;
  for (const auto& [id, data] : sent_by_b) EXPECT_EQ(a.got[id], data) << id;
  EXPECT_EQ(b.ended.size(), 10U);
  EXPECT_EQ(a.ended.size(), 10U);
  // The other half is still open.
  for (const StreamId id : b.ended) b.yamux.finish(id);
  for (const StreamId id : a.ended) a.yamux.finish(id);
  ASSERT_TRUE(pump(a, b).ok());
  EXPECT_EQ(a.yamux.streams(), 0U);
  EXPECT_EQ(b.yamux.streams(), 0U);
}

TEST(Yamux, NobodySendsMoreThanTheWindow) {
  End a{true};
  const auto id = a.yamux.open();
  a.yamux.write(*id, shared(Bytes(1U << 20U, 1)));
  std::size_t sent = 0;
  for (Bytes out = a.take(); !out.empty(); out = a.take()) sent += out.size();
  EXPECT_LT(sent, (256U << 10U) + 1000) << "256 KiB until the peer allows more";
  EXPECT_GE(sent, 256U << 10U);
  EXPECT_EQ(a.yamux.queued(*id), (1U << 20U) - (256U << 10U));
  EXPECT_FALSE(a.yamux.wants_output());
  // A window update of 1000 bytes.
  ASSERT_TRUE(a.yamux.on_bytes(frame("0001000000000001000003e8"), kStart).ok());
  EXPECT_EQ(a.take().size(), 1012U);
}

TEST(Yamux, StreamsTakeTurns) {
  End a{true}, b{false};
  const auto big = a.yamux.open(), small = a.yamux.open();
  a.yamux.write(*big, shared(Bytes(200'000, 1)));
  a.yamux.write(*small, shared(Bytes(100, 2)));
  const Bytes out = a.take(40'000);
  ASSERT_TRUE(b.yamux.on_bytes(out, kStart).ok());
  EXPECT_EQ(b.got[*small].size(), 100U) << "it does not wait behind the big one";
}

TEST(Yamux, ResetsEndBothHalves) {
  End a{true}, b{false};
  const auto id = a.yamux.open();
  a.yamux.write(*id, shared(Bytes(10, 1)));
  ASSERT_TRUE(pump(a, b).ok());
  b.yamux.reset(*id);
  a.yamux.write(*id, shared(Bytes(10, 1)));
  ASSERT_TRUE(pump(a, b).ok()) << "what was under way to a stream that is gone is drained";
  EXPECT_EQ(a.was_reset, std::vector<StreamId>{*id});
  EXPECT_EQ(a.yamux.streams() + b.yamux.streams(), 0U);
}

TEST(Yamux, PingsAreAnsweredAndSilenceEndsTheSession) {
  End a{true}, b{false};
  ASSERT_TRUE(a.yamux.on_timer(kStart).ok());
  ASSERT_TRUE(b.yamux.on_bytes(a.take(), kStart).ok());
  ASSERT_TRUE(a.yamux.on_bytes(b.take(), kStart + absl::Milliseconds(30)).ok());
  EXPECT_EQ(a.yamux.latency(), absl::Milliseconds(30));
  EXPECT_EQ(a.yamux.next_timer(), kStart + absl::Milliseconds(30) + absl::Seconds(30));
  const absl::Time later = a.yamux.next_timer();
  ASSERT_TRUE(a.yamux.on_timer(later).ok());
  EXPECT_EQ(to_hex(a.take()), "0x000200010000000000000002");
  // A pong with another value is no answer, but a sign of life.
  ASSERT_TRUE(a.yamux.on_bytes(frame("000200020000000000000009"), later).ok());
  ASSERT_TRUE(a.yamux.on_timer(later + absl::Seconds(10)).ok());
  const absl::Time again = a.yamux.next_timer();
  ASSERT_TRUE(a.yamux.on_timer(again).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(a.yamux.on_timer(again + absl::Seconds(10))));
}

TEST(Yamux, FlagsRideOnEveryFrame) {
  End b{false};
  // Data with SYN and FIN and a body in one frame: a whole stream.
  ASSERT_TRUE(b.yamux.on_bytes(frame("000000050000000100000003", 3), kStart).ok());
  EXPECT_EQ(b.opened, std::vector<StreamId>{1});
  EXPECT_EQ(b.got[1].size(), 3U);
  EXPECT_EQ(b.ended, std::vector<StreamId>{1});
  // A window update with SYN adds to the first window.
  ASSERT_TRUE(b.yamux.on_bytes(frame("00010001000000030000000a"), kStart).ok());
  (void)b.take();
  b.yamux.write(3, shared(Bytes(300'000, 1)));
  std::size_t sent = 0;
  for (Bytes out = b.take(); !out.empty(); out = b.take()) sent += out.size();
  EXPECT_EQ(sent, (256U << 10U) + 10 + 17 * 12);
}

TEST(Yamux, WhatIsAgainstTheRulesEndsTheSession) {
  const std::pair<const char*, std::vector<Bytes>> cases[] = {
      {"another version", {frame("010000010000000100000000")}},
      {"an unknown type", {frame("000400000000000100000000")}},
      {"an id of ours", {frame("000100010000000200000000")}},
      {"opened twice", {frame("000100010000000100000000"), frame("000100010000000100000000")}},
      {"the session's own id", {frame("000000010000000000000000")}},
      {"more than the window", {frame("000100010000000100000000"), frame("000000000000000100100001")}},
      {"a window over 32 bits", {frame("000100010000000100000000"), frame("0001000000000001ffffffff")}},
      {"data behind the end", {frame("000100050000000100000000"), frame("000000000000000100000001", 1)}},
      {"more than the window to a stream that is gone", {frame("000000000000000100100001")}},
      {"a ping on a stream", {frame("000200010000000100000000")}},
  };
  for (const auto& [what, frames] : cases) {
    End b{false};
    absl::Status st;
    for (const auto& f : frames)
      if (st.ok()) st = b.yamux.on_bytes(f, kStart);
    EXPECT_FALSE(st.ok()) << what;
    const Bytes out = b.take();
    ASSERT_GE(out.size(), 12U) << what;
    EXPECT_EQ(to_hex(BytesView{out}.last(12)), "0x000300000000000000000001") << what;
    EXPECT_FALSE(b.yamux.on_bytes(frame("000200010000000000000000"), kStart).ok()) << "it stays over: " << what;
  }
  End b{false};
  EXPECT_TRUE(absl::IsUnavailable(b.yamux.on_bytes(frame("000300000000000000000000"), kStart)))
      << "the peer says goodbye";
}

TEST(Yamux, FloodsAreBounded) {
  Yamux::Options options;
  options.max_inbound_streams = 4;
  options.max_opens = 100;
  End b{false, options};
  Bytes many;
  for (unsigned i = 0; i < 50; ++i) {
    Bytes f = frame("000100010000000000000000");
    f[7] = static_cast<std::uint8_t>(2 * i + 1);
    many.insert(many.end(), f.begin(), f.end());
  }
  ASSERT_TRUE(b.yamux.on_bytes(many, kStart).ok());
  EXPECT_EQ(b.yamux.streams(), 4U) << "the rest was reset";
  // Opened and reset, again and again.
  End c{false, options};
  absl::Status st;
  for (unsigned i = 0; i < 200 && st.ok(); ++i) {
    Bytes f = frame("000100010000000000000000");
    f[6] = static_cast<std::uint8_t>(i >> 7U);
    f[7] = static_cast<std::uint8_t>(2 * i + 1);
    st = c.yamux.on_bytes(f, kStart);
    f[3] = 8;
    if (st.ok()) st = c.yamux.on_bytes(f, kStart);
    (void)c.take();
  }
  EXPECT_FALSE(st.ok()) << "rapid resets";
  // Pings whose answers are not read.
  End d{false};
  const Bytes ping = frame("000200010000000000000001");
  st = absl::OkStatus();
  for (int i = 0; i < 20'000 && st.ok(); ++i) st = d.yamux.on_bytes(ping, kStart);
  EXPECT_FALSE(st.ok());
  End e{true};
  absl::StatusOr<StreamId> id = 0;
  for (int i = 0; i < 300 && id.ok(); ++i) id = e.yamux.open();
  EXPECT_TRUE(absl::IsResourceExhausted(id.status())) << "streams that the peer does not acknowledge";
}

TEST(Yamux, NoiseIsNoCrash) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  for (int i = 0; i < 2000; ++i) {
    End b{i % 2 == 0};
    absl::Status st;
    for (int n = 0; n < 20 && st.ok(); ++n) {
      Bytes f = frame("000000000000000000000000");
      f[1] = static_cast<std::uint8_t>(random() % 4);
      f[3] = static_cast<std::uint8_t>(random() % 16);
      f[7] = static_cast<std::uint8_t>(random() % 6);
      f[10] = static_cast<std::uint8_t>(random() % 2);
      f[11] = static_cast<std::uint8_t>(random());
      if (f[1] == 0) f.insert(f.end(), static_cast<std::size_t>(f[10]) << 8U | f[11], 1);
      st = b.yamux.on_bytes(f, kStart);
      if (random() % 4 == 0) (void)b.yamux.open();
      for (const auto& [id, data] : b.got) b.yamux.write(id, shared(Bytes(random() % 100, 3)));
      (void)b.take(random() % 1000);
    }
  }
}

}  // namespace
}  // namespace towline::p2p
