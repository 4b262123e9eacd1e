// Envelopes of transactions: real ones pass; bytes that clients may read in different ways do not.
#include "libs/eth/envelope.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "libs/base/hex.hpp"
#include "libs/eth/deposits.hpp"
#include "libs/rlp/rlp.hpp"
#include "tests/support/sample_blocks.hpp"
#include "tests/support/vectors.hpp"

namespace towline::eth {
namespace {

Bytes hex(const std::string& text) { return *parse_hex(text); }

/// The raw transactions of all real blocks, including L1 blocks with blob transactions.
std::vector<Bytes> real_transactions() {
  std::vector<Bytes> out;
  const auto add = [&](const nlohmann::json& list) {
    for (const auto& tx : list) out.push_back(hex(tx.get<std::string>()));
  };
  for (const auto& name : towline::testing::block_vectors())
    add(nlohmann::json::parse(towline::testing::read_vector(name)).at("raw_transactions"));
  for (const auto& name : towline::testing::l1_vectors())
    add(nlohmann::json::parse(towline::testing::read_vector(name)).at("newPayload").at("payload").at("transactions"));
  return out;
}

TEST(Envelope, RealTransactionsPassAndNothingMayBeCutOffOrAdded) {
  std::map<int, int> seen;
  for (const Bytes& tx : real_transactions()) {
    EXPECT_EQ(check_envelope(tx), absl::OkStatus()) << to_hex(tx);
    ++seen[tx[0] >= 0xc0 ? 0 : tx[0]];
    Bytes longer = tx;
    longer.push_back(0x80);
    EXPECT_FALSE(check_envelope(longer).ok());
    for (std::size_t cut : {std::size_t{1}, tx.size() / 2, tx.size() - 1})
      EXPECT_FALSE(check_envelope(BytesView{tx}.first(cut)).ok()) << cut;
  }
  for (const int type : {0x00, 0x02, 0x7e}) EXPECT_GT(seen[type], 0) << type;
}

TEST(Envelope, ADepositWithoutItsTypeByteIsNone) {
  int deposits = 0;
  for (const Bytes& tx : real_transactions()) {
    if (tx[0] != 0x7e) continue;
    ++deposits;
    EXPECT_EQ(check_envelope(BytesView{tx}.subspan(1)).message(), "no legacy transaction: nonce: integer too large");
  }
  EXPECT_GT(deposits, 30);
}

TEST(Envelope, FirstBytes) {
  Bytes nine;
  for (int i = 0; i < 9; ++i) nine.push_back(0x80);
  Bytes legacy;
  rlp::append_list(nine, legacy);
  EXPECT_EQ(check_envelope(legacy), absl::OkStatus());
  for (int first = 0; first < 256; ++first) {
    Bytes tx{static_cast<std::uint8_t>(first)};
    EXPECT_FALSE(check_envelope(tx).ok()) << "alone: " << first;
    tx.insert(tx.end(), legacy.begin(), legacy.end());
    const bool known = (first >= 1 && first <= 4) || first == 0x7e;
    EXPECT_EQ(check_envelope(tx).ok(), first >= 1 && first < 0x80 && !known) << first;
  }
  EXPECT_FALSE(check_envelope({}).ok());
}

TEST(Envelope, ALegacyTransactionHasExactlyNineFields) {
  for (int n = 0; n < 14; ++n) {
    Bytes fields(static_cast<std::size_t>(n), 0x80), tx;
    rlp::append_list(fields, tx);
    EXPECT_EQ(check_envelope(tx).ok(), n == 9) << n;
  }
}

/// A transaction as a list of encoded fields, to change one of them.
struct Fields {
  std::optional<std::uint8_t> type;
  std::vector<Bytes> items;
  explicit Fields(const Bytes& raw) {
    BytesView body{raw};
    if (raw[0] < 0x80) {
      type = raw[0];
      body = body.subspan(1);
    }
    rlp::Reader outer{body};
    rlp::Reader r = *outer.list();
    while (!r.empty()) {
      const auto item = *r.next();
      items.emplace_back(item.encoding.begin(), item.encoding.end());
    }
  }
  Bytes with(std::size_t at, const Bytes& item) const {
    Bytes payload, out;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Bytes& x = i == at ? item : items[i];
      payload.insert(payload.end(), x.begin(), x.end());
    }
    if (type) out.push_back(*type);
    rlp::append_list(payload, out);
    return out;
  }
};

Bytes string_of(std::size_t size, std::uint8_t fill = 1) {
  Bytes out;
  rlp::append_string(Bytes(size, fill), out);
  return out;
}
Bytes list_of(std::initializer_list<Bytes> items) {
  Bytes payload, out;
  for (const auto& i : items) payload.insert(payload.end(), i.begin(), i.end());
  rlp::append_list(payload, out);
  return out;
}

struct Row {
  std::uint8_t type;
  std::size_t field;
  const char* name;
  std::vector<Bytes> good, bad;
};

TEST(Envelope, EachFieldIsOfItsKind) {
  const Bytes list = list_of({}), address = string_of(20), empty = string_of(0);
  const std::vector<Bytes> u64_good{empty, string_of(8)}, u64_bad{list, string_of(9), string_of(2, 0)};
  const std::vector<Bytes> u256_good{empty, string_of(32)}, u256_bad{list, string_of(33), string_of(2, 0)};
  const std::vector<Bytes> to_bad{list, string_of(19), string_of(21)};
  const std::vector<Bytes> access_good{list, list_of({list_of({address, list})}),
                                       list_of({list_of({address, list_of({string_of(32), string_of(32)})})})};
  const std::vector<Bytes> access_bad{empty,
                                      list_of({address}),
                                      list_of({list_of({address})}),
                                      list_of({list_of({string_of(19), list})}),
                                      list_of({list_of({address, list_of({string_of(31)})})}),
                                      list_of({list_of({address, list, list})})};
  const Bytes authorization = list_of({empty, address, empty, empty, string_of(32), string_of(32)});
  const std::vector<Row> rows = {
      {0x00, 0, "nonce", u64_good, u64_bad},
      {0x00, 1, "gasPrice", u256_good, u256_bad},
      {0x00, 2, "gas", u64_good, u64_bad},
      {0x00, 3, "to", {empty, address}, to_bad},
      {0x00, 4, "value", u256_good, u256_bad},
      {0x00, 5, "input", {empty, string_of(1000)}, {list}},
      {0x00, 6, "v", u256_good, u256_bad},
      {0x00, 7, "r", u256_good, u256_bad},
      {0x00, 8, "s", u256_good, u256_bad},
      {0x01, 0, "chainId", u256_good, u256_bad},
      {0x01, 1, "nonce", u64_good, u64_bad},
      {0x01, 7, "accessList", access_good, access_bad},
      {0x01, 10, "s", u256_good, u256_bad},
      {0x02, 2, "maxPriorityFeePerGas", u256_good, u256_bad},
      {0x02, 5, "to", {empty, address}, to_bad},
      {0x02, 8, "accessList", access_good, access_bad},
      {0x02, 11, "s", u256_good, u256_bad},
      {0x03, 5, "to", {address}, {list, empty, string_of(21)}},
      {0x03, 9, "maxFeePerBlobGas", u256_good, u256_bad},
      {0x03, 10, "blobVersionedHashes", {list, list_of({string_of(32)})}, {empty, list_of({string_of(31)})}},
      {0x04, 5, "to", {address}, {list, empty}},
      {0x04,
       9,
       "authorizationList",
       {list, list_of({authorization, authorization})},
       {empty, list_of({address}), list_of({list_of({empty, address, empty, empty, empty})}),
        list_of({list_of({empty, address, empty, empty, empty, empty, empty})}),
        list_of({list_of({empty, empty, empty, empty, empty, empty})})}},
      {0x7e, 0, "sourceHash", {string_of(32)}, {list, empty, string_of(31)}},
      {0x7e, 1, "from", {address}, {list, empty}},
      {0x7e, 2, "to", {empty, address}, to_bad},
      {0x7e, 3, "mint", u256_good, u256_bad},
      {0x7e, 5, "gas", u64_good, u64_bad},
      {0x7e, 6, "isSystemTx", {empty, Bytes{1}}, {list, Bytes{2}, Bytes{0}}},
      {0x7e, 7, "input", {empty, string_of(1000)}, {list}},
  };
  towline::testing::Random random{1};
  for (const Row& row : rows) {
    SCOPED_TRACE(absl::StrCat("type ", row.type, " ", row.name));
    const Fields tx{towline::testing::random_transaction(random, row.type, 40)};
    for (const Bytes& item : row.good) EXPECT_EQ(check_envelope(tx.with(row.field, item)), absl::OkStatus());
    for (const Bytes& item : row.bad) {
      const auto st = check_envelope(tx.with(row.field, item));
      EXPECT_TRUE(absl::IsInvalidArgument(st)) << to_hex(item);
      EXPECT_NE(st.message().find(absl::StrCat(row.name, ": ")), absl::string_view::npos) << st;
    }
    // One field less, and one more.
    EXPECT_FALSE(check_envelope(tx.with(row.field, {})).ok());
    Bytes two = tx.items[row.field];
    two.push_back(0x80);
    EXPECT_FALSE(check_envelope(tx.with(row.field, two)).ok());
  }
}

TEST(Envelope, EveryTransactionThatIsWellFormedPasses) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  towline::testing::Random random{seed};
  for (int i = 0; i < 3000; ++i) {
    static constexpr std::uint8_t kTypes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x7d, 0x7e};
    const std::uint8_t type = kTypes[random() % std::size(kTypes)];
    const Bytes tx = towline::testing::random_transaction(random, type, random() % 300);
    ASSERT_EQ(check_envelope(tx), absl::OkStatus()) << to_hex(tx);
    EXPECT_EQ(decode_deposit(tx).ok(), type == 0x7e);
  }
}

TEST(Envelope, OfABlockTheFirstThatIsWrongIsNamed) {
  std::vector<Bytes> block = real_transactions();
  EXPECT_EQ(check_envelopes(block), absl::OkStatus());
  block[3] = {0x00, 0xc0};
  block[7] = {};
  EXPECT_EQ(check_envelopes(block).message(), "transaction 3 is no envelope: it begins with 0x00, which is no type");
  EXPECT_EQ(check_envelopes({}), absl::OkStatus());
}

}  // namespace
}  // namespace towline::eth
