#include "services/p2p-gossip/core/bans.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "libs/base/status.hpp"
#include "libs/base/text.hpp"

namespace towline::gossip {
namespace {

/// Bounds the bans that a flood of banned peers can cause; the ban that ends first makes room.
constexpr std::size_t kMaxBans = 4096;

}  // namespace

absl::StatusOr<std::string> Bans::canonical(absl::string_view target) {
  if (const auto ip = p2p::parse_ip(target); ip.ok()) return p2p::to_string(*ip);
  if (const auto peer = p2p::PeerId::parse(target); peer.ok()) return peer->to_string();
  return absl::InvalidArgumentError(absl::StrCat("neither a peer id nor an IP address: ", cut_text(target, 100)));
}

void Bans::ban(const std::string& target, absl::Time until, const std::string& reason) {
  if (const auto it = bans_.find(target); it != bans_.end() && it->second.until >= until) return;
  bans_[target] = {target, until, reason};
  if (bans_.size() <= kMaxBans) return;
  bans_.erase(std::min_element(bans_.begin(), bans_.end(),
                               [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
}

bool Bans::unban(const std::string& target) { return bans_.erase(target) > 0; }

absl::Status Bans::check(const std::string& target, absl::Time now) const {
  const auto it = bans_.find(target);
  if (it == bans_.end() || it->second.until <= now) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("banned: ", it->second.reason));
}

absl::Status Bans::check(const p2p::Ip& ip, absl::Time now) const { return check(p2p::to_string(ip), now); }

absl::Status Bans::check(const p2p::PeerId& peer, const p2p::Ip& ip, absl::Time now) const {
  TOWLINE_RETURN_IF_ERROR(check(ip, now));
  return check(peer.to_string(), now);
}

std::vector<Ban> Bans::list(absl::Time now) const {
  std::vector<Ban> out;
  for (const auto& [target, b] : bans_)
    if (b.until > now) out.push_back(b);
  std::sort(out.begin(), out.end(),
            [](const Ban& a, const Ban& b) { return std::tie(b.until, a.target) < std::tie(a.until, b.target); });
  return out;
}

Bans Bans::shifted(absl::Duration d) const {
  Bans out = *this;
  for (auto& [target, b] : out.bans_) b.until += d;
  return out;
}

std::string Bans::to_json(absl::Time now) const {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& b : list(now))
    all.push_back({{"target", b.target}, {"until", absl::ToUnixSeconds(b.until)}, {"reason", b.reason}});
  return nlohmann::json{{"bans", all}}.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Bans> Bans::from_json(absl::string_view text) {
  const auto bad = [](const std::string& why) { return absl::InvalidArgumentError(absl::StrCat("bans: ", why)); };
  const auto j = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!j.is_object() || !j.contains("bans") || !j["bans"].is_array())
    return bad("not a JSON object with a list \"bans\"");
  Bans out;
  for (const auto& b : j["bans"]) {
    if (!b.is_object() || !b.contains("target") || !b["target"].is_string() || !b.contains("until") ||
        !b["until"].is_number_integer())
      return bad("an entry without target and until");
    const auto target = canonical(b["target"].get<std::string>());
    if (!target.ok()) return bad(std::string{target.status().message()});
    out.ban(*target, absl::FromUnixSeconds(b["until"].get<std::int64_t>()),
            b.contains("reason") && b["reason"].is_string() ? b["reason"].get<std::string>() : "");
  }
  return out;
}

}  // namespace towline::gossip
