// The embedded table of networks, networks.json; networks.md says where each entry comes from. Pure.
#pragma once
#include <absl/strings/string_view.h>

namespace towline::rollup {

absl::string_view networks_json();

}  // namespace towline::rollup
