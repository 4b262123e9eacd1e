#include "services/remote-fetcher/endpoints_file.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "libs/http/url.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

constexpr std::int64_t kMaxBatch = 1000;

/// A single line "Name: value".
bool is_header(const std::string& h) {
  const auto colon = h.find(':');
  if (colon == std::string::npos || colon == 0) return false;
  const auto is_name = [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  const auto is_control = [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\t'; };
  return std::all_of(h.begin(), h.begin() + static_cast<std::ptrdiff_t>(colon), is_name) &&
         std::none_of(h.begin(), h.end(), is_control);
}

void warn_if_others_may_read(const std::string& path) {
  std::error_code ec;
  const auto mode = std::filesystem::status(path, ec).permissions();
  if (!ec && (mode & std::filesystem::perms::others_read) != std::filesystem::perms::none)
    log::warn("every user of this machine can read the endpoints file; it may hold keys: chmod o-r",
              {log::kv("file", path)});
}

}  // namespace

absl::StatusOr<std::vector<EndpointConfig>> read_endpoints_file(const std::string& path,
                                                                const EndpointLimits& defaults) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("--endpoints-file: ", path, ": ", why));
  };
  std::ifstream in{path};
  if (!in) return bad("cannot be read; does it exist, and may this user read it?");
  warn_if_others_may_read(path);
  toml::table doc;
  try {
    doc = toml::parse(in);
  } catch (const toml::parse_error& e) {
    // The description may quote the line, which may hold a secret; only its position is reported.
    return bad(absl::StrCat("not TOML (line ", e.source().begin.line, ")"));
  }
  const toml::array* list = doc["endpoint"].as_array();
  if (list == nullptr || list->empty()) return bad("no [[endpoint]] table with a url in it");
  std::vector<EndpointConfig> out;
  for (const auto& node : *list) {
    const std::string where = absl::StrCat("endpoint ", out.size() + 1, ": ");
    const toml::table* t = node.as_table();
    if (t == nullptr) return bad(where + "not a table");
    EndpointConfig c;
    c.limits = defaults;
    for (const auto& [key, value] : *t) {
      const std::string k{key.str()};
      if (k == "url" && value.is_string()) {
        c.url = value.as_string()->get();
      } else if (k == "ca_file" && value.is_string()) {
        c.ca_file = value.as_string()->get();
      } else if (k == "max_in_flight" && value.is_integer() && value.as_integer()->get() > 0) {
        c.limits.max_in_flight = static_cast<int>(value.as_integer()->get());
      } else if (k == "max_rps" && value.is_number()) {
        c.limits.max_requests_per_s = *value.value<double>();
      } else if (k == "max_batch" && value.is_integer() && value.as_integer()->get() >= 1 &&
                 value.as_integer()->get() <= kMaxBatch) {
        c.limits.max_batch = static_cast<std::size_t>(value.as_integer()->get());
      } else if (k == "group" && value.is_string() && !value.as_string()->get().empty()) {
        c.voter.group = value.as_string()->get();
      } else if (k == "votes" && value.is_array()) {
        c.voter.unsafe = c.voter.safe = c.voter.finalized = false;
        for (const auto& label : *value.as_array()) {
          const std::string l = label.value_or(std::string{});
          bool* const vote = l == "unsafe"      ? &c.voter.unsafe
                             : l == "safe"      ? &c.voter.safe
                             : l == "finalized" ? &c.voter.finalized
                                                : nullptr;
          if (vote == nullptr) return bad(where + "votes are \"unsafe\", \"safe\" and \"finalized\"");
          *vote = true;
        }
      } else if (k == "proxy" && value.is_string()) {
        c.proxy = value.as_string()->get();
      } else if (k == "headers" && value.is_array()) {
        for (const auto& h : *value.as_array()) {
          if (!h.is_string() || !is_header(h.as_string()->get()))
            return bad(where + "headers must be strings of the form \"Name: value\"");
          c.headers.push_back(h.as_string()->get());
        }
      } else {
        return bad(
            absl::StrCat(where, "unknown key, wrong type or out of range: ", k,
                         " (known: url, headers, ca_file, proxy, group, votes, max_in_flight, max_rps, max_batch)"));
      }
    }
    if (auto st = http::check_url(c.url); !st.ok()) return bad(absl::StrCat(where, "url: ", st.message()));
    if (!c.ca_file.empty()) {
      if (auto st = http::check_ca_file(c.ca_file); !st.ok())
        return bad(absl::StrCat(where, "ca_file: ", st.message()));
    }
    if (c.proxy) {
      if (auto st = http::check_proxy(*c.proxy); !st.ok()) return bad(absl::StrCat(where, "proxy: ", st.message()));
    }
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace towline::fetcher
