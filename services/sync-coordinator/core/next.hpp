// What a follower does next after an answer: one of these. Pure values.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"

namespace towline::coordinator {

/// Choose again from current knowledge.
struct ChooseAgain {};
/// Wait for the end of a back-off, or for an event.
struct Wait {};
/// Ask both sides for their blocks at these heights.
struct Ask {
  std::vector<std::uint64_t> numbers;
};
/// Search for the highest common block.
struct Search {
  std::string why;
};
/// Import from the common block that was found.
struct ImportFound {
  contract::ImportRange range;
  /// Blocks of our chain that are abandoned; nullopt: the import continues from our head.
  std::optional<std::uint64_t> reorg_depth;
};
struct RewindTo {
  eth::BlockId block;
};
using Next = std::variant<ChooseAgain, Wait, Ask, Search, ImportFound, RewindTo>;

}  // namespace towline::coordinator
