#include "services/p2p-gossip/edge/bans_file.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "libs/base/files.hpp"
#include "libs/base/steady_time.hpp"

namespace towline::gossip {

absl::Status BansFile::read() {
  if (!file_) return absl::OkStatus();
  const auto text = read_state_file(file_->path());
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  if (!text.ok()) return text.status();
  const auto bans = Bans::from_json(*text);
  if (!bans.ok()) return absl::InvalidArgumentError(absl::StrCat(file_->path(), ": ", bans.status().message()));
  bans_ = bans->shifted(steady_ahead());
  return absl::OkStatus();
}

void BansFile::write(KeptFile::Done done) {
  changed_ = false;
  if (file_) file_->keep(by_wall_clock().to_json(absl::Now()), std::move(done));
  else if (done) done(absl::OkStatus());
}

Bans BansFile::by_wall_clock() const { return bans_.shifted(-steady_ahead()); }

}  // namespace towline::gossip
