#include "libs/sim/el_model.hpp"

#include <algorithm>

namespace towline::sim {
namespace {

/// op-geth keeps the state of this many blocks below its head.
constexpr std::uint64_t kStateDepth = 128;
/// op-geth imports this far above its head without a forkchoice update.
constexpr std::uint64_t kImportAhead = 129;
/// Blocks that op-geth loses at a SIGKILL (154 and 172 were measured).
constexpr std::uint64_t kLostAtKill = 154;

ElAnswer error(std::int64_t code, const char* message) { return {ElStatus::invalid, std::nullopt, code, message}; }

}  // namespace

const char* name(ElStatus s) {
  switch (s) {
    case ElStatus::valid: return "VALID";
    case ElStatus::invalid: return "INVALID";
    case ElStatus::syncing: return "SYNCING";
    case ElStatus::accepted: return "ACCEPTED";
  }
  return "?";
}

ElModel::ElModel(ElProfile profile, const eth::BlockRef& genesis)
    : profile_{profile}, head_{genesis}, first_{genesis.number} {
  blocks_[genesis.hash] = {genesis, true};
  canonical_.push_back(genesis.hash);
}

const ElModel::Known* ElModel::find(const Hash32& hash) const {
  const auto it = blocks_.find(hash);
  return it == blocks_.end() ? nullptr : &it->second;
}

bool ElModel::has_state(const Known& block) const {
  return block.executed && (profile_ == ElProfile::op_reth || block.ref.number + kStateDepth >= head_.number);
}

bool ElModel::canonical(const eth::BlockRef& block) const {
  const auto at = by_number(block.number);
  return at && at->hash == block.hash;
}

std::optional<eth::BlockRef> ElModel::by_number(std::uint64_t number) const {
  if (number < first_ || number - first_ >= canonical_.size()) return std::nullopt;
  return find(canonical_[number - first_])->ref;
}

std::optional<eth::BlockRef> ElModel::by_hash(const Hash32& hash) const {
  const Known* b = find(hash);
  return b == nullptr ? std::nullopt : std::optional{b->ref};
}

ElAnswer ElModel::not_executed(const eth::BlockRef& block, ElStatus status) {
  not_executed_ = block;
  return {status, std::nullopt, 0, {}};
}

void ElModel::sync(std::uint64_t blocks) {
  if (!sync_target_ || !peers_) return;
  std::vector<eth::BlockRef> way;
  for (std::optional<eth::BlockRef> at = sync_target_; find(at->hash) == nullptr;) {
    way.push_back(*at);
    at = peers_(at->parent_hash);
    if (!at) return;
  }
  for (; blocks > 0 && !way.empty(); --blocks) {
    blocks_[way.back().hash] = {way.back(), true};
    move_head(way.back());
    way.pop_back();
  }
  if (way.empty()) sync_target_.reset();
}

ElAnswer ElModel::new_payload(const eth::BlockRef& block, PayloadFacts facts) {
  const bool geth = profile_ == ElProfile::op_geth;
  if (!facts.version_fits && geth) return error(-38005, "Unsupported fork");
  if (!facts.version_fits || !facts.hash_matches) {
    return {ElStatus::invalid, geth ? std::nullopt : std::optional{block.parent_hash}, 0, "block hash mismatch"};
  }
  if (find(block.hash) != nullptr) return {ElStatus::valid, block.hash, 0, {}};
  const Known* parent = find(block.parent_hash);
  if (parent == nullptr || (snap_ && head_.number == first_)) return not_executed(block, ElStatus::syncing);
  if (parent->ref.number + 1 != block.number) return {ElStatus::invalid, parent->ref.hash, 0, "invalid block number"};
  if (block.timestamp <= parent->ref.timestamp) return {ElStatus::invalid, parent->ref.hash, 0, "invalid timestamp"};
  // Only remembered as a sync target, so that its child's parent is unknown.
  if (!has_state(*parent)) return {ElStatus::accepted, std::nullopt, 0, {}};
  if (geth && block.number > head_.number + kImportAhead) return {ElStatus::syncing, std::nullopt, 0, {}};
  blocks_[block.hash] = {block, true};
  return {ElStatus::valid, block.hash, 0, {}};
}

void ElModel::move_head(const eth::BlockRef& to) {
  canonical_.resize(to.number - first_ + 1);
  eth::BlockRef at = to;
  while (canonical_[at.number - first_] != at.hash) {
    canonical_[at.number - first_] = at.hash;
    Known& known = blocks_.at(at.hash);
    known.executed = true;  // op-geth executes a lost block again
    at = blocks_.at(known.ref.parent_hash).ref;
  }
  head_ = to;
}

bool ElModel::on_our_chain(eth::BlockRef label) const {
  // Above the head: a descendant of it.
  while (label.number > head_.number) label = blocks_.at(label.parent_hash).ref;
  return canonical(label);
}

bool ElModel::apply_label(const Hash32& hash, std::optional<eth::BlockRef>& label) {
  if (hash.is_zero()) return true;
  const Known* b = find(hash);
  if (b == nullptr || !on_our_chain(b->ref)) return false;
  if (profile_ == ElProfile::op_reth && b->ref.number > head_.number) return true;
  label = b->ref;
  return true;
}

ElAnswer ElModel::forkchoice_updated(const Hash32& head, const Hash32& safe, const Hash32& finalized) {
  const bool geth = profile_ == ElProfile::op_geth;
  if (head.is_zero()) {
    if (geth) return {ElStatus::invalid, std::nullopt, 0, "forkchoice requested update to zero hash"};
    return error(-38002, "Invalid forkchoice state");
  }
  const Known* target = find(head);
  if (target == nullptr) {
    // An update to a block without its payload begins no sync.
    if (not_executed_ && not_executed_->hash == head) sync_target_ = not_executed_;
    return {ElStatus::syncing, std::nullopt, 0, {}};
  }
  const eth::BlockRef to = target->ref;
  const ElAnswer valid{ElStatus::valid, head, 0, {}};
  if (to.number < head_.number && canonical(to)) {
    if (!geth) return valid;
  } else {
    move_head(to);
  }
  if (!apply_label(finalized, finalized_))
    return error(-38002, "Invalid forkchoice state: finalized block not available in database or not canonical");
  if (!apply_label(safe, safe_))
    return error(-38002, "Invalid forkchoice state: safe block not available in database or not canonical");
  return valid;
}

bool ElModel::set_head(std::uint64_t number) {
  const auto to = by_number(number);
  if (profile_ != ElProfile::op_geth || !to) return false;
  for (std::uint64_t n = number + 1; n <= head_.number; ++n) blocks_.at(canonical_[n - first_]).executed = false;
  canonical_.resize(number - first_ + 1);
  head_ = *to;
  for (auto* label : {&safe_, &finalized_}) {
    if (*label && (*label)->number > number) *label = to;
  }
  return true;
}

void ElModel::kill() {
  not_executed_.reset();
  sync_target_.reset();
  if (profile_ == ElProfile::op_reth) return;
  const std::uint64_t to = std::max(first_, head_.number > kLostAtKill ? head_.number - kLostAtKill : 0);
  for (auto& [hash, block] : blocks_) {
    if (block.ref.number > to) block.executed = false;
  }
  head_ = *by_number(to);
  canonical_.resize(to - first_ + 1);
  for (auto* label : {&safe_, &finalized_}) {
    if (*label && (*label)->number > to) label->reset();
  }
}

}  // namespace towline::sim
