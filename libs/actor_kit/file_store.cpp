#include "libs/actor_kit/file_store.hpp"

#include <absl/strings/str_cat.h>

#include <caf/actor_cast.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <filesystem>
#include <utility>

#include "libs/actor_kit/guard.hpp"
#include "libs/base/files.hpp"
#include "libs/telemetry/log.hpp"

namespace towline {
namespace {

absl::Status write_with_directory(const std::string& path, const std::string& text) {
  if (const auto ec = make_private_directory(std::filesystem::path{path}.parent_path()))
    return absl::UnavailableError(absl::StrCat("cannot make the directory of ", path, ": ", ec.message()));
  return write_state_file(path, text);
}

}  // namespace

file_store_impl::behavior_type file_store(file_store_impl::pointer self) {
  guard(self, "file_store");
  // An exit message overtakes the others; one to itself comes after them.
  self->set_exit_handler([self](const caf::exit_msg&) { self->send(self, stop_atom{}); });
  return {[](keep_atom, const KeptFilePtr& file) { file->write(); },
          [self](stop_atom) { self->quit(caf::exit_reason::user_shutdown); }};
}

KeptFile::KeptFile(std::string path, std::string what, const file_store_actor& store)
    : path_{std::move(path)}, what_{std::move(what)}, store_{caf::actor_cast<caf::actor_addr>(store)} {}

void KeptFile::keep(std::string text, Done done) {
  const auto store = caf::actor_cast<caf::strong_actor_ptr>(store_);
  if (!store) {
    if (done) done(absl::UnavailableError("shutting down"));
    return;
  }
  {
    std::lock_guard lock{mutex_};
    if (done) done_.push_back(std::move(done));
    if (std::exchange(text_, std::move(text))) return;  // the store has been told
  }
  caf::anon_send(caf::actor_cast<file_store_actor>(store), keep_atom{}, shared_from_this());
}

void KeptFile::write() {
  std::string text;
  std::vector<Done> done;
  {
    std::lock_guard lock{mutex_};
    text = *std::exchange(text_, std::nullopt);
    done.swap(done_);
  }
  const absl::Status st = write_with_directory(path_, text);
  if (!st.ok()) log::error(absl::StrCat(what_, " cannot be kept"), {log::kv("why", st)});
  for (const Done& d : done) d(st);
}

}  // namespace towline
