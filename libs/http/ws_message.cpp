#include "libs/http/ws_message.hpp"

#include <simdjson.h>

namespace towline::http {

WsMessage classify(const std::string& text) {
  if (text.size() > kMaxNotification) return WsMessage::answer;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  simdjson::dom::element ignored;
  if (parser.parse(text).get(object) != simdjson::SUCCESS) return WsMessage::answer;
  if (object["method"].get(ignored) == simdjson::SUCCESS) return WsMessage::notification;
  return object["result"].get(ignored) == simdjson::SUCCESS ? WsMessage::answer : WsMessage::error;
}

}  // namespace towline::http
