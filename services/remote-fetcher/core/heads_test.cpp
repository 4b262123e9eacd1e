#include "services/remote-fetcher/core/heads.hpp"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "libs/base/hex.hpp"

namespace towline::fetcher {
namespace {

const absl::Time t0 = absl::FromUnixSeconds(1'700'000'000);

eth::BlockRef block(std::uint64_t number, std::uint8_t branch = 1) {
  return {number,
          {{branch, static_cast<std::uint8_t>(number)}},
          {{branch, static_cast<std::uint8_t>(number - 1)}},
          number * 2};
}

contract::HeadSnapshot heads(const std::string& endpoint, contract::EndpointKind kind, std::uint64_t unsafe,
                             absl::Time observed = t0) {
  contract::HeadSnapshot s;
  s.endpoint = endpoint;
  s.kind = kind;
  s.unsafe = block(unsafe);
  s.safe = block(unsafe - 5);
  s.finalized = block(unsafe - 10);
  s.observed = observed;
  return s;
}

/// The header of a real block, as eth_getBlockByNumber returns it.
std::string real_header() {
  std::ifstream in{TOWLINE_SOURCE_DIR "/tests/vectors/devnet-forks-042-jovian.json"};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  simdjson::dom::parser parser;
  const auto doc = parser.parse(text).value();
  return absl::StrCat("{\"hash\":", simdjson::minify(doc["hash"].value()), ",",
                      simdjson::minify(doc["header"].value()).substr(1));
}

absl::StatusOr<contract::HeadSnapshot> from_el(const std::string& latest, const std::string& safe,
                                               const std::string& finalized) {
  auto a = jsonrpc::Answers::parse(
      absl::StrCat("[{\"id\":0,", latest, "},{\"id\":1,", safe, "},{\"id\":2,", finalized, "}]"), 3, true);
  EXPECT_TRUE(a.ok()) << a.status();
  return snapshot_from_el(a->answers[0], a->answers[1], a->answers[2]);
}

TEST(Snapshot, OfAnElHasWhatItsHeadersHashTo) {
  const std::string result = absl::StrCat("\"result\":", real_header());
  const std::string unset = R"("error":{"code":-32000,"message":"safe block not found"})";
  auto s = from_el(result, unset, "\"result\":null");
  ASSERT_TRUE(s.ok()) << s.status();
  ASSERT_TRUE(s->unsafe);
  EXPECT_FALSE(s->safe) << "not found is unset";
  EXPECT_FALSE(s->finalized);
}

TEST(Snapshot, OfAnElIsDroppedWholeWhenOnePartIsBad) {
  const std::string good = absl::StrCat("\"result\":", real_header());
  const std::string lie = absl::StrReplaceAll(good, {{"\"gasUsed\":\"0x", "\"gasUsed\":\"0x1"}});
  ASSERT_NE(good, lie);
  EXPECT_TRUE(absl::IsDataLoss(from_el(good, lie, good).status()));
  EXPECT_FALSE(from_el(good, R"("error":{"code":-32603,"message":"internal error"})", good).ok());
  EXPECT_FALSE(from_el(good, good, "\"nothing\":0").ok());
  EXPECT_FALSE(from_el("\"result\":null", good, good).ok());
  EXPECT_FALSE(from_el("\"result\":7", good, good).ok());
}

TEST(Snapshot, OfAClHasItsLabelsAndItsL1) {
  const auto ref = [](std::uint64_t n) {
    return absl::StrCat("{\"hash\":\"", to_hex(block(n).hash.view()), "\",\"parentHash\":\"",
                        to_hex(block(n - 1).hash.view()), "\",\"number\":", n, ",\"timestamp\":", n * 2, "}");
  };
  const std::string zero = absl::StrCat("{\"hash\":\"0x", std::string(64, '0'), "\",\"number\":0,\"parentHash\":\"0x",
                                        std::string(64, '0'), "\",\"timestamp\":0}");
  simdjson::dom::parser parser;
  auto s = snapshot_from_cl(
      parser
          .parse(absl::StrCat("{\"current_l1\":", zero, ",\"unsafe_l2\":", ref(30), ",\"local_safe_l2\":", ref(25),
                              ",\"safe_l2\":", ref(20), ",\"finalized_l2\":", zero, "}"))
          .value());
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->kind, contract::EndpointKind::cl);
  EXPECT_EQ(s->unsafe->number, 30U);
  EXPECT_EQ(s->local_safe->number, 25U);
  EXPECT_EQ(s->safe->number, 20U);
  EXPECT_FALSE(s->finalized);
  ASSERT_TRUE(s->current_l1);
  EXPECT_TRUE(s->current_l1->hash.is_zero()) << "it is starting or replaying";
  EXPECT_FALSE(snapshot_from_cl(parser.parse(absl::StrCat("{\"unsafe_l2\":", zero, "}")).value()).ok());
}

TEST(Snapshot, MustBeInOrder) {
  contract::HeadSnapshot s = heads("a", contract::EndpointKind::cl, 100);
  s.local_safe = block(97);
  EXPECT_TRUE(check_order(s).ok());
  s.finalized = s.safe;
  EXPECT_TRUE(check_order(s).ok()) << "equal blocks are in order";
  for (const auto& breaks : std::vector<std::function<void(contract::HeadSnapshot&)>>{
           [](contract::HeadSnapshot& x) { x.safe = block(101); },
           [](contract::HeadSnapshot& x) { x.finalized = block(96); },
           [](contract::HeadSnapshot& x) { x.local_safe = block(94); },
           [](contract::HeadSnapshot& x) { x.safe.reset(), x.finalized = block(101); },
           [](contract::HeadSnapshot& x) { x.finalized = block(95, 2); },  // at the height of safe, but another block
       }) {
    contract::HeadSnapshot broken = heads("a", contract::EndpointKind::cl, 100);
    broken.local_safe = block(97);
    breaks(broken);
    EXPECT_TRUE(absl::IsDataLoss(check_order(broken)));
  }
}

TEST(Snapshot, TimesAreWhatNumbersSay) {
  rollup::Config chain;
  chain.l2_genesis.number = 10;
  chain.l2_time = 20;
  chain.block_time = 2;
  const contract::HeadSnapshot good = heads("a", contract::EndpointKind::el, 100);  // block n has time 2n
  EXPECT_TRUE(check_times(good, chain, absl::FromUnixSeconds(140)).ok());
  EXPECT_TRUE(absl::IsOutOfRange(check_times(good, chain, absl::FromUnixSeconds(139)))) << "61 s ahead";
  for (const auto label :
       {&contract::HeadSnapshot::unsafe, &contract::HeadSnapshot::safe, &contract::HeadSnapshot::finalized}) {
    contract::HeadSnapshot bad = good;
    (bad.*label)->timestamp += 1;
    EXPECT_TRUE(absl::IsFailedPrecondition(check_times(bad, chain, absl::FromUnixSeconds(1000))));
  }
  contract::HeadSnapshot far = good;
  far.unsafe = block(1'000'000);
  EXPECT_FALSE(check_times(far, chain, absl::FromUnixSeconds(1000)).ok()) << "how far a head can be invented";
  chain.l2_genesis.number = 200;
  EXPECT_TRUE(check_times(good, chain, absl::FromUnixSeconds(140)).ok()) << "what is below genesis has other rules";
}

TEST(Snapshot, ANodeThatIsFarBehindWhatItNamesIsSyncing) {
  struct Row {
    const char* status;
    bool syncing;
  };
  for (const Row& row :
       {Row{R"({"currentBlock":"0x64","highestBlock":"0x3e8"})", true},
        Row{R"({"currentBlock":"0x64","highestBlock":"0x84"})", false},
        Row{R"({"currentBlock":"0x64","highestBlock":"0x85"})", true}, Row{"false", false}, Row{"null", false},
        Row{R"({"currentBlock":"0x64"})", false}, Row{R"({"currentBlock":100,"highestBlock":1000})", false},
        Row{R"({"currentBlock":"0x64","highestBlock":"many"})", false}, Row{"{}", false}}) {
    simdjson::dom::parser parser;
    const Trouble t = syncing_from(parser.parse(std::string{row.status}));
    EXPECT_EQ(t.problem == Problem::syncing, row.syncing) << row.status;
  }
}

TEST(Snapshot, SameHeadsAreToldFromNewOnes) {
  const contract::HeadSnapshot a = heads("a", contract::EndpointKind::el, 100);
  contract::HeadSnapshot b = heads("a", contract::EndpointKind::el, 100, t0 + absl::Seconds(1));
  EXPECT_TRUE(same_heads(a, b));
  b.safe = block(96);
  EXPECT_FALSE(same_heads(a, b));
}

}  // namespace
}  // namespace towline::fetcher
