// Every message of the protos, filled field by field by reflection, must come back equal: over the wire, and through
// its C++ value if it has one. So a field that a codec forgets is found.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "libs/wire/addresses.hpp"
#include "libs/wire/convert.hpp"
#include "libs/wire/engine_driver.hpp"
#include "libs/wire/remote_fetcher.hpp"
#include "towline/v1/p2p_gossip.pb.h"
#include "towline/v1/payload_source.pb.h"
#include "towline/v1/sync_coordinator.pb.h"

namespace towline::wire {
namespace {

namespace pb = google::protobuf;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

/// As many bytes as the comments of the protos say.
std::string bytes_of(const std::string& field, int seed) {
  const std::size_t size = field == "logs_bloom" ? 256 : field == "fee_recipient" ? 20 : 32;
  return std::string(size, static_cast<char>(seed));
}

/// Each field gets a different value. `choice` (modulo their number) selects the field of a oneof; enums get each value
/// in turn.
void fill(pb::Message& m, int choice, int& seed) {
  const auto* d = m.GetDescriptor();
  const auto* r = m.GetReflection();
  for (int i = 0; i < d->field_count(); ++i) {
    const auto* f = d->field(i);
    if (const auto* one = f->real_containing_oneof(); one != nullptr && one->field(choice % one->field_count()) != f)
      continue;
    ++seed;
    const bool list = f->is_repeated();
    switch (f->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        fill(list ? *r->AddMessage(&m, f) : *r->MutableMessage(&m, f), choice, seed);
        break;
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        const auto* e = f->enum_type();
        r->SetEnumValue(&m, f, e->value(1 + choice % (e->value_count() - 1))->number());
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        const bool raw = f->type() == pb::FieldDescriptor::TYPE_BYTES;
        const std::string value = raw ? bytes_of(f->name(), seed) : f->name() + std::to_string(seed);
        list ? r->AddString(&m, f, value) : r->SetString(&m, f, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        list ? r->AddUInt64(&m, f, static_cast<std::uint64_t>(seed))
             : r->SetUInt64(&m, f, static_cast<std::uint64_t>(seed));
        break;
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        list ? r->AddUInt32(&m, f, static_cast<std::uint32_t>(seed))
             : r->SetUInt32(&m, f, static_cast<std::uint32_t>(seed));
        break;
      case pb::FieldDescriptor::CPPTYPE_DOUBLE: r->SetDouble(&m, f, seed); break;
      case pb::FieldDescriptor::CPPTYPE_BOOL: r->SetBool(&m, f, true); break;
      default: FAIL() << "no value for " << f->full_name();
    }
  }
}

using RoundTrip = std::function<std::unique_ptr<pb::Message>(const pb::Message&)>;

template <class M>
std::unique_ptr<pb::Message> owned(M m) {
  return std::make_unique<M>(std::move(m));
}

/// from_proto(), then to_proto().
template <class M>
std::pair<std::string, RoundTrip> both_ways() {
  return {M::descriptor()->full_name(), [](const pb::Message& m) {
            const auto value = from_proto(dynamic_cast<const M&>(m));
            EXPECT_TRUE(value.ok()) << value.status();
            return owned(to_proto(*value));
          }};
}
/// A request that carries a command and its parameters.
template <class M>
std::pair<std::string, RoundTrip> commanded() {
  return {M::descriptor()->full_name(), [](const pb::Message& m) {
            const auto& request = dynamic_cast<const M&>(m);
            const auto value = from_proto(request);
            EXPECT_TRUE(value.ok()) << value.status();
            return owned(to_proto(*from_proto(request.command()), *value));
          }};
}

const std::map<std::string, RoundTrip>& codecs() {
  static const std::map<std::string, RoundTrip> all = {
      both_ways<v1::BlockId>(),
      both_ways<v1::BlockRef>(),
      both_ways<v1::ExecutionPayload>(),
      both_ways<v1::Labels>(),
      both_ways<v1::ImportProgress>(),
      both_ways<v1::EngineState>(),
      both_ways<v1::ElSync>(),
      both_ways<v1::Command>(),
      both_ways<v1::CommandResult>(),
      commanded<v1::ImportRangeRequest>(),
      commanded<v1::SetForkchoiceRequest>(),
      commanded<v1::StartElSyncRequest>(),
      {v1::SourceTrouble::descriptor()->full_name(),
       [](const pb::Message& m) { return owned(to_proto(from_proto(dynamic_cast<const v1::SourceTrouble&>(m)))); }},
      {v1::Lead::descriptor()->full_name(),
       [](const pb::Message& m) {
         v1::HeadSnapshot s;
         *s.add_others() = dynamic_cast<const v1::Lead&>(m);
         return owned(v1::Lead{to_proto(*from_proto(s, kNow), kNow).others(0)});
       }},
      {v1::HeadSnapshot::descriptor()->full_name(),
       [](const pb::Message& m) {
         const auto value = from_proto(dynamic_cast<const v1::HeadSnapshot&>(m), kNow);
         EXPECT_TRUE(value.ok()) << value.status();
         return owned(to_proto(*value, kNow));
       }},
  };
  return all;
}

std::vector<const pb::Descriptor*> messages() {
  std::vector<const pb::Descriptor*> out;
  for (const auto* file : {v1::BlockId::descriptor()->file(), v1::Command::descriptor()->file(),
                           v1::HeadSnapshot::descriptor()->file(), v1::GossipBlock::descriptor()->file(),
                           v1::GetPayloadRequest::descriptor()->file(), v1::SyncStatus::descriptor()->file()})
    for (int i = 0; i < file->message_type_count(); ++i) out.push_back(file->message_type(i));
  return out;
}

TEST(Codecs, EveryMessageComesBackAsItWas) {
  for (const auto* d : messages()) {
    SCOPED_TRACE(d->full_name());
    const auto codec = codecs().find(d->full_name());
    const auto* type = pb::MessageFactory::generated_factory()->GetPrototype(d);
    for (int choice = 0; choice < 16; ++choice) {  // more than any enum has values
      const std::unique_ptr<pb::Message> m{type->New()};
      int seed = 0;
      fill(*m, choice, seed);
      std::unique_ptr<pb::Message> back{type->New()};
      ASSERT_TRUE(back->ParseFromString(m->SerializeAsString()));
      if (codec != codecs().end()) back = codec->second(*back);
      EXPECT_TRUE(pb::util::MessageDifferencer::Equals(*m, *back)) << m->DebugString() << "\n" << back->DebugString();
    }
  }
}

TEST(Codecs, WhatIsAbsentStaysAbsent) {
  v1::EngineState s = to_proto(contract::EngineState{});
  EXPECT_FALSE(s.has_confirmed_finalized() || s.has_import() || s.labels().has_unsafe());
  EXPECT_EQ(*from_proto(s), contract::EngineState{});
  contract::HeadSnapshot none;
  none.observed = kNow;
  EXPECT_EQ(*from_proto(to_proto(none, kNow), kNow), none);
}

TEST(Codecs, AHashOfTheWrongLengthIsAnError) {
  v1::BlockId id = to_proto(eth::BlockId{7, {}});
  id.set_hash("short");
  EXPECT_TRUE(absl::IsInvalidArgument(from_proto(id).status()));
  v1::EngineState s = to_proto(contract::EngineState{});
  *s.mutable_confirmed_finalized() = id;
  EXPECT_TRUE(absl::IsInvalidArgument(from_proto(s).status()));
  v1::HeadSnapshot h;
  h.add_others()->mutable_unsafe()->set_hash("short");
  EXPECT_TRUE(absl::IsInvalidArgument(from_proto(h, kNow).status()));
}

TEST(Codecs, WhatANewerServiceSaysIsNotTakenForSomethingElse) {
  v1::CommandResult r = to_proto(contract::CommandResult{});
  r.set_outcome(static_cast<v1::Outcome>(99));
  EXPECT_TRUE(absl::IsUnavailable(from_proto(r).status()));
  r.set_outcome(v1::OUTCOME_REFUSED);
  r.set_refusal(static_cast<v1::Refusal>(99));
  EXPECT_EQ(from_proto(r)->outcome, contract::Outcome::refused);
  EXPECT_FALSE(from_proto(r)->refusal);
}

TEST(Addresses, AreThoseOfTheName) {
  EXPECT_EQ(addresses_of("ipv4:127.0.0.1:1,127.0.0.2:1"), (std::vector<std::string>{"127.0.0.1:1", "127.0.0.2:1"}));
  const auto local = addresses_of("dns:///localhost:7410");
  EXPECT_TRUE(std::find(local.begin(), local.end(), "127.0.0.1:7410") != local.end() ||
              std::find(local.begin(), local.end(), "[::1]:7410") != local.end());
  for (const char* as_it_is : {"127.0.0.1:7410", "[::1]:7410", "unix:/run/x.sock", "nonsense"})
    EXPECT_EQ(addresses_of(as_it_is), std::vector<std::string>{as_it_is});
}

TEST(Addresses, ANameThatDoesNotResolveHasNone) {
  EXPECT_TRUE(resolve("dns:///no-such-name.invalid:7410").empty());
  EXPECT_EQ(addresses_of("dns:///no-such-name.invalid:7410"),
            std::vector<std::string>{"dns:///no-such-name.invalid:7410"});
}

TEST(Addresses, AreLookedUpAgainUntilTheWatchGoes) {
  std::mutex mutex;
  std::condition_variable changed;
  int seen = 0;
  {
    const AddressWatch watch{"ipv4:127.0.0.1:1,127.0.0.2:1", absl::ZeroDuration(), absl::Milliseconds(1),
                             [&](const auto& found) {
                               const std::lock_guard lock{mutex};
                               EXPECT_EQ(found.size(), 2U);
                               ++seen;
                               changed.notify_all();
                             }};
    const AddressWatch later{"ipv4:127.0.0.1:1", absl::Hours(1), absl::Milliseconds(1),
                             [](const auto&) { ADD_FAILURE() << "before its time"; }};
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return seen >= 3; });
  }
  const int last = seen;
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  EXPECT_EQ(seen, last);
}

}  // namespace
}  // namespace towline::wire
