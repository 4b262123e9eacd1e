// Content-Encoding of an answer. It is taken off by who consumes the answer, not by the thread that serves everybody:
// so one that is hard to unpack costs nobody else anything.
#pragma once
#include "libs/http/message.hpp"

namespace towline::http {

/// `r` with its body unpacked to at most `max_bytes`, and no encoding. One layer of gzip is all that is asked for:
/// anything else is Failure::encoding. The body of a refusal (a status that is not 2xx) that cannot be unpacked is left
/// out: its status says enough.
Response decoded(Response r, std::size_t max_bytes);

}  // namespace towline::http
