// The embedded table of networks, networks.json; networks.md has the origin of each entry. Pure.
#pragma once
#include <absl/strings/string_view.h>

namespace towline::rollup {

absl::string_view networks_json();

}  // namespace towline::rollup
