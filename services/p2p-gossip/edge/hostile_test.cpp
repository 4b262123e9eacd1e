// Hostile peers over real sockets: garbage, abuse and floods at every layer. Each attack costs only its sender, its
// reason is in a metric and in the log, memory is bounded, and an honest peer's blocks arrive during and after the
// attack.
#include <absl/strings/match.h>

#include <atomic>
#include <random>
#include <thread>

#include "libs/base/hex.hpp"
#include "libs/telemetry/log.hpp"
#include "services/p2p-gossip/edge/attacker.hpp"
#include "services/p2p-gossip/edge/gossip_fixture.hpp"

namespace towline::gossip {
namespace {

using Control = p2p::GossipRpcWriter::Control;

constexpr std::size_t kMemoryMib = 64;
const std::string& topic() {
  static const std::string name = gossip_block::topic_names(kChain)[kTopic];
  return name;
}

Bytes noise(std::size_t n) {
  static std::mt19937_64 random{7};
  Bytes out(n);
  for (auto& b : out) b = static_cast<std::uint8_t>(random());
  return out;
}

Bytes framed(const Bytes& message) {
  Bytes out{static_cast<std::uint8_t>(message.size() >> 8U), static_cast<std::uint8_t>(message.size())};
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

Bytes delimited(const Bytes& message) {
  Bytes out;
  p2p::append_delimited(message, out);
  return out;
}

Bytes token(const std::string& text) {
  const std::string line = text + "\n";
  return delimited({line.begin(), line.end()});
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& p : parts) out.insert(out.end(), p.begin(), p.end());
  return out;
}

std::vector<Bytes> ids(std::size_t n) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(noise(20));
  return out;
}
std::vector<BytesView> views(const std::vector<Bytes>& all) { return {all.begin(), all.end()}; }

/// Signed by a different random key each time, or by none; a real signature would cost more than its check.
Bytes wrongly_signed(std::uint64_t number) {
  Bytes body = *gossip_block::decompress(message(number, key(66)));
  const Bytes signature = noise(64);
  std::copy(signature.begin(), signature.end(), body.begin());
  body[0] = body[32] = 1;  // both numbers are in range
  return gossip_block::compress(body);
}

/// Collects what the process logs, until it is taken.
class Log {
 public:
  Log() {
    log::init(log::Level::debug, log::Format::logfmt);
    ::testing::internal::CaptureStderr();
  }
  ~Log() {
    if (capturing_) take();
  }
  std::string take() {
    capturing_ = false;
    std::string text = ::testing::internal::GetCapturedStderr();
    log::init(log::Level::info, log::Format::text);
    return text;
  }

 private:
  bool capturing_ = true;
};

/// Whether a line of the log contains all the parts.
bool has_line(const std::string& text, std::initializer_list<absl::string_view> parts) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const absl::string_view line = absl::string_view{text}.substr(at, end - at);
    if (std::all_of(parts.begin(), parts.end(), [&](auto p) { return absl::StrContains(line, p); })) return true;
    at = end + 1;
  }
  return false;
}

/// A node, and an honest peer whose blocks must arrive in any case.
class Scene {
 public:
  explicit Scene(const Peer::Change& change = {}) : victim{2, true, {}, change}, honest{1, false, {victim.address()}} {
    EXPECT_TRUE(eventually([&] { return victim.in_mesh() == 1 && honest.in_mesh() == 1; }));
    honest_is_heard();
    before_ = resident_mib();
  }
  ~Scene() {
    honest_is_heard();
    EXPECT_TRUE(victim.connected(honest));
  }

  void honest_is_heard() {
    const std::uint64_t n = ++number_;
    EXPECT_TRUE(honest.network->publish(kTopic, message(n, key(200))).ok());
    EXPECT_TRUE(eventually([&] { return victim.has(n); })) << "block " << n;
    EXPECT_LT(resident_mib(), before_ + kMemoryMib);
  }
  /// Runs an attack while blocks arrive.
  template <typename F>
  void during(F attack) {
    std::atomic<bool> over{false};
    std::thread t{[&] {
      attack();
      over = true;
    }};
    do {
      honest_is_heard();
      // The pace of a fast chain: an honest peer stays far below the limits.
      absl::SleepFor(absl::Milliseconds(50));
    } while (!over);
    t.join();
  }
  Attacker attacker(std::uint8_t i = 66, int receive_buffer = 0) {
    return Attacker{victim.address(), key(i), receive_buffer};
  }
  double ended(const std::string& stage, const std::string& reason) const {
    return victim.metric(absl::StrCat("connections_ended_total{reason=\"", reason, "\",stage=\"", stage, "\"}"));
  }
  std::uint64_t blocks_published() const { return number_; }

  Peer victim, honest;

 private:
  std::uint64_t number_ = 0;
  std::size_t before_ = 1U << 20U;
};

struct Abuse {
  std::string what;
  /// The expected reason in the log.
  std::string why;
  std::function<void(Attacker&)> attack;
};

/// Each attack ends its own connection, with the reason in the log and in the metric.
void expect_each_ends(Scene& scene, const std::string& stage, const std::string& reason,
                      const std::vector<Abuse>& all) {
  for (const auto& a : all) {
    SCOPED_TRACE(a.what);
    Log log;
    const double before = scene.ended(stage, reason);
    Attacker attacker = scene.attacker();
    a.attack(attacker);
    EXPECT_TRUE(attacker.until_closed());
    EXPECT_TRUE(eventually([&] { return scene.ended(stage, reason) > before; }));
    const std::string text = log.take();
    EXPECT_TRUE(stage == "open" ? has_line(text, {"peer disconnected", attacker.id().to_string(), a.why})
                                : has_line(text, {"handshake failed", "127.0.0.1:", a.why}))
        << text;
    scene.honest_is_heard();
  }
}

// ---------------------------------------------------------------- garbage at every layer

TEST(Hostile, GarbageInTheHandshake) {
  Scene scene;
  const Bytes to_noise = joined({token("/multistream/1.0.0"), token("/noise")});
  expect_each_ends(
      scene, "handshake", "protocol",
      {
          {"no multistream", "varint: ", [](Attacker& a) { a.raw(Bytes(300, 0xff)); }},
          {"TLS", "multistream: ",
           [](Attacker& a) {
             a.raw(joined({{0x16, 0x03, 0x01, 0x02, 0x00, 0x01}, Bytes(512, 0)}));
           }},
          {"HTTP", "multistream: ",
           [](Attacker& a) { a.raw(as_bytes(absl::StrCat("GET / HTTP/1.1\r\nHost: ", std::string(80, 'x')))); }},
          {"another version", "multistream: another header", [](Attacker& a) { a.raw(token("/multistream/2.0.0")); }},
          {"Noise: no curve point's length", "noise: message too short",
           [&](Attacker& a) {
             a.raw(joined({to_noise, framed(noise(31))}));
           }},
          {"Noise: garbage for the last message", "decryption failed",
           [](Attacker& a) { a.secure(framed(noise(200))); }},
          {"Noise: an empty last message", "noise: ", [](Attacker& a) { a.secure(framed({})); }},
      });
  expect_each_ends(scene, "handshake", "limit",
                   {
                       {"proposals without end", "multistream: too many proposals",
                        [](Attacker& a) {
                          a.raw(token("/multistream/1.0.0"));
                          for (int i = 0; i < 100 && a.raw(token(absl::StrCat("/tls/", i))); ++i) {
                          }
                        }},
                       {"Noise: a first message of 64 KiB", "noise: handshake message too long",
                        [&](Attacker& a) {
                          a.raw(joined({to_noise, framed(noise(65535))}));
                        }},
                   });
}

TEST(Hostile, GarbageOnASecuredConnection) {
  Scene scene;
  const auto secured = [](std::function<void(Attacker&)> then) {
    return [then = std::move(then)](Attacker& a) {
      ASSERT_TRUE(a.secure());
      then(a);
    };
  };
  const auto on_stream = [&](const char* protocol, Bytes data) {
    return secured([=](Attacker& a) { a.say(a.open(protocol), data); });
  };
  Bytes foreign;
  p2p::pb::Writer{foreign}.bytes(1, p2p::Identity{key(67)}.public_key().encoded());
  Bytes truncated;
  p2p::GossipRpcWriter::message(topic(), message(1000, key(200)), truncated);
  truncated.resize(truncated.size() / 2);
  expect_each_ends(
      scene, "open", "protocol",
      {
          {"ciphertext that is none", "decryption failed", secured([](Attacker& a) { a.raw(framed(noise(500))); })},
          {"yamux: version 9", "yamux: unknown version",
           secured([](Attacker& a) { a.text(Attacker::frame(Attacker::ping, Attacker::syn, 0, 1, {}, 9)); })},
          {"yamux: a type that is not there", "yamux: unknown frame type",
           secured([](Attacker& a) { a.text(Attacker::frame(9, 0, 0, 0)); })},
          {"yamux: noise", "yamux: ", secured([](Attacker& a) {
             a.text(joined({{1}, noise(10'000)}));
           })},
          {"identify that is no protobuf", "protobuf: ", on_stream("/ipfs/id/push/1.0.0", delimited(Bytes(50, 0xff)))},
          {"identify with another's key", "identify: another key",
           on_stream("/ipfs/id/push/1.0.0", delimited(foreign))},
          {"an RPC that is no protobuf", "protobuf: ", on_stream("/meshsub/1.2.0", delimited(Bytes(50, 0xff)))},
          {"an RPC that is cut off", "protobuf: ", on_stream("/meshsub/1.2.0", delimited(truncated))},
          {"an RPC whose length never ends", "varint: ", on_stream("/meshsub/1.1.0", Bytes(20, 0xff))},
      });
  expect_each_ends(scene, "open", "limit",
                   {
                       {"an RPC of 4 GiB", "message longer than the limit",
                        on_stream("/meshsub/1.2.0", {0xff, 0xff, 0xff, 0xff, 0x0f})},
                   });
}

TEST(Hostile, GarbageInTheNegotiationOfAStreamCostsTheStream) {
  Scene scene;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  std::size_t resets = attacker.heard().resets;
  const auto one_more_is_reset = [&] { return attacker.heard().resets > resets; };
  // A token longer than any valid one.
  attacker.open(std::string(2000, 'x'));
  EXPECT_TRUE(attacker.until(one_more_is_reset));
  ++resets;
  // Endless proposals.
  const p2p::StreamId stream = attacker.open("/x/0");
  for (int i = 1; i < 50 && !one_more_is_reset(); ++i) attacker.say(stream, token(absl::StrCat("/x/", i)));
  EXPECT_TRUE(attacker.until(one_more_is_reset));
  ++resets;
  // An identify message longer than any valid one.
  attacker.say(attacker.open("/ipfs/id/push/1.0.0"), Bytes{0xff, 0xff, 0x7f});
  EXPECT_TRUE(attacker.until(one_more_is_reset));
  scene.honest_is_heard();
  EXPECT_TRUE(attacker.until([&] { return attacker.heard().messages > 0; })) << "it is in the mesh as before";
  EXPECT_TRUE(scene.victim.connected(attacker.id()));
}

TEST(Hostile, ARequestForABlockIsAProtocolThatNobodySpeaks) {
  Scene scene;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  const auto answers = [&](const std::string& protocol, const char* with) {
    const p2p::StreamId stream = attacker.open(protocol);
    const Bytes expected = joined({token("/multistream/1.0.0"), token(with)});
    return attacker.until([&] { return attacker.answer(stream) == expected; });
  };
  for (const char* slash : {"", "/"})
    EXPECT_TRUE(answers(absl::StrCat("/opstack/req/payload_by_number/", kChain, "/0", slash), "na"));
  EXPECT_TRUE(answers("/ipfs/ping/1.0.0", "/ipfs/ping/1.0.0")) << "and one that is spoken is agreed on";
  scene.honest_is_heard();
  EXPECT_TRUE(scene.victim.connected(attacker.id()));
}

TEST(Hostile, HandshakesThatStallAreEnded) {
  Scene scene{with_short_handshakes};
  Log log;
  std::vector<std::unique_ptr<Attacker>> slow;
  const auto add = [&](const Bytes& first) {
    slow.push_back(std::make_unique<Attacker>(scene.victim.address(), key(66)));
    slow.back()->raw(first);
  };
  const Bytes header = token("/multistream/1.0.0"), to_noise = joined({header, token("/noise")});
  for (int i = 0; i < 4; ++i) {
    add({});
    add({header.begin(), header.begin() + 5});
    add(to_noise);
    add(joined({to_noise, framed(noise(32))}));
    add(joined({to_noise, {0, 32, 1, 2, 3}}));
  }
  scene.during([&] {
    // A single byte now and then does not help.
    for (auto& a : slow)
      a->until([&, n = 0]() mutable { return ++n % 5 == 0 && !a->raw(Bytes{header[9]}); }, absl::Milliseconds(10));
    for (auto& a : slow) EXPECT_TRUE(a->until_closed());
  });
  const auto ended = [&] { return scene.ended("handshake", "timeout") + scene.ended("handshake", "protocol"); };
  EXPECT_TRUE(eventually([&] { return ended() >= 20; }));
  EXPECT_GE(scene.ended("handshake", "timeout"), 12);
  EXPECT_TRUE(has_line(log.take(), {"handshake failed", "the handshake took too long"}));
}

// ---------------------------------------------------------------- yamux

TEST(Hostile, AbuseOfStreamsAndWindows) {
  Scene scene;
  const auto frames = [](std::function<Bytes(p2p::StreamId)> make) {
    return [make = std::move(make)](Attacker& a) {
      ASSERT_TRUE(a.secure());
      const p2p::StreamId id = a.open("/meshsub/1.2.0");
      a.text(make(id));
    };
  };
  using A = Attacker;
  constexpr std::uint32_t kMib = 1U << 20U;
  expect_each_ends(scene, "open", "protocol",
                   {
                       {"data over the window", "yamux: data over the window",
                        frames([](auto id) { return A::frame(A::data, 0, id, kMib + 1); })},
                       {"a window that was used up", "yamux: data over the window", frames([](auto id) {
                          Bytes half{0x80, 0x80, 0x80, 0x05};
                          half.resize(400'000);
                          return joined({A::frame(A::data, 0, id, 400'000, half), A::frame(A::data, 0, id, kMib)});
                        })},
                       {"a frame over any window", "yamux: a frame over the window",
                        frames([](auto id) { return A::frame(A::data, 0, id + 1000, 0xffffffff); })},
                       {"a window that overflows", "yamux: a window larger than 32 bits",
                        frames([](auto id) { return A::frame(A::window, 0, id, 0xffffffff); })},
                       {"a stream opened twice", "yamux: opened twice",
                        frames([](auto id) { return A::frame(A::window, A::syn, id, 0); })},
                       {"a stream with the node's id", "yamux: the peer opened a stream with an id of ours",
                        frames([](auto) { return A::frame(A::window, A::syn, 1000, 0); })},
                       {"data on the session", "yamux: data on the session's own id",
                        frames([](auto) { return A::frame(A::data, 0, 0, 0); })},
                       {"a ping on a stream", "yamux: a ping on a stream",
                        frames([](auto id) { return A::frame(A::ping, A::syn, id, 0); })},
                       {"a reset with data", "yamux: a reset with data",
                        frames([](auto id) { return A::frame(A::data, A::rst, id, 5, noise(5)); })},
                       {"streams opened and not closed", "yamux: streams opened too fast", frames([](auto id) {
                          Bytes out;
                          for (std::uint32_t i = 1; i <= 1001; ++i)
                            out = joined({out, A::frame(A::window, A::syn, id + 2 * i, 0)});
                          return out;
                        })},
                       {"streams opened and reset", "yamux: streams opened too fast", frames([](auto id) {
                          Bytes out;
                          for (std::uint32_t i = 1; i <= 1001; ++i)
                            out = joined({out, A::frame(A::window, A::syn, id + 2 * i, 0),
                                          A::frame(A::window, A::rst, id + 2 * i, 0)});
                          return out;
                        })},
                   });
}

TEST(Hostile, PingsWhoseAnswersAreNotReadEndTheConnection) {
  Scene scene;
  Log log;
  Attacker attacker = scene.attacker(66, 4096);
  ASSERT_TRUE(attacker.secure());
  attacker.stop_reading();
  Bytes pings;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const Bytes one = Attacker::frame(Attacker::ping, Attacker::syn, 0, i);
    pings.insert(pings.end(), one.begin(), one.end());
  }
  scene.during([&] {
    // The buffers of the kernel at both ends fill first.
    for (int i = 0; i < 1000 && attacker.text(pings); ++i) {
    }
  });
  EXPECT_TRUE(attacker.closed());
  EXPECT_TRUE(eventually([&] { return scene.ended("open", "protocol") == 1; }));
  EXPECT_TRUE(has_line(log.take(), {"peer disconnected", attacker.id().to_string(), "yamux: the peer does not read"}));
}

TEST(Hostile, HalfMessagesOfManyPeersAreHeldToABudget) {
  Scene scene;
  scene.during([&] {
    std::vector<std::unique_ptr<Attacker>> all;
    for (std::uint8_t i = 0; i < 12; ++i) {
      all.push_back(std::make_unique<Attacker>(scene.victim.address(), key(static_cast<std::uint8_t>(70 + i))));
      Attacker& a = *all.back();
      if (!a.join(topic())) continue;
      // Announces 10 MiB and sends all but the end, the last part in small pieces.
      a.say(a.gossip(), Bytes{0x80, 0x80, 0x80, 0x05});
      const Bytes part(64U << 10U, 0);
      for (int n = 0; n < 9 * 16 && a.say(a.gossip(), part); ++n) {
      }
      for (int n = 0; n < 100 && a.say(a.gossip(), Bytes{0}); ++n) {
      }
    }
    EXPECT_TRUE(eventually([&] {
      return std::count_if(all.begin(), all.end(), [](auto& a) { return !a->until_closed(absl::Milliseconds(1)); }) <=
             2;
    }));
  });
  EXPECT_TRUE(eventually([&] { return scene.ended("open", "limit") >= 10; }));
}

// ---------------------------------------------------------------- gossip

TEST(Hostile, MessagesThatAreAnnouncedAndNotSentBanThePeer) {
  Scene scene;
  Log log;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  const absl::Time start = absl::Now();
  absl::Duration flood;
  int more = 0;
  scene.during([&] {
    bool alive = true;
    // Far more than is asked for at first, then as many as the ban takes.
    for (int i = 0; alive && absl::Now() < start + kHang; ++i) {
      if (i == 20) flood = absl::Now() - start;
      if (i >= 20) more += 10;
      const auto all = ids(i < 20 ? 10'000 : 10);
      alive =
          attacker.control({.have = {{topic(), views(all)}}, .want = {}, .dont_want = {}, .graft = {}, .prune = {}});
      if (i >= 20) attacker.until([] { return false; }, absl::Milliseconds(50));
    }
    EXPECT_TRUE(attacker.until_closed());
  });
  EXPECT_GT(attacker.heard().wants, 0U);
  // Of the first 200000, at most 5000 per heartbeat are asked for.
  const auto heartbeats = static_cast<std::size_t>(flood / Gossipsub::Params{}.heartbeat);
  EXPECT_LE(attacker.heard().wants, 5000 * (heartbeats + 2) + static_cast<std::size_t>(more));
  EXPECT_EQ(scene.victim.metric("bans_total{reason=\"behaviour\"}"), 1);
  EXPECT_TRUE(eventually([&] { return scene.victim.metric("broken_promises_total") > 0; }));
  const std::string text = log.take();
  EXPECT_TRUE(has_line(text, {"lvl=warn", "banned", attacker.id().to_string(), "does not send what it announces"}));
  EXPECT_TRUE(has_line(text, {"lvl=info", "peer disconnected", attacker.id().to_string(), "banned: score"}));
}

TEST(Hostile, OneMessageIsServedToAPeerThreeTimes) {
  Scene scene;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  scene.honest_is_heard();
  ASSERT_TRUE(attacker.until([&] { return attacker.heard().messages > 0; }));
  const Bytes last = attacker.heard().last_message;
  const auto body = gossip_block::decompress(last);
  ASSERT_TRUE(body.ok());
  const auto hash = gossip_block::message_id(topic(), last, &*body);
  const Bytes id{hash.bytes.begin(), hash.bytes.end()};
  const std::vector<Bytes> thousand(1000, id);
  const std::size_t before = attacker.heard().messages;
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(attacker.control({.have = {}, .want = views(thousand), .dont_want = {}, .graft = {}, .prune = {}}));
  // The next message arrives after everything that was requested.
  scene.honest_is_heard();
  EXPECT_TRUE(attacker.until([&] { return attacker.heard().last_message != last; }));
  EXPECT_EQ(attacker.heard().messages - before, 4U) << "three copies, and the next block";
}

TEST(Hostile, GraftsInsideTheBackoffBanThePeer) {
  Scene scene;
  Log log;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  ASSERT_TRUE(eventually([&] { return scene.victim.in_mesh() == 2; }));
  // The longest back-off that can be encoded does not overflow: the attacker's own grafts fall within it.
  ASSERT_TRUE(attacker.control(
      {.have = {}, .want = {}, .dont_want = {}, .graft = {}, .prune = {{topic(), ~std::uint64_t{0}}}}));
  scene.during([&] {
    const Control grafts{.have = {}, .want = {}, .dont_want = {}, .graft = std::vector(200, topic()), .prune = {}};
    for (int i = 0; i < 100 && attacker.control(grafts); ++i) {
    }
    EXPECT_TRUE(attacker.until_closed());
  });
  EXPECT_EQ(scene.victim.in_mesh(), 1U);
  EXPECT_GT(attacker.heard().prunes, 0U);
  EXPECT_LE(attacker.heard().prunes, 201U) << "it is not heard any more after the first";
  EXPECT_EQ(scene.victim.metric("bans_total{reason=\"behaviour\"}"), 1);
  EXPECT_TRUE(has_line(log.take(), {"lvl=warn", "banned", attacker.id().to_string(), "it grafts against our will"}));
}

TEST(Hostile, FloodsOfUnknownTopicsAndOfIdontwantCostNothing) {
  Scene scene;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  const auto unknown = [](int i) { return absl::StrCat("/optimism/", i, "/3/blocks"); };
  scene.during([&] {
    for (int i = 0; i < 300; ++i) {
      Bytes rpc;
      Control c;
      for (int n = 0; n < 200; ++n) {
        p2p::GossipRpcWriter::subscription(unknown(i * 200 + n), true, rpc);
        if (n < 100) c.graft.push_back(unknown(i * 200 + n));
        if (n < 100) c.prune.push_back({unknown(i * 200 + n), 3600});
      }
      const auto unwanted = ids(i < 50 ? 5000 : 1);
      c.dont_want = views(unwanted);
      p2p::GossipRpcWriter::control(c, rpc);
      ASSERT_TRUE(attacker.rpc(rpc));
    }
  });
  EXPECT_TRUE(scene.victim.connected(attacker.id()));
  EXPECT_EQ(attacker.heard().prunes, 0U);
  const std::size_t before = attacker.heard().messages;
  scene.honest_is_heard();
  EXPECT_TRUE(attacker.until([&] { return attacker.heard().messages > before; })) << "it is in the mesh as before";
  // More in one RPC than any peer may send.
  Log log;
  Bytes rpc;
  for (int n = 0; n < 300; ++n) p2p::GossipRpcWriter::subscription(unknown(n), true, rpc);
  attacker.rpc(rpc);
  EXPECT_TRUE(attacker.until_closed());
  EXPECT_TRUE(eventually([&] { return scene.ended("open", "limit") == 1; }));
  EXPECT_TRUE(has_line(log.take(), {"peer disconnected", "more parts than a peer may send"}));
}

TEST(Hostile, PeersThatForwardNothingAndReadNothingDoNotKeepBlocksFromOthers) {
  Scene scene;
  std::vector<std::unique_ptr<Attacker>> silent;
  for (std::uint8_t i = 0; i < 12; ++i) {
    silent.push_back(std::make_unique<Attacker>(scene.victim.address(), key(static_cast<std::uint8_t>(70 + i)), 4096));
    ASSERT_TRUE(silent.back()->join(topic()));
    if (i % 2 == 0) silent.back()->stop_reading();
  }
  ASSERT_TRUE(eventually([&] { return scene.victim.in_mesh() >= 12; })) << "they have taken the mesh";
  // This peer is too late for the mesh, and learns of the blocks by gossip.
  Peer late{3, true, {scene.victim.address()}};
  ASSERT_TRUE(eventually([&] { return scene.victim.connected(late); }));
  for (std::uint64_t n = 1001; n <= 1010; ++n) {
    EXPECT_TRUE(scene.honest.network->publish(kTopic, message(n, key(200), 500'000)).ok());
    EXPECT_TRUE(eventually([&] { return scene.victim.has(n); }));
  }
  for (std::uint64_t n = 1001; n <= 1010; ++n) EXPECT_TRUE(eventually([&] { return late.has(n); })) << n;
}

// ---------------------------------------------------------------- blocks

TEST(Hostile, FutureAndReplayedBlocksGoNoFurther) {
  Scene scene;
  Peer behind{3, true, {scene.victim.address()}};
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  ASSERT_TRUE(eventually([&] { return scene.victim.in_mesh() == 3 && behind.in_mesh() == 1; }));
  auto future = block(5000);
  future.timestamp += 3600;
  future.block_hash = eth::hash_of(future);
  const auto signed_by_the_signer = [](const eth::Payload& p) {
    return gossip_block::encode_message(kChain, gossip_block::PayloadVersion::v4, p, key(200));
  };
  attacker.publish(topic(), signed_by_the_signer(future));
  const auto blocks = [&](const char* rule) {
    return scene.victim.metric(absl::StrCat("blocks_total{rule=\"", rule, "\"}"));
  };
  EXPECT_TRUE(eventually([&] { return blocks("too_new") == 1; }));

  // A valid block, which the attacker receives and repeats again and again.
  EXPECT_TRUE(scene.honest.network->publish(kTopic, message(6000, key(200))).ok());
  ASSERT_TRUE(attacker.until([&] { return attacker.heard().messages > 0; }));
  EXPECT_TRUE(eventually([&] { return behind.has(6000); }));
  const Bytes good = attacker.heard().last_message;
  const double taken = blocks("none");
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(attacker.publish(topic(), good));
  // The same block with its other valid signature, which makes a different message.
  Bytes twin = *gossip_block::decompress(good);
  const Bytes order = *parse_hex("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  int borrow = 0;
  for (int i = 31; i >= 0; --i) {
    const auto at = static_cast<std::size_t>(i);
    const int d = order[at] - twin[32 + at] - borrow;
    borrow = d < 0 ? 1 : 0;
    twin[32 + at] = static_cast<std::uint8_t>(d);
  }
  twin[64] ^= 1U;
  ASSERT_TRUE(attacker.publish(topic(), gossip_block::compress(twin)));
  // The same block on the topic of another version.
  ASSERT_TRUE(attacker.publish(gossip_block::topic_names(kChain)[2], good));
  EXPECT_TRUE(eventually([&] { return scene.victim.metric("messages_total{result=\"duplicate\"}") >= 200; }));
  EXPECT_TRUE(eventually(
      [&] { return blocks("seen") + blocks("signature") >= 1 && blocks("block_hash") + blocks("ssz") >= 1; }));
  EXPECT_EQ(blocks("none"), taken);
  scene.honest_is_heard();
  EXPECT_TRUE(eventually([&] { return behind.has(scene.blocks_published()); }));
  EXPECT_FALSE(scene.victim.has(5000) || behind.has(5000));
  EXPECT_EQ(behind.metric("blocks_total{rule=\"too_new\"}") + behind.metric("blocks_total{rule=\"seen\"}"), 0)
      << "nothing of it was sent on";
}

TEST(Hostile, AFloodOfWronglySignedBlocksBansItsSender) {
  Scene scene;
  Log log;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  scene.during([&] {
    for (std::uint64_t n = 0; n < 3000 && attacker.publish(topic(), wrongly_signed(7000 + n)); ++n) {
    }
    EXPECT_TRUE(attacker.until_closed());
  });
  EXPECT_TRUE(eventually([&] { return scene.ended("open", "banned") == 1; }));
  EXPECT_EQ(scene.victim.metric("bans_total{reason=\"messages\"}"), 1);
  EXPECT_GE(scene.victim.metric("blocks_total{rule=\"signature\"}"), 8);
  const std::string text = log.take();
  EXPECT_TRUE(has_line(text, {"lvl=debug", "block refused", "rule=signature", attacker.id().to_string()}));
  EXPECT_TRUE(has_line(text, {"lvl=warn", "banned", attacker.id().to_string(), "of its messages break the rules"}));
  EXPECT_TRUE(has_line(text, {"lvl=info", "peer disconnected", attacker.id().to_string(), "banned: score"}));
  Attacker again = scene.attacker();
  again.secure();
  EXPECT_TRUE(again.until_closed());
  EXPECT_TRUE(eventually([&] { return scene.ended("handshake", "banned") == 1; }));
}

/// The number of signature checks that a flood from one peer causes, if the peer must not be punished.
TEST(Hostile, SignatureChecksAreLimitedPerPeerWhateverItsScore) {
  Scene scene{[](NetworkConfig& c) { c.ban_peers = false; }};
  scene.victim.network->suspend_penalties(true);
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  std::vector<Bytes> all;
  for (std::uint64_t n = 0; n < 3000; ++n) all.push_back(wrongly_signed(7000 + n));
  const absl::Time start = absl::Now();
  scene.during([&] {
    Bytes rpcs;
    for (const auto& m : all) {
      Bytes rpc;
      p2p::GossipRpcWriter::message(topic(), m, rpc);
      p2p::append_delimited(rpc, rpcs);
    }
    ASSERT_TRUE(attacker.say(attacker.gossip(), rpcs));
  });
  const double most = 400 + 100 * absl::ToDoubleSeconds(absl::Now() - start);
  EXPECT_LE(scene.victim.metric("blocks_total{rule=\"signature\"}"), most);
  EXPECT_GE(scene.victim.metric("blocks_total{rule=\"signature\"}"), 50);
  EXPECT_TRUE(eventually([&] { return scene.victim.metric("messages_total{result=\"throttled\"}") >= 3000 - most; }));
  EXPECT_TRUE(scene.victim.connected(attacker.id()));
}

TEST(Hostile, AFloodByAPeerThatIsNotBannedIsNotHeardForLong) {
  Scene scene{[](NetworkConfig& c) { c.ban_peers = false; }};
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  const absl::Time start = absl::Now();
  scene.during([&] {
    for (std::uint64_t n = 0; n < 2000; ++n) ASSERT_TRUE(attacker.publish(topic(), wrongly_signed(7000 + n)));
  });
  // After ten, the peer is no longer heard; some more may have waited for validation. Its lost score recovers slowly:
  // one or two messages per second.
  EXPECT_LE(scene.victim.metric("blocks_total{rule=\"signature\"}"),
            140 + 2 * absl::ToDoubleSeconds(absl::Now() - start));
  EXPECT_TRUE(scene.victim.connected(attacker.id()));
  EXPECT_TRUE(scene.victim.network->bans().empty());
}

/// Copies of a message are discarded, but only after decompression.
TEST(Hostile, BombsArePaidForByWhatTheyUnpackTo) {
  Scene scene;
  Attacker attacker = scene.attacker();
  ASSERT_TRUE(attacker.join(topic()));
  const Bytes bomb = gossip_block::compress(Bytes(10U << 20U, 1));
  ASSERT_LT(bomb.size(), 600'000U);
  const absl::Time start = absl::Now();
  scene.during([&] {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(attacker.publish(topic(), bomb));
  });
  // 40 tokens each, from a bucket of 400 that refills at 100 per second.
  const double most = 10 + 2.5 * absl::ToDoubleSeconds(absl::Now() - start) + 1;
  EXPECT_TRUE(eventually([&] { return scene.victim.metric("messages_total{result=\"throttled\"}") >= 99 - most; }));
  EXPECT_LE(scene.victim.metric("messages_total{result=\"duplicate\"}"), most);
}

}  // namespace
}  // namespace towline::gossip
