#include <gtest/gtest.h>

#include <set>

#include "libs/contract/command.hpp"

namespace towline::contract {
namespace {

TEST(Refusal, IsKnownFromAStatusAndFromNothingElse) {
  std::set<std::string> names;
  for (const Refusal r : kRefusals) {
    const absl::Status s = refuse(r, "why");
    EXPECT_EQ(refusal_of(s), r);
    EXPECT_EQ(s.message(), "why");
    EXPECT_TRUE(names.insert(name(r)).second) << name(r);
    const auto result = with_refusal(s);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->outcome, Outcome::refused);
    EXPECT_EQ(result->refusal, r);
    EXPECT_EQ(result->reason, "why");
  }
  EXPECT_EQ(refusal_of(absl::OkStatus()), std::nullopt);
  const absl::Status other = absl::FailedPreconditionError("stale_term");
  EXPECT_EQ(refusal_of(other), std::nullopt);
  EXPECT_EQ(with_refusal(other).status(), other);
}

}  // namespace
}  // namespace towline::contract
