#include "services/remote-fetcher/actors/evidence.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <caf/typed_event_based_actor.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "libs/actor_kit/guard.hpp"
#include "libs/telemetry/log.hpp"

namespace towline::fetcher {
namespace {

constexpr std::uintmax_t kMaxBytes = 16U << 20U;

void write(const std::string& path, const std::string& endpoint, const std::string& what, const std::string& shown) {
  std::error_code ec;
  if (const auto size = std::filesystem::file_size(path, ec); !ec && size > kMaxBytes) {
    std::filesystem::rename(path, path + ".1", ec);
    // A file that cannot be rotated must not grow for ever.
    if (ec) return log::warn("the evidence is not kept", {log::kv("why", ec.message())});
  }
  const std::string line =
      nlohmann::json{
          {"time_ms", absl::ToUnixMillis(absl::Now())}, {"endpoint", endpoint}, {"what", what}, {"evidence", shown}}
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  if (const auto st = append_private(path, line); !st.ok()) log::warn("the evidence is not kept", {log::kv("why", st)});
}

}  // namespace

absl::Status append_private(const std::string& path, absl::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  // The file may exist already with other permissions.
  bool done = ::fchmod(fd, 0600) == 0;
  // A disk that fills up takes a part of the text.
  while (done && !text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) text.remove_prefix(static_cast<std::size_t>(n));
    else done = errno == EINTR;
  }
  const absl::Status st = done ? absl::OkStatus() : absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  ::close(fd);
  return st;
}

evidence_actor::behavior_type evidence(evidence_actor::pointer self, const std::string& path) {
  guard(self, "evidence");
  return {[path](found_atom, const std::string& endpoint, const std::string& what, const std::string& shown) {
    if (!path.empty()) write(path, endpoint, what, shown);
  }};
}

}  // namespace towline::fetcher
