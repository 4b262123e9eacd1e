// Node records: the example of EIP-778, the OP Stack's bootnodes, and what must be refused.
#include "libs/discv5/enr.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "tests/support/vectors.hpp"

namespace towline::discv5 {
namespace {

using ::testing::HasSubstr;

TEST(Enr, ExampleOfTheEip) {
  const std::string text =
      "enr:-"
      "IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc"
      "2VjcDI1NmsxoQPKY0yu"
      "DUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
  const auto e = Enr::parse(text);
  ASSERT_TRUE(e.ok()) << e.status();
  EXPECT_EQ(to_hex(e->node_id().view()), "0xa448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7");
  EXPECT_EQ(e->seq(), 1U);
  EXPECT_EQ(p2p::to_string(*e->fields().ip4), "127.0.0.1");
  EXPECT_EQ(e->fields().udp4, 30303);
  EXPECT_FALSE(e->multiaddr()) << "it has no TCP port";
  EXPECT_EQ(e->to_string(), text);
  // The same record made with its key: signatures are deterministic.
  const auto key =
      secp256k1::SecretKey::from(*parse_hex("0xb71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291"));
  Enr::Fields f;
  f.ip4 = p2p::ip4(127, 0, 0, 1);
  f.udp4 = 30303;
  EXPECT_EQ(Enr::make(*key, 1, f).to_string(), text);
}

TEST(Enr, BootnodesOfTheOpStack) {
  const auto all = nlohmann::json::parse(testing::read_vector("bootnodes.json"))["bootnodes"];
  int records = 0, enodes = 0;
  for (const auto& [group, list] : all.items()) {
    for (const auto& n : list) {
      const std::string text = n.get<std::string>();
      if (text.starts_with("enr:")) {
        const auto e = Enr::parse(text);
        ASSERT_TRUE(e.ok()) << text << e.status();
        EXPECT_EQ(e->to_string(), text);
        EXPECT_TRUE(e->fields().opstack) << text;
        EXPECT_TRUE(e->multiaddr());
        ++records;
      } else {
        const auto e = parse_enode(text);
        ASSERT_TRUE(e.ok()) << text << e.status();
        EXPECT_NE(e->udp, 0);
        ++enodes;
      }
    }
  }
  EXPECT_GE(records, 9);
  EXPECT_GE(enodes, 20);
}

TEST(Enr, OpStackEntry) {
  const auto key = *secp256k1::SecretKey::from(Bytes(32, 5));
  for (const auto& [chain, digits] :
       {std::pair<std::uint64_t, std::string>{10, "6f70737461636b820a00"}, {8453, "6f70737461636b83854200"}}) {
    Enr::Fields f;
    f.opstack = OpStack{chain, 0};
    const Enr e = Enr::make(key, 7, f);
    EXPECT_THAT(to_hex(e.encoded()), HasSubstr(digits));
    EXPECT_EQ(Enr::decode(e.encoded())->fields(), f);
  }
}

TEST(Enr, BothFamilies) {
  Enr::Fields f;
  f.ip4 = p2p::ip4(10, 0, 0, 1);
  f.ip6 = *p2p::parse_ip("2001:db8::1");
  f.tcp4 = 9222;
  f.udp4 = 9223;
  f.tcp6 = 9224;
  f.udp6 = 9225;
  f.opstack = OpStack{10, 0};
  const Enr e = Enr::make(*secp256k1::SecretKey::from(Bytes(32, 5)), 1, f);
  const auto back = Enr::parse(e.to_string());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->fields(), f);
  EXPECT_EQ(back->multiaddr()->to_string().substr(0, 24), "/ip4/10.0.0.1/tcp/9222/p");
  EXPECT_EQ(back->multiaddr()->peer, back->peer_id());
}

TEST(Enr, ChangedBytesAreRefused) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  Enr::Fields f;
  f.ip4 = p2p::ip4(10, 0, 0, 1);
  f.tcp4 = 9222;
  f.opstack = OpStack{10, 0};
  const Bytes good = Enr::make(*secp256k1::SecretKey::from(Bytes(32, 5)), 1, f).encoded();
  for (int i = 0; i < 500; ++i) {
    Bytes b = good;
    b[random() % b.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
    EXPECT_FALSE(Enr::decode(b).ok());
    b = good;
    b.resize(random() % b.size());
    EXPECT_FALSE(Enr::decode(b).ok());
  }
  for (const char* text : {"", "enr:", "enr:AAAA", "enr:!",
                           "enode:", "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkT="}) {
    EXPECT_FALSE(Enr::parse(text).ok()) << text;
  }
}

TEST(Enode, SaysWhatIsWrong) {
  const std::string key(128, '1');
  const std::string good =
      "ca2774c3c401325850b2477fd7d0f27911efbf79b1e8b335066516e2bd8c4c9e0ba9696a94b1cb030a88eac582305ff55e905e64fb77fe0e"
      "dcd70a4e5296d3ec";
  const auto ok = parse_enode("enode://" + good + "@bootnode.example.org:0?discport=30301");
  ASSERT_TRUE(ok.ok()) << ok.status();
  EXPECT_EQ(ok->host, "bootnode.example.org");
  EXPECT_EQ(ok->tcp, 0);
  EXPECT_EQ(ok->udp, 30301);
  EXPECT_EQ(parse_enode("enode://" + good + "@[::1]:30303")->host, "::1");
  const std::pair<std::string, const char*> cases[] = {
      {"http://x", "enode://"},
      {"enode://" + good, "@HOST"},
      {"enode://12@1.2.3.4:1", "128 hex digits"},
      {"enode://" + key + "@1.2.3.4:1", "not on the curve"},
      {"enode://" + good + "@1.2.3.4", "HOST:PORT"},
      {"enode://" + good + "@1.2.3.4:99999", "HOST:PORT"},
      {"enode://" + good + "@1.2.3.4:1?x=1", "discport"},
  };
  for (const auto& [text, why] : cases)
    EXPECT_THAT(std::string{parse_enode(text).status().message()}, HasSubstr(why)) << text;
}

}  // namespace
}  // namespace towline::discv5
