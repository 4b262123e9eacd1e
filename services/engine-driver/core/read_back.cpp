#include "services/engine-driver/core/read_back.hpp"

#include <absl/strings/str_cat.h>

namespace towline::driver {
namespace {

std::optional<Hash32> hash_of(const std::optional<eth::BlockRef>& label) {
  return label ? std::optional{label->hash} : std::nullopt;
}

std::string reads(const char* what, const std::optional<eth::BlockRef>& shown) {
  return absl::StrCat(what, " reads back as ", shown ? eth::to_string(*shown) : "not set");
}

/// The first label that differs from the wanted one; empty: none.
std::string differs(const std::optional<Hash32>& head, const std::optional<Hash32>& safe,
                    const std::optional<Hash32>& finalized, const contract::Labels& shown) {
  if (head != hash_of(shown.unsafe)) return reads("head", shown.unsafe);
  if (safe != hash_of(shown.safe)) return reads("safe", shown.safe);
  if (finalized != hash_of(shown.finalized)) return reads("finalized", shown.finalized);
  return {};
}

std::optional<Hash32> wanted(const std::optional<eth::BlockId>& label, const std::optional<eth::BlockRef>& otherwise) {
  return label ? std::optional{label->hash} : hash_of(otherwise);
}

}  // namespace

std::string difference(const contract::Forkchoice& update, const contract::Labels& shown) {
  return differs(update.head.hash, wanted(update.safe, shown.safe), wanted(update.finalized, shown.finalized), shown);
}

std::optional<EngineAnswer> after_loss(const contract::Labels& before, const contract::Forkchoice* update,
                                       const contract::Labels& shown) {
  EngineAnswer a;
  const std::string changed = differs(hash_of(before.unsafe), hash_of(before.safe), hash_of(before.finalized), shown);
  if (changed.empty()) return std::nullopt;
  if (update != nullptr &&
      differs(update->head.hash, wanted(update->safe, before.safe), wanted(update->finalized, before.finalized), shown)
          .empty()) {
    a.kind = EngineAnswer::Kind::status;
    a.status = PayloadStatus::valid;
    return a;
  }
  a.kind = EngineAnswer::Kind::came_back;
  a.message = changed;
  return a;
}

}  // namespace towline::driver
