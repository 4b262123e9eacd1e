// Writes state files on a thread of its own: an fsync may take seconds.
//
// Owns: nothing. In: a file that has a new text. Out: nothing; a failure is logged. Told to end, it first writes what
// was sent to it before.
#pragma once
#include <absl/status/status.h>

#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/typed_actor.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/actor_kit/terminator.hpp"

namespace towline {

class KeptFile;
using KeptFilePtr = std::shared_ptr<KeptFile>;

using keep_atom = caf::atom_constant<caf::atom("keep")>;
using file_store_actor = caf::typed_actor<caf::reacts_to<keep_atom, KeptFilePtr>>;
using file_store_impl = file_store_actor::extend<caf::reacts_to<stop_atom>>;

/// Spawn it detached.
file_store_impl::behavior_type file_store(file_store_impl::pointer self);

/// One file of a store. It holds the newest text alone, so a disk that hangs costs no memory. Thread-safe.
class KeptFile : public std::enable_shared_from_this<KeptFile> {
 public:
  using Done = std::function<void(const absl::Status&)>;

  /// `what` names the contents in the log.
  KeptFile(std::string path, std::string what, const file_store_actor& store);

  const std::string& path() const { return path_; }
  /// `done` is called on the store's thread when this text, or a newer one, is on disk or cannot be written.
  /// UNAVAILABLE also tells that the store has ended; one that ends meanwhile calls nobody.
  void keep(std::string text, Done done = nullptr);
  /// For the store.
  void write();

 private:
  const std::string path_, what_;
  const caf::actor_addr store_;
  std::mutex mutex_;
  std::optional<std::string> text_;
  std::vector<Done> done_;
};

}  // namespace towline

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(towline::KeptFilePtr)
