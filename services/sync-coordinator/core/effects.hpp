// What a follower requests. `id` comes back with the answer; an answer with an old id is ignored. Pure values.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "libs/contract/command.hpp"

namespace towline::coordinator {

struct Compare {  // ask both sides for the same heights
  std::uint64_t id;
  std::vector<std::uint64_t> numbers;
  std::string endpoint;
  bool ours_only = false;  // the source is not asked
};
struct Import {
  std::uint64_t id;
  contract::CommandStamp command;
  contract::ImportRange range;
};
struct SetForkchoice {
  std::uint64_t id;
  contract::CommandStamp command;
  contract::Forkchoice forkchoice;
};
struct Rewind {
  std::uint64_t id;
  contract::CommandStamp command;
  eth::BlockId to;
};
struct StartElSync {
  std::uint64_t id;
  contract::CommandStamp command;
  contract::StartElSync start;
};
using Effect = std::variant<Compare, Import, SetForkchoice, Rewind, StartElSync>;

}  // namespace towline::coordinator
