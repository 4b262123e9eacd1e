#include "services/remote-fetcher/actors/failover.hpp"

#include <absl/strings/str_cat.h>

#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

std::string field(const std::string& what) { return what.substr(0, what.find(':')); }

}  // namespace

void Failover::solved_by(std::size_t i) {
  for (const auto& [endpoint, what] : failed_)
    pool_.report_bad_data(endpoint, field(what), absl::StrCat(what, "; ", pool_.name(i), " serves it right"));
  if (!failed_.empty()) heads_.clear_unknown_rules();
  asked_.clear();
  failed_.clear();
  not_found_ = false;
}

absl::Status Failover::no_turn(const std::string& question, const absl::Status& turn, const absl::Status& last) {
  if (absl::IsCancelled(turn) || absl::IsResourceExhausted(turn)) return turn;
  return unsolved(question, last.ok() ? turn : last);
}

absl::Status Failover::unsolved(const std::string& question, const absl::Status& last) {
  if (failed_.empty()) {
    if (not_found_) return absl::NotFoundError(absl::StrCat("no source has ", question));
    return absl::UnavailableError(absl::StrCat(question, ": ", last.message()));
  }
  const std::string what = failed_.begin()->second;
  if (const auto rule = rule_we_miss(failed_, not_found_)) {
    heads_.set_unknown_rules(absl::StrCat(question, ": ", *rule));
    log::error(
        "every source fails the same check: is there a fork that this version does not know? Look for a newer one",
        {log::kv("question", question), log::kv("what", *rule)});
  } else if (!not_found_) {
    for (const auto& [endpoint, evidence] : failed_) pool_.report_bad_data(endpoint, field(evidence), evidence);
  }
  return absl::UnavailableError(absl::StrCat("no source serves what verifies: ", question, ": ", what));
}

}  // namespace towline::fetcher
