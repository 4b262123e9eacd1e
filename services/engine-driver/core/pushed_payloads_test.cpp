#include "services/engine-driver/core/pushed_payloads.hpp"

#include <gmock/gmock.h>

#include <random>

#include "services/engine-driver/core/session_fixture.hpp"

namespace towline::driver {
namespace {

using namespace driver::testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

PreparedPayload payload(std::uint64_t n, std::size_t bytes = 10) {
  PreparedPayload p;
  p.ref = ref(n);
  p.body = std::string(bytes, 'x');
  return p;
}

std::vector<std::uint64_t> take(PushedPayloads& all, std::uint64_t parent, std::uint64_t tip) {
  std::vector<std::uint64_t> out;
  for (const auto& p : all.take(id(parent), id(tip))) {
    EXPECT_FALSE(p.body.empty());
    out.push_back(p.ref.number);
  }
  return out;
}

TEST(PushedPayloads, ARangeIsTakenOutWholeOrNotAtAll) {
  PushedPayloads all;
  for (const std::uint64_t n : {11U, 13U, 12U}) all.put(payload(n));
  EXPECT_THAT(take(all, 9, 12), IsEmpty()) << "10 is missing";
  EXPECT_THAT(take(all, 10, 12), ElementsAre(11, 12));
  EXPECT_THAT(take(all, 10, 12), IsEmpty()) << "taken already";
  EXPECT_THAT(take(all, 12, 13), ElementsAre(13));
}

TEST(PushedPayloads, AnotherBranchIsNoPartOfTheRange) {
  PushedPayloads all;
  PreparedPayload other = payload(11);
  other.ref.hash = hash(999);
  all.put(std::move(other));
  all.put(payload(12));
  EXPECT_THAT(take(all, 10, 12), IsEmpty());
  EXPECT_EQ(all.take(id(10), {11, hash(999)}).size(), 1U);
}

TEST(PushedPayloads, ARangeWhoseParentIsOnAnotherBranchIsNotTaken) {
  PushedPayloads all;
  for (const std::uint64_t n : {9U, 10U, 11U}) all.put(payload(n));
  EXPECT_TRUE(all.take({10, hash(999)}, id(11)).empty());
}

TEST(PushedPayloads, PayloadsThatClaimToBeEachOthersParentEnd) {
  PushedPayloads all;
  PreparedPayload a = payload(11), b = payload(11);
  b.ref.hash = hash(999);
  a.ref.parent_hash = b.ref.hash;
  b.ref.parent_hash = a.ref.hash;
  all.put(std::move(a));
  all.put(std::move(b));
  EXPECT_TRUE(all.take(id(10), id(11)).empty());
}

TEST(PushedPayloads, OnlyATipAboveTheNewestMayStillCome) {
  PushedPayloads all;
  EXPECT_TRUE(all.may_come(id(1)));
  all.put(payload(11));
  EXPECT_TRUE(all.may_come(id(12)));
  EXPECT_FALSE(all.may_come(id(11)));
}

TEST(PushedPayloads, TheOldestGoFirst) {
  PushedPayloads many;
  for (std::uint64_t n = 1; n <= PushedPayloads::kMost + 1; ++n) many.put(payload(n));
  EXPECT_THAT(take(many, 0, 1), IsEmpty());
  EXPECT_EQ(take(many, 1, PushedPayloads::kMost + 1).size(), PushedPayloads::kMost);

  PushedPayloads large;
  large.put(payload(1, PushedPayloads::kMostBytes));
  EXPECT_THAT(take(large, 0, 1), ElementsAre(1)) << "what was taken does not count";
  large.put(payload(2, PushedPayloads::kMostBytes));
  large.put(payload(3, 1));
  EXPECT_THAT(take(large, 1, 2), IsEmpty());
  EXPECT_THAT(take(large, 2, 3), ElementsAre(3));
  large.put(payload(4, PushedPayloads::kMostBytes + 1));
  EXPECT_THAT(take(large, 3, 4), ElementsAre(4)) << "the newest stays, whatever its size";
}

}  // namespace
}  // namespace towline::driver
