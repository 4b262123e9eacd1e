// Which kind a message over WebSocket counts as.
#include "libs/http/ws_message.hpp"

#include <gtest/gtest.h>

namespace towline::http {
namespace {

TEST(WsMessage, IsAnAnswerUnlessItSaysOtherwise) {
  const struct {
    std::string text;
    WsMessage kind;
  } rows[] = {
      {R"({"jsonrpc":"2.0","id":1,"result":"0x1"})", WsMessage::answer},
      {R"({"jsonrpc":"2.0","id":1,"result":null})", WsMessage::answer},
      {R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601}})", WsMessage::error},
      {R"({"id":1})", WsMessage::error},
      {R"({"method":"eth_subscription","params":{"result":{}}})", WsMessage::notification},
      {R"({"method":"eth_subscription","result":1})", WsMessage::notification},
      {R"([{"id":1,"result":1},{"method":"x"}])", WsMessage::answer},
      {"", WsMessage::answer},
      {"not JSON", WsMessage::answer},
      {R"({"method":)", WsMessage::answer},
      {R"({"method":")" + std::string(kMaxNotification, 'x') + R"("})", WsMessage::answer},
  };
  for (const auto& r : rows) EXPECT_EQ(classify(r.text), r.kind) << r.text.substr(0, 80);
}

}  // namespace
}  // namespace towline::http
