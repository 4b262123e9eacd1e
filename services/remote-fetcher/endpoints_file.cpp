#include "services/remote-fetcher/endpoints_file.hpp"

#include <absl/strings/str_cat.h>

#include <toml++/toml.h>

#include <fstream>

namespace towline::fetcher {

absl::StatusOr<std::vector<EndpointConfig>> read_endpoints_file(const std::string& path,
                                                                const EndpointLimits& defaults) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("--endpoints-file: ", path, ": ", why));
  };
  std::ifstream in{path};
  if (!in) return bad("cannot be read; does it exist, and may this user read it?");
  toml::table doc;
  try {
    doc = toml::parse(in);
  } catch (const toml::parse_error& e) {
    // The description may quote the line: only where it is may be told.
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
      } else if (k == "headers" && value.is_array()) {
        for (const auto& h : *value.as_array()) {
          if (!h.is_string()) return bad(where + "headers must be strings");
          c.headers.push_back(h.as_string()->get());
        }
      } else {
        return bad(absl::StrCat(where, "unknown key or wrong type: ", k,
                                " (known: url, headers, ca_file, max_in_flight, max_rps)"));
      }
    }
    if (auto st = http::check_url(c.url); !st.ok()) return bad(absl::StrCat(where, "url: ", st.message()));
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace towline::fetcher
