// Boot nodes for an operator who names none. Pure.
#pragma once
#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include <cstdint>

namespace towline::discv5 {

/// ENRs and enode URLs for the chains of an L1; empty: none are known.
absl::Span<const absl::string_view> default_boot_nodes(std::uint64_t l1_chain_id);

}  // namespace towline::discv5
