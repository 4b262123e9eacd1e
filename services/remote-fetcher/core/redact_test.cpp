#include "services/remote-fetcher/core/redact.hpp"

#include <gtest/gtest.h>

namespace towline::fetcher {
namespace {

TEST(Redact, TakesOutWhatIsSecret) {
  const auto s = secrets_of("https://user:hunter22@rpc.example:8443/v3/c0ffee0123456789?token=s3cr3tvalue",
                            {"Authorization: Bearer abcdef012345"});
  const auto shown = [&](const std::string& text) { return presentable(text, s); };
  EXPECT_EQ(shown("no project c0ffee0123456789"), "no project ***");
  EXPECT_EQ(shown("bad path /v3/c0ffee0123456789?token=s3cr3tvalue!"), "bad path ***!");
  EXPECT_EQ(shown("s3cr3tvalue expired"), "*** expired");
  EXPECT_EQ(shown("login user:hunter22"), "login ***");
  EXPECT_EQ(shown("password hunter22"), "password ***");
  EXPECT_EQ(shown("abcdef012345 is no key"), "*** is no key");
  EXPECT_EQ(shown("rpc.example:8443 v3 rate limit"), "rpc.example:8443 v3 rate limit");
}

TEST(Redact, MakesTextShortAndPrintable) {
  EXPECT_EQ(presentable("line\nnext\x1b[31m\xff", {}), "line?next?[31m?");
  EXPECT_EQ(presentable(std::string(5000, 'x'), {}).size(), 203U);
  // A secret across the cut is removed, too.
  const std::string secret = "verysecretkey";
  EXPECT_EQ(presentable(std::string(195, ' ') + secret, {secret}).find("very"), std::string::npos);
}

TEST(Redact, FindsNoSecretsWhereThereAreNone) {
  EXPECT_TRUE(secrets_of("http://127.0.0.1:8545", {}).empty());
  EXPECT_TRUE(secrets_of("http://127.0.0.1:8545/", {}).empty());
}

}  // namespace
}  // namespace towline::fetcher
