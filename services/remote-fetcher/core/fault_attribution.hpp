// Who is wrong when bodies of one block do not verify: the source, or we who miss a rule of a new fork. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>

namespace towline::fetcher {

/// What did not verify for one block, by endpoint; messages start with "<field>: ".
using Failures = std::map<std::size_t, std::string>;

/// Nobody could serve the block. The check that everyone fails: it is we who miss a rule, and nobody is to be charged.
/// nullopt when somebody does not have the block (nothing is known then), or the checks differ (those who failed lie).
std::optional<std::string> rule_we_miss(const Failures& failures, bool somebody_has_it_not);

}  // namespace towline::fetcher
