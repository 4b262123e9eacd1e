// The gossip envelope and its rules: op-node's golden messages, a block that breaks each rule, and round trips.
#include "libs/gossip_block/envelope.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/eth/payload.hpp"
#include "libs/gossip_block/validator.hpp"
#include "tests/support/sample_blocks.hpp"
#include "tests/support/vectors.hpp"

namespace towline::gossip_block {
namespace {

Bytes hex(const std::string& text) { return *parse_hex(text); }

struct Golden {
  PayloadVersion version;
  std::uint64_t timestamp;
  Bytes message;
};
std::vector<Golden> golden() {
  const auto j = nlohmann::json::parse(testing::read_vector("gossip-golden.json"));
  std::vector<Golden> out;
  for (const auto& m : j["messages"])
    out.push_back({static_cast<PayloadVersion>(m["version"].get<int>()), m["timestamp"].get<std::uint64_t>(),
                   hex(m["data"].get<std::string>())});
  return out;
}
constexpr std::uint64_t kGoldenChain = 100;
const Address kGoldenSigner = *parse_fixed_hex<20>("0x9965507d1a55bcc2695c58ba16fb37d819b0a4dc");

rollup::Config config_with(std::optional<std::uint64_t> jovian) {
  rollup::Config c;
  c.l2_chain_id = kGoldenChain;
  c.fork_times[static_cast<std::size_t>(rollup::Fork::jovian)] = jovian;
  return c;
}

TEST(GoldenMessages, VerifyAndEncodeBitForBit) {
  const auto config = config_with({});
  int whole = 0;
  for (const auto& g : golden()) {
    SCOPED_TRACE(static_cast<int>(g.version));
    const auto body = decompress(g.message);
    ASSERT_TRUE(body.ok()) << body.status();
    std::vector<Address> signers = {kGoldenSigner};
    const absl::Time at = absl::FromUnixSeconds(static_cast<std::int64_t>(g.timestamp));
    Checked c = check(config, {kGoldenChain}, g.version, &*body, signers, at);
    if (g.version == PayloadVersion::v4) {
      // Its signer is unknown and its block hash zero: with the signer accepted, only the hash is wrong.
      ASSERT_EQ(c.rule, Failure::signature);
      signers = {*c.signer};
      c = check(config, {kGoldenChain}, g.version, &*body, signers, at);
      EXPECT_EQ(c.rule, Failure::block_hash) << c.why;
    } else {
      EXPECT_EQ(c.rule, Failure::none) << c.why;
      EXPECT_EQ(c.signer, kGoldenSigner);
      ++whole;
    }
    ASSERT_TRUE(c.payload);
    const Bytes part = signed_part(g.version, *c.payload);
    EXPECT_EQ(to_hex(part), to_hex(BytesView{*body}.subspan(65)));
    EXPECT_EQ(check(config, {kGoldenChain}, g.version, &*body, signers, at + absl::Seconds(61)).rule, Failure::too_old);
    EXPECT_EQ(check(config, {kGoldenChain}, g.version, &*body, signers, at - absl::Seconds(6)).rule, Failure::too_new);
    EXPECT_EQ(check(config, {kGoldenChain + 1}, g.version, &*body, signers, at).rule, Failure::signature)
        << "another chain";
  }
  EXPECT_EQ(whole, 3) << "and the fourth";
}

// OP specs / op-node: the hash that a sequencer signs.
TEST(SigningHash, KnownAnswer) {
  EXPECT_EQ(to_hex(signing_hash(10, Bytes(32, 0x99)).view()),
            "0x44a0e2b1aba1aae1771eddae1dcd2ad18a8cdac8891517153f03253e49d3f206");
}

TEST(MessageId, KnownAnswers) {
  const Bytes raw = {1, 2, 3, 4, 5};
  EXPECT_FALSE(decompress(raw).ok());
  EXPECT_EQ(to_hex(message_id("test", raw, nullptr).view()), "0xb6897dcba59347fedcd694cc0f5117093c9dc727");
  const Bytes packed = compress(raw);
  const auto body = decompress(packed);
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(to_hex(message_id("test", packed, &*body).view()), "0xadbe547b27f41294a08a09210a5e8531e83cdc16");
}

TEST(Topics, OfEachVersion) {
  EXPECT_EQ(topic_names(10), (std::vector<std::string>{"/optimism/10/0/blocks", "/optimism/10/1/blocks",
                                                       "/optimism/10/2/blocks", "/optimism/10/3/blocks"}));
  rollup::Config c;
  c.fork_times[static_cast<std::size_t>(rollup::Fork::canyon)] = 100;
  c.fork_times[static_cast<std::size_t>(rollup::Fork::ecotone)] = 200;
  c.fork_times[static_cast<std::size_t>(rollup::Fork::isthmus)] = 300;
  EXPECT_EQ(version_at(c, 99), PayloadVersion::v1);
  EXPECT_EQ(version_at(c, 100), PayloadVersion::v2);
  EXPECT_EQ(version_at(c, 299), PayloadVersion::v3);
  EXPECT_EQ(version_at(c, 300), PayloadVersion::v4);
}

TEST(Snappy, BombsTakeNoMemory) {
  EXPECT_TRUE(absl::IsResourceExhausted(decompress(hex("0xffffffff0f0041")).status())) << "declares 4 GiB";
  Bytes ten_mib = hex("0x80808005");
  ten_mib.push_back(0);
  EXPECT_FALSE(decompress(ten_mib).ok());
  EXPECT_FALSE(decompress({}).ok());
  EXPECT_FALSE(decompress(hex("0xffffffffffffffffffff")).ok());
}

/// A good block of a version, and the key that signs it.
struct Sample {
  PayloadVersion version;
  eth::Payload payload;
  secp256k1::SecretKey key = *secp256k1::SecretKey::from(Bytes(32, 7));
  rollup::Config config = config_with({});
  Options options{kGoldenChain};
  std::optional<Address> signer;

  explicit Sample(PayloadVersion v, testing::Random& random) : version{v} {
    payload.parent_hash = testing::random_fixed<32>(random);
    payload.fee_recipient = testing::random_fixed<20>(random);
    payload.state_root = testing::random_fixed<32>(random);
    payload.receipts_root = testing::random_fixed<32>(random);
    payload.logs_bloom = testing::random_fixed<256>(random);
    payload.prev_randao = testing::random_fixed<32>(random);
    payload.number = random() % 1000000 + 1;
    payload.gas_limit = random();
    payload.gas_used = random();
    payload.timestamp = 1700000000;
    payload.extra_data = testing::random_bytes(random, random() % 33);
    payload.base_fee_per_gas = testing::random_fixed<32>(random);
    for (std::uint64_t n = random() % 6; n > 0; --n)
      payload.transactions.push_back(testing::random_transaction(random, 0x7e, random() % 300));
    payload.has_withdrawals = v >= PayloadVersion::v2;
    if (v >= PayloadVersion::v3) {
      payload.blob_gas_used = payload.excess_blob_gas = 0;
      payload.parent_beacon_block_root = testing::random_fixed<32>(random);
    }
    if (v >= PayloadVersion::v4) payload.withdrawals_root = testing::random_fixed<32>(random);
    seal();
  }
  void seal() { payload.block_hash = eth::hash_of(payload); }
  Checked run(absl::Duration later = absl::ZeroDuration()) const {
    return run_body(*decompress(encode_message(options.chain_id, version, payload, key)), later);
  }
  Checked run_body(const Bytes& body, absl::Duration later = absl::ZeroDuration()) const {
    return check(config, options, version, &body, {signer.value_or(secp256k1::address_of(key.public_key()))},
                 absl::FromUnixSeconds(1700000000) + later);
  }
};

constexpr PayloadVersion kAll[] = {PayloadVersion::v1, PayloadVersion::v2, PayloadVersion::v3, PayloadVersion::v4};

TEST(Rules, EachRefusesByItself) {
  testing::Random random{7};
  for (const auto v : kAll) {
    SCOPED_TRACE(static_cast<int>(v));
    const Sample good{v, random};
    EXPECT_EQ(good.run().rule, Failure::none) << good.run().why;
    EXPECT_EQ(*good.run().payload, good.payload);
    EXPECT_EQ(good.run(absl::Seconds(60)).rule, Failure::none);
    EXPECT_EQ(good.run(absl::Seconds(61)).rule, Failure::too_old);
    EXPECT_EQ(good.run(-absl::Seconds(5)).rule, Failure::none);
    EXPECT_EQ(good.run(-absl::Seconds(6)).rule, Failure::too_new);

    EXPECT_EQ(check(good.config, good.options, v, nullptr, {kGoldenSigner}, absl::Now()).rule, Failure::snappy);
    const Bytes short_body(65, 1);
    EXPECT_EQ(good.run_body(short_body).rule, Failure::snappy);
    EXPECT_EQ(check(good.config, good.options, v, &short_body, {kGoldenSigner}, absl::Now()).rule, Failure::snappy);
    const Bytes long_body(66, 1);
    EXPECT_EQ(check(good.config, good.options, v, &long_body, {}, absl::Now()).rule, Failure::no_signer);

    Sample stranger = good;
    stranger.signer = kGoldenSigner;
    EXPECT_EQ(stranger.run().rule, Failure::signature);
    Bytes body = *decompress(encode_message(kGoldenChain, v, good.payload, good.key));
    body[64] += 27;
    EXPECT_EQ(good.run_body(body).rule, Failure::signature) << "v of 27 or 28 is not what a sequencer writes";

    // Cut before it is signed: the signature is good, the encoding is not.
    Bytes cut = signed_part(v, good.payload);
    cut.resize(100);
    const auto sig = good.key.sign_recoverable(signing_hash(kGoldenChain, cut));
    Bytes cut_body{sig.bytes.begin(), sig.bytes.end()};
    cut_body.insert(cut_body.end(), cut.begin(), cut.end());
    EXPECT_EQ(good.run_body(cut_body).rule, Failure::ssz);

    Sample old = good;
    old.payload.timestamp = 0;
    old.seal();
    EXPECT_EQ(old.run().rule, Failure::too_old);
    Sample far = good;
    far.payload.timestamp = ~0ULL;
    far.seal();
    EXPECT_EQ(far.run().rule, Failure::too_new);

    Sample wrong = good;
    wrong.payload.gas_used ^= 1U;
    EXPECT_EQ(wrong.run().rule, Failure::block_hash);

    if (v >= PayloadVersion::v2) {
      Bytes part = signed_part(v, good.payload);
      part.insert(part.end(), 44, 0);
      const auto s = good.key.sign_recoverable(signing_hash(kGoldenChain, part));
      Bytes with{s.bytes.begin(), s.bytes.end()};
      with.insert(with.end(), part.begin(), part.end());
      EXPECT_EQ(good.run_body(with).rule, Failure::withdrawals);
    }
    if (v >= PayloadVersion::v3) {
      Sample blob = good;
      blob.payload.blob_gas_used = 131072;
      blob.seal();
      EXPECT_EQ(blob.run().rule, Failure::blob_gas);
      blob.config = config_with(blob.payload.timestamp);
      EXPECT_EQ(blob.run().rule, Failure::none) << "from Jovian on it carries the DA footprint";
      Sample excess = good;
      excess.payload.excess_blob_gas = 1;
      excess.seal();
      EXPECT_EQ(excess.run().rule, Failure::excess_blob_gas);
    }
  }
}

// A block that engine-driver keeps from the EL is valid gossip: op-node passes it on and punishes nobody.
TEST(Rules, TransactionsAreOpaque) {
  testing::Random random{8};
  for (const auto v : kAll) {
    Sample block{v, random};
    Bytes deposit = testing::random_transaction(random, 0x7e, 100);
    deposit.erase(deposit.begin());
    block.payload.transactions = {deposit, {0x00, 0xc0}, {}, {0xb8}};
    block.seal();
    const Checked c = block.run();
    EXPECT_EQ(c.rule, Failure::none) << c.why;
    EXPECT_EQ(*c.payload, block.payload);
  }
}

TEST(SeenBlocks, CountsAsOpNodeDoes) {
  SeenBlocks seen;
  const auto block = [](std::uint64_t n, std::uint8_t i) {
    eth::BlockId b{n, {}};
    b.hash.bytes[0] = i;
    return b;
  };
  for (std::uint8_t i = 0; i < 6; ++i)
    EXPECT_EQ(seen.admit(block(1, i)), i < 6 ? Failure::none : Failure::seen) << int{i};
  EXPECT_EQ(seen.admit(block(1, 6)), Failure::too_many_at_height) << "the seventh";
  EXPECT_EQ(seen.admit(block(1, 0)), Failure::too_many_at_height) << "from then on known ones too";
  EXPECT_EQ(seen.admit(block(2, 0)), Failure::none);
  EXPECT_EQ(seen.admit(block(2, 0)), Failure::seen);
  // A thousand heights later height 2 is forgotten; a height that was used in between is not.
  EXPECT_EQ(seen.admit(block(3, 0)), Failure::none);
  for (std::uint64_t n = 10; n < 1007; ++n) seen.admit(block(n, 0));
  EXPECT_EQ(seen.admit(block(3, 0)), Failure::seen);
  for (std::uint64_t n = 2000; n < 2999; ++n) seen.admit(block(n, 0));
  EXPECT_EQ(seen.admit(block(3, 0)), Failure::seen);
  EXPECT_EQ(seen.admit(block(2, 0)), Failure::none);
}

TEST(Results, AreOpNodes) {
  for (int i = 0; i < kFailureCount; ++i) {
    const auto r = static_cast<Failure>(i);
    const auto want = r == Failure::none                              ? Result::accept
                      : r == Failure::seen || r == Failure::no_signer ? Result::ignore
                                                                      : Result::reject;
    EXPECT_EQ(result_of(r), want) << name(r);
    EXPECT_STRNE(name(r), "?");
  }
}

TEST(Ssz, RoundTrips) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  testing::Random random{seed};
  for (int i = 0; i < 400; ++i) {
    const auto v = kAll[i % 4];
    Sample s{v, random};
    s.payload.parent_beacon_block_root.reset();
    Bytes out;
    eth::encode_ssz(v, s.payload, out);
    const auto back = eth::decode_ssz(v, out);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->payload, s.payload);
    // Whatever is changed: a message that decodes encodes to the same bytes.
    out[random() % out.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    const auto changed = eth::decode_ssz(v, out);
    if (!changed.ok() || changed->withdrawals > 0) continue;
    Bytes again;
    eth::encode_ssz(v, changed->payload, again);
    EXPECT_EQ(again, out);
    for (const std::size_t cut : {std::size_t{0}, std::size_t{507}, out.size() - 1})
      (void)eth::decode_ssz(v, BytesView{out}.first(std::min(cut, out.size())));
  }
}

TEST(Ssz, EachOffsetIsChecked) {
  testing::Random random{3};
  Sample s{PayloadVersion::v4, random};
  s.payload.extra_data = Bytes(9, 1);
  s.payload.transactions = {Bytes(10, 2), Bytes(20, 3)};
  Bytes good;
  eth::encode_ssz(s.version, s.payload, good);
  const auto with = [&](std::size_t at, std::uint32_t value) {
    Bytes b = good;
    for (std::size_t i = 0; i < 4; ++i) b[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    return eth::decode_ssz(s.version, b).status();
  };
  const auto end = static_cast<std::uint32_t>(good.size());
  EXPECT_TRUE(with(436, 560).ok());
  for (const std::uint32_t v : {0U, 559U, 561U, end, 0xffffffffU}) EXPECT_FALSE(with(436, v).ok()) << "extraData " << v;
  for (const std::uint32_t v : {0U, 559U, 593U, end + 1, 0xffffffffU})
    EXPECT_FALSE(with(504, v).ok()) << "transactions " << v;
  for (const std::uint32_t v : {0U, 568U, end + 1, 0xffffffffU}) EXPECT_FALSE(with(508, v).ok()) << "withdrawals " << v;
  // The list's own offsets: first 8, second 18, in a scope of 38 bytes.
  for (const std::uint32_t v : {0U, 3U, 7U, 12U, 0xfffffffcU}) EXPECT_FALSE(with(569, v).ok()) << "first " << v;
  for (const std::uint32_t v : {7U, 39U, 0xffffffffU}) EXPECT_FALSE(with(573, v).ok()) << "second " << v;
}

}  // namespace
}  // namespace towline::gossip_block
