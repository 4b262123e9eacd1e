// Answers of JSON-RPC servers, parsed as the answer to one request and to a batch.
#include "libs/jsonrpc/jsonrpc.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace towline;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body = fuzz::text(data, size);
  for (const std::size_t count : {1U, 3U}) {
    const auto a = jsonrpc::Answers::parse(body, count, count > 1);
    if (!a.ok()) continue;
    fuzz::require(a->answers.size() == count);
    for (const auto& answer : a->answers) {
      if (answer.kind == jsonrpc::Answer::Kind::result) answer.result.is_null();
      jsonrpc::is_not_found(answer.error);
      jsonrpc::is_rate_limit(answer.error);
      jsonrpc::is_unsupported(answer.error);
      jsonrpc::is_too_large(answer.error);
    }
  }
  return 0;
}
