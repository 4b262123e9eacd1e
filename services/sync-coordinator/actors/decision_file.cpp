#include "services/sync-coordinator/actors/decision_file.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libs/base/files.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::coordinator {

absl::StatusOr<std::deque<Decision>> load_decisions(const std::string& path) {
  const auto file = read_state_file(path);
  if (absl::IsNotFound(file.status())) return std::deque<Decision>{};
  if (!file.ok()) return file.status();
  const auto doc = nlohmann::json::parse(*file, nullptr, false);
  const auto bad = absl::DataLossError(absl::StrCat(path, " is damaged"));
  if (!doc.is_array()) return bad;
  // The file has wall-clock times, memory has steady-clock times.
  const absl::Duration ahead = steady_ahead();
  std::deque<Decision> out;
  for (const auto& d : doc) {
    if (!d.is_object()) return bad;
    const auto text = [&](const char* key) {
      return d.contains(key) && d[key].is_string() ? d[key].get<std::string>() : "";
    };
    const auto number = [&](const char* key) {
      return d.contains(key) && d[key].is_number_unsigned() ? d[key].get<std::uint64_t>() : 0;
    };
    Decision x;
    x.sequence = number("sequence");
    x.time = absl::FromUnixMillis(static_cast<std::int64_t>(number("time_ms"))) + ahead;
    x.action = action_of(text("action"));
    x.reason = text("reason");
    x.state = tow_state_of(text("state")).value_or(TowState::starting);
    x.repeated = number("repeated");
    x.fold = text("fold");
    out.push_back(std::move(x));
  }
  return out;
}

std::string encode_decisions(const std::deque<Decision>& decisions) {
  const absl::Duration ahead = steady_ahead();
  nlohmann::json doc = nlohmann::json::array();
  for (const Decision& d : decisions) {
    doc.push_back(
        {{"sequence", d.sequence},
         {"time_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToUnixMillis(d.time - ahead)))},
         {"action", std::string{text(d.action)}},
         {"reason", d.reason},
         {"state", name(d.state)},
         {"repeated", d.repeated},
         {"fold", d.fold}});
  }
  // A reason may quote an EL or a source, so its bytes may be no valid UTF-8.
  return doc.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace towline::coordinator
