#include "services/remote-fetcher/core/http_answer.hpp"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

using Kind = Outcome::Kind;

std::string ok(int id) { return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"result":"0x1"})"); }
std::string error(const std::string& id, int code, const std::string& message) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":)", code, R"(,"message":")", message,
                      R"("}})");
}

struct Case {
  const char* name;
  std::size_t calls;
  HttpAnswer answer;
  Kind kind;
  Problem problem = Problem::none;
  std::size_t answered = 0;
};

TEST(HttpAnswer, Table) {
  const std::string page = "<html><body>no</body></html>";
  const Case cases[] = {
      {"a result", 1, {200, ok(0), {}}, Kind::answered, Problem::none, 1},
      {"a method error", 1, {200, error("0", -32601, "no such method"), {}}, Kind::answered, Problem::none, 1},
      {"the same over 403", 1, {403, error("0", -32601, "not whitelisted"), {}}, Kind::answered, Problem::none, 1},
      {"the same over 400", 1, {400, error("0", -32601, "no such method"), {}}, Kind::answered, Problem::none, 1},
      {"405 and a text", 1, {405, "method not allowed", {}}, Kind::answered, Problem::none, 1},
      {"401 and a text", 1, {401, "no key", {}}, Kind::failed, Problem::unauthorized},
      {"401 and JSON-RPC", 1, {401, error("0", -32600, "authenticate"), {}}, Kind::failed, Problem::unauthorized},
      {"402", 1, {402, "pay", {}}, Kind::failed, Problem::payment_required},
      {"403 and a page", 1, {403, page, {}}, Kind::failed, Problem::forbidden},
      {"308", 1, {308, ok(0), {}}, Kind::failed, Problem::redirects},
      {"308 to a batch", 2, {308, page, {}}, Kind::failed, Problem::redirects},
      {"426", 1, {426, "upgrade", {}}, Kind::failed, Problem::is_websocket},
      {"500 and a page", 1, {500, page, {}}, Kind::failed, Problem::http_error},
      {"200 and a page", 1, {200, page, {}}, Kind::failed, Problem::not_json_rpc},
      {"a result beside an error",
       1,
       {200, R"({"jsonrpc":"2.0","id":0,"result":"0x1","error":{"code":0,"message":""}})", {}},
       Kind::failed,
       Problem::not_json_rpc},
      {"429 and a text", 1, {429, "error code: 1015", {}}, Kind::rate_limited},
      {"a limit over 200", 1, {200, error("0", -32016, "over rate limit"), {}}, Kind::rate_limited},
      {"503 with Retry-After", 1, {503, page, absl::Seconds(1)}, Kind::rate_limited},
      {"503 without", 1, {503, page, {}}, Kind::failed, Problem::http_error},

      {"a batch", 2, {200, "[" + ok(1) + "," + ok(0) + "]", {}}, Kind::answered, Problem::none, 2},
      {"the same answer twice",
       2,
       {200, "[" + ok(0) + "," + ok(1) + "," + ok(1) + "]", {}},
       Kind::answered,
       Problem::none,
       2},
      {"two answers for one call",
       2,
       {200, "[" + ok(0) + "," + ok(1) + "," + error("1", -32000, "x") + "]", {}},
       Kind::gaps,
       Problem::none,
       1},
      {"a gap", 3, {200, "[" + ok(0) + "," + ok(2) + "]", {}}, Kind::gaps, Problem::none, 2},
      {"no ids", 2, {200, R"([{"result":1},{"result":2}])", {}}, Kind::batch_failed, Problem::not_json_rpc},
      {"413", 2, {413, error("null", -32014, "too many"), {}}, Kind::batch_failed, Problem::http_error},
      {"400 and a text", 2, {400, "too many requests", {}}, Kind::batch_failed, Problem::http_error},
      {"500 and a page", 2, {500, page, {}}, Kind::batch_failed, Problem::http_error},
      {"500 and one error each",
       2,
       {500, "[" + error("0", 31, "batch") + "," + error("1", 31, "batch") + "]", {}},
       Kind::batch_failed,
       Problem::http_error},
      {"408 and one error each",
       2,
       {408, "[" + error("0", 30, "timeout") + "," + error("1", 30, "timeout") + "]", {}},
       Kind::batch_failed,
       Problem::http_error},
      {"one error in the first place",
       3,
       {200, "[" + error("0", -32600, "batch too large") + "]", {}},
       Kind::batch_failed,
       Problem::not_json_rpc},
      {"one -32005",
       2,
       {200, error("null", -32005, "batches are not supported"), {}},
       Kind::batch_failed,
       Problem::not_json_rpc},
      {"503 and one -32005",
       2,
       {503, error("null", -32005, "batch size limit exceeded"), {}},
       Kind::batch_failed,
       Problem::http_error},
      {"429 for a batch", 2, {429, error("null", -32029, "too many"), {}}, Kind::rate_limited},
      {"some calls over a limit",
       3,
       {200, "[" + ok(0) + "," + error("1", 429, "units") + "," + error("2", 429, "units") + "]", {}},
       Kind::rate_limited,
       Problem::none,
       1},
      {"a method that is refused in a batch",
       2,
       {403, "[" + error("0", -32601, "no") + "," + error("1", -32601, "no") + "]", {}},
       Kind::answered,
       Problem::none,
       2},
  };
  for (const Case& c : cases) {
    const Outcome o = read_http_answer(c.answer, c.calls);
    EXPECT_EQ(o.kind, c.kind) << c.name;
    EXPECT_EQ(o.trouble.problem, c.problem) << c.name;
    EXPECT_EQ(o.answered, c.answered) << c.name;
  }
}

TEST(HttpAnswer, AWaitIsTakenFromTheHeaderOrTheBody) {
  EXPECT_EQ(read_http_answer({429, "", absl::Seconds(7)}, 1).wait, absl::Seconds(7));
  const std::string body =
      R"({"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"x","data":{"rate":{"backoff_seconds":3}}}})";
  EXPECT_EQ(read_http_answer({200, body, {}}, 1).wait, absl::Seconds(3));
  EXPECT_EQ(read_http_answer({429, "", {}}, 1).wait, std::nullopt);
}

}  // namespace
}  // namespace towline::fetcher
