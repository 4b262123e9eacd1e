// The kind of a message that a server sent over WebSocket: the answer to a request, an error, or a notification. Pure.
#pragma once
#include <cstddef>
#include <string>

namespace towline::http {

/// A larger message counts as an answer and is not parsed: no notification that we subscribe to is that large.
inline constexpr std::size_t kMaxNotification = 1U << 20U;

/// Text that is no JSON object counts as an answer: the asker finds out what is wrong with it.
enum class WsMessage { answer, error, notification };
WsMessage classify(const std::string& text);

}  // namespace towline::http
