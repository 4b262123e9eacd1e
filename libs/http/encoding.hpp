// Content-Encoding of an answer. The consumer of the answer unpacks it, not the thread that serves all transfers, so an
// answer that is hard to unpack delays no other.
#pragma once
#include "libs/http/message.hpp"

namespace towline::http {

/// `r` with its body unpacked to at most `max_bytes`. Requests ask for one layer of gzip: anything else is
/// Failure::encoding. If the body of a refusal (a status that is not 2xx) cannot be unpacked it is left out, because
/// the status says enough.
Response decoded(Response r, std::size_t max_bytes);

}  // namespace towline::http
