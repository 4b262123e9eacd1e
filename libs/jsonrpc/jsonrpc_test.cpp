#include "libs/jsonrpc/jsonrpc.hpp"

#include <gtest/gtest.h>

namespace towline::jsonrpc {
namespace {

using Kind = Answer::Kind;

std::uint64_t number(const Answer& a) { return a.result.get_uint64().value(); }

TEST(Requests, AreJsonRpc2) {
  EXPECT_EQ(request({"eth_chainId", "[]"}), R"({"jsonrpc":"2.0","id":0,"method":"eth_chainId","params":[]})");
  EXPECT_EQ(
      batch({{"a", "[1]"}, {"b", "[]"}}),
      R"([{"jsonrpc":"2.0","id":0,"method":"a","params":[1]},{"jsonrpc":"2.0","id":1,"method":"b","params":[]}])");
}

TEST(SingleAnswer, ResultOrError) {
  auto a = Answers::parse(R"({"jsonrpc":"2.0","id":0,"result":7})", 1, false);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->answers[0].kind, Kind::result);
  EXPECT_EQ(number(a->answers[0]), 7U);

  a = Answers::parse(R"({"id":0,"result":null})", 1, false);
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->answers[0].kind, Kind::result);
  EXPECT_TRUE(a->answers[0].result.is_null());

  a = Answers::parse(R"({"id":null,"error":{"code":-32000,"message":"m","data":{"err":"why"}}})", 1, false);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->answers[0].kind, Kind::error);
  EXPECT_EQ(a->answers[0].error.code, -32000);
  EXPECT_EQ(a->answers[0].error.message, "m");
  EXPECT_EQ(a->answers[0].error.detail, "why");

  a = Answers::parse(R"({"id":0,"error":{"code":-32602,"message":"m","data":"text"},"result":null})", 1, false);
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->answers[0].error.detail, "text");
}

TEST(SingleAnswer, OtherThingsAreRefused) {
  for (const char* bad : {"", "<html><body>502 Bad Gateway</body></html>", "null", "7", "\"x\"", "[]", "{}",
                          R"({"id":0})", R"({"id":0,"error":null})", R"({"id":0,"result":)", R"({"id":1,"result":7})",
                          R"({"id":"x","result":7})", R"({"result":7})", R"([{"id":0,"result":7}])"}) {
    EXPECT_EQ(Answers::parse(bad, 1, false).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(SingleAnswer, OneThatIsNothingButPunctuationIsNotParsed) {
  const auto with_junk = [](const std::string& junk) {
    return Answers::parse(R"({"id":0,"junk":[)" + junk + R"(],"result":7})", 1, false).ok();
  };
  std::string dense = "0";
  std::string loose = "0";
  for (int i = 0; i < 40'000; ++i) {
    dense += ",0";
    loose += ",\"0x0123456789abcdef\"";
  }
  EXPECT_FALSE(with_junk(dense));
  EXPECT_TRUE(with_junk(loose));
  EXPECT_TRUE(with_junk(dense.substr(0, 2'001)));  // a short text is no danger
}

TEST(SingleAnswer, ALongMessageIsCutBetweenTwoCharacters) {
  std::string message = "x";
  while (message.size() < 600) message += "\xe2\x82\xac";
  const auto a = Answers::parse(
      R"({"id":0,"error":{"code":1,"message":")" + message + R"(","data":"x)" + message + "\"}}", 1, false);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->answers[0].error.message, message.substr(0, 511));
  EXPECT_EQ(a->answers[0].error.detail, ("x" + message).substr(0, 512));
}

TEST(BatchAnswer, IdsDecideNotOrder) {
  auto a = Answers::parse(R"([{"id":2,"result":12},{"id":"0","result":10},{"id":1,"error":{"code":5,"message":"no"}}])",
                          3, true);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(number(a->answers[0]), 10U);
  EXPECT_EQ(a->answers[1].kind, Kind::error);
  EXPECT_EQ(a->answers[1].error.code, 5);
  EXPECT_EQ(number(a->answers[2]), 12U);
}

TEST(BatchAnswer, MissingDoubledAndStrangeIdsLoseOnlyTheirOwn) {
  auto a = Answers::parse(
      R"([{"id":0,"result":10},{"id":2,"result":1},{"id":2,"result":2},{"id":4,"result":3},{"id":-1,"result":4},
                              {"id":{},"result":5},{"result":6},7,null,{"id":3}])",
      4, true);
  ASSERT_TRUE(a.ok()) << a.status();
  ASSERT_EQ(a->answers.size(), 4U);
  EXPECT_EQ(number(a->answers[0]), 10U);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(a->answers[i].kind, Kind::missing) << i;
  EXPECT_FALSE(a->whole_batch_error);
  // A third answer with the same id does not bring it back.
  a = Answers::parse(R"([{"id":0,"result":1},{"id":0,"result":2},{"id":0,"result":1}])", 1, true);
  EXPECT_EQ(a->answers[0].kind, Kind::missing);
  // A repeated answer counts once.
  a = Answers::parse(R"([{"id":0,"result":1},{"id":0,"result":1}])", 1, true);
  EXPECT_EQ(number(a->answers[0]), 1U);
}

TEST(Errors, PrunedBlocks) {
  EXPECT_TRUE(is_pruned({4444, "pruned history unavailable", "", 0}));
  EXPECT_TRUE(is_pruned({-32000, "missing trie node 0xab (path ) <nil>", "", 0}));
  EXPECT_TRUE(is_pruned({-32001, "block not available", "", 0}));
  EXPECT_FALSE(is_pruned({-32000, "header not found", "", 0}));
  EXPECT_TRUE(is_not_found({-39001, "", "", 0}));
  const auto absence_of = [](const std::string& answer) {
    const auto a = Answers::parse("{\"id\":0," + answer + "}", 1, false);
    return absence(a->answers[0]);
  };
  EXPECT_EQ(absence(Answer{}), Absence::none);
  EXPECT_EQ(absence_of(R"("result":null)"), Absence::absent);
  EXPECT_EQ(absence_of(R"("result":{})"), Absence::none);
  EXPECT_EQ(absence_of(R"("error":{"code":-32000,"message":"header not found"})"), Absence::absent);
  EXPECT_EQ(absence_of(R"("error":{"code":4444,"message":"pruned history unavailable"})"), Absence::pruned);
  EXPECT_EQ(absence_of(R"("error":{"code":-32603,"message":"internal error"})"), Absence::none);
}

TEST(Answers, AResultBesideAnErrorIsNeither) {
  EXPECT_FALSE(Answers::parse(R"({"id":0,"result":1,"error":{"code":0,"message":""}})", 1, false).ok());
  EXPECT_TRUE(Answers::parse(R"({"id":0,"result":1,"error":null})", 1, false).ok());
  EXPECT_TRUE(Answers::parse(R"({"id":0,"result":null,"error":{"code":1,"message":""}})", 1, false).ok());
}

TEST(BatchAnswer, ASingleObject) {
  auto a = Answers::parse(R"({"id":null,"error":{"code":-32600,"message":"batch too large"}})", 2, true);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_TRUE(a->whole_batch_error);
  EXPECT_TRUE(is_too_large(a->batch_error));
  EXPECT_EQ(a->answers[0].kind, Kind::missing);
  a = Answers::parse(R"({"id":1,"result":8})", 2, true);
  ASSERT_TRUE(a.ok());
  EXPECT_FALSE(a->whole_batch_error);
  EXPECT_EQ(a->answers[0].kind, Kind::missing);
  EXPECT_EQ(number(a->answers[1]), 8U);
  EXPECT_FALSE(Answers::parse("<html>", 2, true).ok());
  EXPECT_FALSE(Answers::parse("{}", 2, true).ok());
  EXPECT_TRUE(Answers::parse("[]", 2, true).ok());
}

TEST(Errors, LongTextsAreCut) {
  auto a = Answers::parse(R"({"id":0,"error":{"code":"x","message":")" + std::string(5000, 'x') + "\"}}", 1, false);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->answers[0].error.message.size(), 512U);
  EXPECT_EQ(a->answers[0].error.code, 0);
}

TEST(Errors, AreClassified) {
  const struct {
    Error error;
    bool not_found, rate_limit, unsupported, too_large;
  } cases[] = {
      {{-32000, "safe block not found", ""}, true, false, false, false},
      {{-32000, "finalized block not found", ""}, true, false, false, false},
      {{-32001, "block not found: finalized", ""}, true, false, false, false},
      {{-32000, "Unknown block", ""}, true, false, false, false},
      {{-32000, "header for hash not found", ""}, true, false, false, false},
      {{-32005, "daily request count exceeded, request rate limited", ""}, false, true, false, false},
      {{-32005, "", ""}, false, true, false, false},
      {{-32016, "over rate limit", ""}, false, true, false, false},
      {{-32007, "50/second request limit reached", ""}, false, true, false, false},
      {{-32000, "Too Many Requests", ""}, false, true, false, false},
      {{429, "", ""}, false, true, false, false},
      {{-32601, "the method debug_getRawBlock does not exist/is not available", ""}, false, false, true, false},
      {{-32600, "rpc method is not whitelisted", ""}, false, false, true, false},
      {{-32004, "Unsupported method: debug_getRawBlock", ""}, false, false, true, false},
      {{-32600, "batch too large", ""}, false, false, false, true},
      {{-32003, "response too large", ""}, false, false, false, true},
      {{-32008, "Response is too big", ""}, false, false, false, true},
      {{-32014, "too many RPC calls in batch request", ""}, false, false, false, true},
      {{-32000, "batch limit 100 exceeded", ""}, false, false, false, true},
      {{-32602, "Too many requests in batch", ""}, false, false, false, true},
      {{-32000, "historical state is not available", ""}, false, false, false, false},
      {{-32603, "internal error", ""}, false, false, false, false},
      {{-38002, "Invalid forkchoice state", "safe block not in canonical chain"}, false, false, false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.error.message);
    EXPECT_EQ(is_not_found(c.error), c.not_found);
    EXPECT_EQ(is_rate_limit(c.error), c.rate_limit);
    EXPECT_EQ(is_unsupported(c.error), c.unsupported);
    EXPECT_EQ(is_too_large(c.error), c.too_large);
  }
}

TEST(Errors, SomeSayHowLongToWait) {
  const auto backoff = [](const std::string& data) {
    const auto a = Answers::parse(
        R"({"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"limited","data":)" + data + "}}", 1, false);
    return a.ok() ? a->answers[0].error.backoff_s : -1;
  };
  EXPECT_EQ(backoff(R"({"rate":{"allowed_rps":1,"backoff_seconds":30,"current_rps":1.4}})"), 30);
  EXPECT_EQ(backoff(R"({"rate":{"backoff_seconds":0.5}})"), 0.5);
  for (const char* none : {"null", R"("text")", "{}", R"({"rate":7})", R"({"rate":{"backoff_seconds":"soon"}})"}) {
    EXPECT_EQ(backoff(none), 0) << none;
  }
}

}  // namespace
}  // namespace towline::jsonrpc
