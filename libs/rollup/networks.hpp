// The embedded table of networks: the superchain registry's chains as JSON (tests/vectors/README.md has its origin).
// Pure.
#pragma once
#include <absl/strings/string_view.h>

namespace towline::rollup {

absl::string_view networks_json();

}  // namespace towline::rollup
