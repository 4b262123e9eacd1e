#include "services/remote-fetcher/core/trust_group.hpp"

#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

TEST(TrustGroup, IsTheRegistrableDomainOrTheHost) {
  const struct {
    const char *host, *group;
  } cases[] = {
      {"rpc.eu.example.com", "example.com"},
      {"RPC.Example.COM.", "example.com"},
      {"a.node.example.co.uk", "example.co.uk"},
      {"one.github.io", "one.github.io"},  // a public suffix: anybody can have a name under it
      {"co.uk", "co.uk"},
      {"127.0.0.1", "127.0.0.1"},
      {"2001:db8::1", "2001:db8::1"},
      {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
      {"localhost", "localhost"},
      {"op-geth-1", "op-geth-1"},
      {"el.chain.svc.cluster.local", "el.chain.svc.cluster.local"},
      {"a.internal", "a.internal"},
      {"", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(trust_group_of(c.host), c.group);
}

}  // namespace
}  // namespace towline::fetcher
