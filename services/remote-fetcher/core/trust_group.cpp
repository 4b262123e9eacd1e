#include "services/remote-fetcher/core/trust_group.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/strip.h>
#include <libpsl.h>

namespace towline::fetcher {

std::string trust_group_of(absl::string_view host) {
  std::string name = absl::AsciiStrToLower(absl::StripSuffix(host, "."));
  const psl_ctx_t* list = psl_builtin();
  const auto top = name.rfind('.');
  if (list == nullptr || top == std::string::npos) return name;
  // Only a top-level domain with a rule of its own is public: neither "internal" nor the last part of an IP address is.
  if (psl_is_public_suffix2(list, name.c_str() + top + 1, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) == 0) return name;
  const char* domain = psl_registrable_domain(list, name.c_str());
  return domain == nullptr ? name : domain;
}

}  // namespace towline::fetcher
