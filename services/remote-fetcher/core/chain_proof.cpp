#include "services/remote-fetcher/core/chain_proof.hpp"

namespace towline::fetcher {

ChainProof::ChainProof(std::uint64_t first, const eth::BlockId& tip)
    : first_{first},
      slots_(static_cast<std::size_t>(tip.number + 1 - first)),
      proven_from_{slots_.size()},
      expected_{tip.hash} {}

void ChainProof::put(HashedHeader h, std::size_t endpoint) {
  if (h.header.number < first()) return;
  const std::uint64_t at = h.header.number - first();
  if (at >= proven_from_) return;
  slots_[static_cast<std::size_t>(at)] = Slot{std::move(h), endpoint};
}

std::optional<ChainProof::Gap> ChainProof::next_gap() {
  while (proven_from_ > 0) {
    const auto& slot = slots_[proven_from_ - 1];
    if (!slot) return Gap{first() + proven_from_ - 1, expected_, {}};
    if (slot->header.hash != expected_) return Gap{first() + proven_from_ - 1, expected_, slot->endpoint};
    expected_ = slot->header.header.parent_hash;
    --proven_from_;
  }
  return std::nullopt;
}

std::vector<HashedHeader> ChainProof::give_up() && {
  std::vector<HashedHeader> out;
  for (auto& s : slots_) {
    if (s) out.push_back(std::move(s->header));
  }
  return out;
}

std::vector<HashedHeader> ChainProof::take() && {
  std::vector<HashedHeader> out;
  out.reserve(slots_.size());
  for (auto& s : slots_) out.push_back(std::move(s->header));
  return out;
}

}  // namespace towline::fetcher
