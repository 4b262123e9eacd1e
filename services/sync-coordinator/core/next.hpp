// What a follower does after an answer: one of these. Pure values.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"

namespace towline::coordinator {

/// By what is known now.
struct ChooseAgain {};
/// Until a back-off is over, or an event comes.
struct Wait {};
/// Both sides for their blocks at these heights.
struct Ask {
  std::vector<std::uint64_t> numbers;
};
/// For the highest common block.
struct Search {
  std::string why;
};
/// From the common block that was found.
struct ImportFound {
  contract::ImportRange range;
  /// Of our chain, which is left; nullopt: it goes on from our head.
  std::optional<std::uint64_t> reorg_depth;
};
struct RewindTo {
  eth::BlockId block;
};
using Next = std::variant<ChooseAgain, Wait, Ask, Search, ImportFound, RewindTo>;

}  // namespace towline::coordinator
