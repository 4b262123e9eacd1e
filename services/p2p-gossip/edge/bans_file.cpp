#include "services/p2p-gossip/edge/bans_file.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "libs/base/files.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::gossip {

absl::Status BansFile::read() {
  if (path_.empty()) return absl::OkStatus();
  const auto text = read_state_file(path_);
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) return text.status();
  const auto bans = Bans::from_json(*text);
  if (!bans.ok()) return absl::InvalidArgumentError(absl::StrCat(path_, ": ", bans.status().message()));
  bans_ = bans->shifted(steady_ahead());
  return absl::OkStatus();
}

absl::Status BansFile::write() {
  changed_ = false;
  if (path_.empty()) return absl::OkStatus();
  return write_state_file(path_, by_wall_clock().to_json(absl::Now()));
}

Bans BansFile::by_wall_clock() const { return bans_.shifted(-steady_ahead()); }

}  // namespace towline::gossip
