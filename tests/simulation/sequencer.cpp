#include "tests/simulation/sequencer.hpp"

#include <algorithm>

namespace towline::simulation {
namespace {

Hash32 fresh_hash(std::uint64_t number, std::uint64_t place) {
  Hash32 h;
  for (unsigned i = 0; i < 8; ++i) {
    h.bytes[i] = static_cast<std::uint8_t>(number >> (8U * i));
    h.bytes[8 + i] = static_cast<std::uint8_t>(place >> (8U * i));
  }
  // The short form of a hash tells blocks of one height apart, and no hash is zero.
  h.bytes[30] = static_cast<std::uint8_t>((place + 1) >> 8U);
  h.bytes[31] = static_cast<std::uint8_t>(place + 1);
  return h;
}

}  // namespace

eth::BlockRef genesis_block() { return {0, fresh_hash(0, 0), {}, 1'000'000}; }

eth::BlockRef Sequencer::make(const eth::BlockRef& parent, Make what) {
  const std::uint64_t n = parent.number + 1;
  made_.push_back({{n, fresh_hash(n, made_.size()), parent.hash, parent.timestamp + 1}, what});
  return made_.back().block;
}

const Sequencer::Made& Sequencer::made_of(const Hash32& hash) const {
  std::uint64_t place = 0;
  for (unsigned i = 0; i < 8; ++i) place |= std::uint64_t{hash.bytes[8 + i]} << (8U * i);
  return made_.at(place);
}

bool Sequencer::on_chain_of(const eth::BlockId& b, const eth::BlockRef& of) const {
  if (b.number > of.number) return false;
  const eth::BlockRef* at = &of;
  while (at->number > b.number) {
    if (has(at->id())) return has(b);
    at = &made(at->parent_hash);
  }
  return at->hash == b.hash;
}

void Sequencer::extend(std::uint64_t blocks) {
  for (std::uint64_t i = 0; i < blocks; ++i) chain_.push_back(make(chain_.back(), Make::real));
}

void Sequencer::reorg(std::uint64_t ancestor, std::uint64_t blocks) {
  rival_.assign(chain_.begin() + static_cast<std::ptrdiff_t>(ancestor) + 1, chain_.end());
  chain_.resize(ancestor + 1);
  extend(blocks);
  safe_ = std::min(safe_, ancestor);
  finalized_ = std::min(finalized_, ancestor);
}

void Sequencer::raise_labels(std::uint64_t safe, std::uint64_t finalized) {
  safe_ = std::max(safe_, std::min(safe, tip().number));
  finalized_ = std::max(finalized_, std::min(finalized, safe_));
}

void Sequencer::equivocate(std::uint64_t depth) {
  const std::uint64_t parent = std::max(safe_, tip().number - std::min(depth, tip().number));
  rival_ = {make(chain_[parent], Make::real)};
}

void Sequencer::extend_rival(std::uint64_t blocks) {
  for (std::uint64_t i = 0; i < blocks && !rival_.empty(); ++i) rival_.push_back(make(rival_.back(), Make::real));
}

bool Sequencer::swap_rival() {
  if (rival_.empty() || rival_.front().number <= safe_) return false;
  const auto first = static_cast<std::ptrdiff_t>(rival_.front().number);
  std::vector<eth::BlockRef> left{chain_.begin() + first, chain_.end()};
  if (left.empty()) return false;
  chain_.resize(static_cast<std::size_t>(first));
  chain_.insert(chain_.end(), rival_.begin(), rival_.end());
  rival_ = std::move(left);
  return true;
}

}  // namespace towline::simulation
