// Who is wrong if the bodies of a block do not verify: the source, or this program that lacks a rule of a new fork.
// Pure.
#pragma once
#include <map>
#include <optional>
#include <string>

namespace towline::fetcher {

/// The failed check of each endpoint, for one block; messages start with "<field>: ".
using Failures = std::map<std::size_t, std::string>;

/// For a block that no endpoint could serve: the check that fails at all of them, in which case this program lacks a
/// rule and no endpoint is at fault. nullopt: an endpoint does not have the block (inconclusive), or the checks differ
/// (those endpoints served bad data).
std::optional<std::string> rule_we_miss(const Failures& failures, bool somebody_has_it_not);

}  // namespace towline::fetcher
