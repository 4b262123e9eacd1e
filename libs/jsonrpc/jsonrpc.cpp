#include "libs/jsonrpc/jsonrpc.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "libs/base/text.hpp"

namespace towline::jsonrpc {
namespace {

using simdjson::dom::element;

constexpr std::size_t kMaxText = 512;

/// The text of an error, cut to what a person reads.
std::string short_text(element e) { return cut_text(text(e), kMaxText); }

Error read_error(element e) {
  Error out;
  element v;
  if (e["code"].get(v) == simdjson::SUCCESS && v.get(out.code) != simdjson::SUCCESS) out.code = 0;
  if (e["message"].get(v) == simdjson::SUCCESS) out.message = short_text(v);
  if (e["data"].get(v) == simdjson::SUCCESS) {
    element err;
    out.detail = short_text(v.is_object() && v["err"].get(err) == simdjson::SUCCESS ? err : v);
    element wait;
    if (!v.is_object() || v.at_pointer("/rate/backoff_seconds").get(wait) != simdjson::SUCCESS ||
        wait.get(out.backoff_s) != simdjson::SUCCESS) {
      out.backoff_s = 0;
    }
  }
  return out;
}

/// Fills `a` from an answer object; false if it is neither a result nor an error, or claims to be both.
bool read_answer(element e, Answer& a) {
  element v;
  if (e["error"].get(v) == simdjson::SUCCESS && !v.is_null()) {
    element result;
    if (e["result"].get(result) == simdjson::SUCCESS && !result.is_null()) return false;
    a.kind = Answer::Kind::error;
    a.error = read_error(v);
    return true;
  }
  if (e["result"].get(v) == simdjson::SUCCESS) {
    a.kind = Answer::Kind::result;
    a.result = v;
    return true;
  }
  return false;
}

/// Our ids are small numbers; some servers return them as strings.
std::optional<std::uint64_t> read_id(element e) {
  element v;
  std::uint64_t id = 0;
  if (e["id"].get(v) != simdjson::SUCCESS) return std::nullopt;
  if (v.get(id) == simdjson::SUCCESS || absl::SimpleAtoi(short_text(v), &id)) return id;
  return std::nullopt;
}

bool has_id(element e) {
  element v;
  return e["id"].get(v) == simdjson::SUCCESS && !v.is_null();
}

bool mentions(const Error& e, std::initializer_list<absl::string_view> words) {
  const std::string message = absl::AsciiStrToLower(absl::StrCat(e.message, " ", e.detail));
  return std::any_of(words.begin(), words.end(), [&](absl::string_view w) { return absl::StrContains(message, w); });
}

/// A DOM takes 12 bytes or more for each punctuation character, and a text may consist of nothing else. Useful answers
/// have one in 20 bytes; short ones (batches of nulls) one in 6.
bool mostly_punctuation(const std::string& body) {
  constexpr std::size_t kShort = 64U << 10U;
  constexpr std::size_t kBytesForOne = 8;
  // Counted in blocks of a fixed size, for which the compiler uses vectors: each answer passes here. The rest does not
  // matter.
  constexpr std::size_t kBlock = 128;
  if (body.size() <= kShort) return false;
  std::size_t n = 0;
  for (const char *block = body.data(), *end = block + body.size() / kBlock * kBlock; block != end; block += kBlock) {
    std::uint8_t here = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      const char c = block[i];
      here = static_cast<std::uint8_t>(here + ((c == ',') | (c == ':') | (c == '[') | (c == '{')));
    }
    n += here;
  }
  return n > body.size() / kBytesForOne;
}

std::string one(const Call& call, std::size_t id) {
  return absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":\"", call.method, "\",\"params\":", call.params,
                      "}");
}

}  // namespace

absl::string_view text(element e) {
  std::string_view s;
  if (e.get(s) != simdjson::SUCCESS) s = {};
  return {s.data(), s.size()};
}

std::string request(const Call& call) { return one(call, 0); }

std::string batch(const std::vector<Call>& calls) {
  std::string out = "[";
  for (std::size_t i = 0; i < calls.size(); ++i) absl::StrAppend(&out, i == 0 ? "" : ",", one(calls[i], i));
  return out + "]";
}

absl::StatusOr<Answers> Answers::parse(const std::string& body, std::size_t count, bool batch) {
  if (mostly_punctuation(body)) return absl::InvalidArgumentError("the answer is nothing that was asked for");
  Answers out;
  out.answers.resize(count);
  out.parser_ = std::make_unique<simdjson::dom::parser>();
  element doc;
  if (out.parser_->parse(body).get(doc) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError("the answer is not JSON (an error page of a proxy?)");
  }
  if (!batch) {
    if (!doc.is_object() || !read_answer(doc, out.answers[0])) {
      return absl::InvalidArgumentError("the answer is JSON but not JSON-RPC");
    }
    // Errors may have a null id, or none.
    if (has_id(doc) ? read_id(doc) != 0U : out.answers[0].kind == Answer::Kind::result) {
      return absl::InvalidArgumentError("the answer is for another request");
    }
    return out;
  }
  simdjson::dom::array items;
  if (doc.get(items) != simdjson::SUCCESS) {
    Answer a;
    if (!doc.is_object() || !read_answer(doc, a))
      return absl::InvalidArgumentError("the answer is JSON but not JSON-RPC");
    if (a.kind == Answer::Kind::error) {
      out.whole_batch_error = true;
      out.batch_error = a.error;
    } else if (const auto id = read_id(doc); id && *id < count) {
      out.answers[*id] = std::move(a);
    }
    return out;
  }
  std::vector<std::optional<element>> seen(count);
  for (element item : items) {
    if (!item.is_object()) continue;
    const auto id = read_id(item);
    if (!id || *id >= count) continue;
    auto& before = seen[*id];
    // A repeated answer counts once; of two different answers for one id neither can be trusted.
    if (before) {
      if (simdjson::minify(*before) != simdjson::minify(item)) out.answers[*id] = Answer{};
      continue;
    }
    before = item;
    Answer a;
    if (read_answer(item, a)) out.answers[*id] = std::move(a);
  }
  return out;
}

bool is_not_found(const Error& e) {
  if (e.code == -39001) return true;
  return mentions(e, {"block not found", "nknown block", "header not found", "header for hash not found"});
}

bool is_pruned(const Error& e) {
  return e.code == 4444 || mentions(e, {"pruned history", "missing trie node", "block not available"});
}

Absence absence(const Answer& a) {
  switch (a.kind) {
    case Answer::Kind::missing: return Absence::none;
    case Answer::Kind::result: return a.result.is_null() ? Absence::absent : Absence::none;
    case Answer::Kind::error: break;
  }
  if (is_pruned(a.error)) return Absence::pruned;
  return is_not_found(a.error) ? Absence::absent : Absence::none;
}

bool is_rate_limit(const Error& e) {
  switch (e.code) {
    case -32005:
    case -32007:
    case -32012:
    case -32016:
    case -32029:
    case -32055:
    case 429:
    case 1008: return true;
    default:
      return !is_too_large(e) &&
             mentions(e, {"rate limit", "too many requests", "request limit reached", "daily request count exceeded"});
  }
}

bool may_be_batch_limit(const Error& e) { return e.code == -32005 || is_too_large(e); }

bool is_unsupported(const Error& e) {
  if (e.code == -32601 || mentions(e, {"not whitelisted", "unsupported method"})) return true;
  return mentions(e, {"method"}) &&
         mentions(e, {"does not exist", "not found", "not available", "not supported", "not allowed"});
}

bool is_too_large(const Error& e) {
  return e.code == 413 ||
         mentions(e, {"too large", "too big", "response size", "batch limit", "batch size", "too many rpc calls",
                      "too many requests in batch", "batch requests are not supported", "batching is not supported"});
}

}  // namespace towline::jsonrpc
