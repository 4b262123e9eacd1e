// The signer from L1 over real connections: endpoints that agree, lie, lag, cannot prove, or are unavailable.
#include "services/p2p-gossip/actors/signer_poller.hpp"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "libs/base/hex.hpp"
#include "libs/crypto/keccak.hpp"
#include "libs/rlp/rlp.hpp"
#include "services/p2p-gossip/core/l1_signer.hpp"
#include "services/p2p-gossip/edge/gossip_fixture.hpp"
#include "tests/support/sample_blocks.hpp"

namespace towline::gossip {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::uint64_t kHead = 1000;
const Address kContract = *parse_fixed_hex<20>("0x0000000000000000000000000000000000000022");

Address address(std::uint8_t n) {
  Address a;
  a.bytes.fill(n);
  return a;
}

/// A trie with a single leaf.
Bytes leaf(BytesView key, BytesView value) {
  Bytes path{0x20}, fields, out;
  path.insert(path.end(), key.begin(), key.end());
  rlp::append_string(path, fields);
  rlp::append_string(value, fields);
  rlp::append_list(fields, out);
  return out;
}

/// The state in which `signer` signs, as proofs.
struct State {
  Bytes account, slot;
  Hash32 root;
  explicit State(const Address& signer) {
    Bytes value, fields, encoded;
    rlp::append_string(signer.view(), value);
    slot = leaf(keccak256(parse_fixed_hex<32>(kSignerSlot)->view()).view(), value);
    rlp::append_u64(1, fields);
    rlp::append_u64(0, fields);
    rlp::append_string(keccak256(slot).view(), fields);
    rlp::append_string(Hash32{}.view(), fields);
    rlp::append_list(fields, encoded);
    account = leaf(keccak256(kContract.view()).view(), encoded);
    root = keccak256(account);
  }
};

/// An L1 node on its own port.
class FakeL1 {
 public:
  struct Options {
    std::uint64_t head = kHead;
    /// The signer according to its headers, and according to its proofs.
    Address signer = address(1), proves = address(1);
    bool has_proofs = true;
  };
  explicit FakeL1(Options o) : o_{o} {
    server_.Post(".*", [this](const httplib::Request& req, httplib::Response& res) {
      res.set_content(absl::StrCat(R"({"jsonrpc":"2.0","id":0,)", answer(req.body), "}"), "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread{[this] { server_.listen_after_bind(); }};
    while (!server_.is_running()) std::this_thread::yield();  // an earlier stop() would be lost
  }
  FakeL1() : FakeL1(Options{}) {}
  ~FakeL1() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/v3/c4n4ry?key=c4n4ry"); }

 private:
  std::string answer(const std::string& call) const {
    const auto error = [](const char* text) {
      return absl::StrCat(R"("error":{"code":-32601,"message":")", text, "\"}");
    };
    if (call.find("eth_getProof") != std::string::npos) {
      if (!o_.has_proofs) return error("the method eth_getProof does not exist/is not available");
      const State s{o_.proves};
      return absl::StrCat(R"("result":{"accountProof":[")", to_hex(s.account), R"("],"storageProof":[{"proof":[")",
                          to_hex(s.slot), R"("]}]})");
    }
    if (call.find("eth_getBlockByNumber") == std::string::npos) return error("?");
    for (std::uint64_t n = o_.head; n > 0; --n) {
      const bool asked = call.find(absl::StrCat("\"0x", absl::Hex(n), "\"")) != std::string::npos;
      if (!asked && (n != o_.head || call.find("latest") == std::string::npos)) continue;
      eth::Header h = towline::testing::sample_block(1, 0, 0).header;
      h.number = n;
      h.state_root = State{o_.signer}.root;
      static const std::uint64_t now = static_cast<std::uint64_t>(absl::ToUnixSeconds(absl::Now()));
      h.timestamp = now - 12 * (kHead - n);
      return absl::StrCat(R"("result":)", towline::testing::block_json(h, eth::hash_header(h), {}));
    }
    return R"("result":null)";
  }

  const Options o_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

/// The poller, with a validator whose first signer is address 9, as from a flag or the table.
class Watch {
 public:
  explicit Watch(const std::vector<std::string>& urls)
      : validator_{system_, config_, gossip_block::Options{kChain}, store_, metrics_, [](bool) {}, address(9)} {
    actor_ = system_.spawn<caf::detached>(
        signer_poller, SignerPollerConfig{urls, kContract, client_, &validator_, &evidence_, &metrics_});
  }
  ~Watch() {
    client_->cancel_all();
    caf::scoped_actor self{system_};
    self->send_exit(*actor_, caf::exit_reason::user_shutdown);
    self->wait_for(*actor_);
    actor_.reset();
    validator_.join(system_);
    actors_.end(system_);
  }
  http::Client& client() { return *client_; }
  std::vector<Address> signers() const { return validator_.signers(); }
  std::string proof() {
    EXPECT_TRUE(eventually([&] { return !evidence_.get()->proof.empty() || !evidence_.get()->failure.empty(); }));
    EXPECT_EQ(evidence_.get()->failure, "");
    return evidence_.get()->proof;
  }
  std::string failure() {
    EXPECT_TRUE(eventually([&] { return !evidence_.get()->proof.empty() || !evidence_.get()->failure.empty(); }));
    EXPECT_EQ(evidence_.get()->proof, "");
    EXPECT_THAT(signers(), ElementsAre(address(9))) << "nothing that is not proven is taken";
    EXPECT_THAT(evidence_.get()->failure, Not(HasSubstr("c4n4ry")));
    return evidence_.get()->failure;
  }

 private:
  const rollup::Config config_ = config();
  caf::actor_system_config caf_config_;
  caf::actor_system system_{caf_config_};
  Metrics metrics_;
  Published<ValidBlockPtr> last_{nullptr};
  Terminator actors_;
  block_store_actor store_ = actors_.add(system_.spawn(block_store, BlockStoreConfig{16, 1U << 20U, &last_}));
  Validator validator_;
  Published<SignerEvidence> evidence_{{}};
  std::shared_ptr<http::Client> client_ = std::make_shared<http::Client>();
  std::optional<signer_poller_actor> actor_;
};

TEST(SignerWatch, OneEndpointIsTakenAtItsWordForTheBlockAndThatIsSaid) {
  const FakeL1 l1;
  Watch watch{{l1.url()}};
  EXPECT_THAT(watch.proof(), HasSubstr("signer taken from one L1 endpoint"));
  EXPECT_THAT(watch.proof(), HasSubstr("block 1000"));
  EXPECT_TRUE(eventually([&] { return watch.signers().front() == address(1); }));
  EXPECT_EQ(watch.signers().back(), address(9)) << "the one before is good for a while";
}

TEST(SignerWatch, TwoAgreeOnTheHighestBlockThatBothHave) {
  const FakeL1 ahead, behind{{.head = 998}};
  Watch watch{{ahead.url(), behind.url()}};
  EXPECT_THAT(watch.proof(), HasSubstr("two L1 endpoints agree"));
  EXPECT_THAT(watch.proof(), HasSubstr("block 998"));
  EXPECT_TRUE(eventually([&] { return watch.signers().front() == address(1); }));
}

TEST(SignerWatch, OneThatLiesAgainstOneIsNoAgreement) {
  const FakeL1 honest, lying{{.signer = address(7), .proves = address(7)}};
  Watch watch{{lying.url(), honest.url()}};
  EXPECT_THAT(watch.failure(), HasSubstr("no 2 L1 endpoints agree on block 1000"));
}

TEST(SignerWatch, OneThatLiesAgainstTwoIsOutvoted) {
  const FakeL1 first, second, lying{{.head = 100'000, .signer = address(7), .proves = address(7)}};
  Watch watch{{lying.url(), first.url(), second.url()}};
  EXPECT_THAT(watch.proof(), HasSubstr("block 1000"));
  EXPECT_TRUE(eventually([&] { return watch.signers().front() == address(1); }));
}

TEST(SignerWatch, AFalseProofIsPassedOver) {
  const FakeL1 lying{{.proves = address(7)}}, honest;
  {
    Watch watch{{lying.url(), honest.url()}};
    EXPECT_THAT(watch.proof(), HasSubstr("two L1 endpoints agree"));
    EXPECT_TRUE(eventually([&] { return watch.signers().front() == address(1); }));
  }
  Watch alone{{lying.url()}};
  EXPECT_THAT(alone.failure(), HasSubstr("does not hash to what its parent, or the root, says"));
}

TEST(SignerWatch, WithoutProofsNothingIsTaken) {
  const FakeL1 none{{.has_proofs = false}}, other;
  {
    Watch watch{{none.url()}};
    EXPECT_THAT(watch.failure(), HasSubstr("eth_getProof: the method eth_getProof does not exist"));
  }
  Watch watch{{none.url(), other.url()}};
  EXPECT_THAT(watch.proof(), HasSubstr("two L1 endpoints agree")) << "one that can prove it is enough";
}

TEST(SignerWatch, TwoAreTwo) {
  const FakeL1 l1;
  std::string gone;
  {
    const FakeL1 closed;
    gone = closed.url();
  }
  Watch watch{{gone, l1.url()}};
  EXPECT_THAT(watch.failure(), HasSubstr("1 of 2 L1 endpoints give a block"));
}

TEST(SignerWatch, ABlockOfLongAgoIsNotTaken) {
  const FakeL1 stuck{{.head = kHead - 12 * 60 / 2}};
  Watch watch{{stuck.url()}};
  EXPECT_THAT(watch.failure(), HasSubstr("is 1 h old"));
}

TEST(SignerWatch, EndsWhileAnEndpointHangs) {
  httplib::Server server;
  std::promise<void> asked, end;
  server.Post(".*", [&](const httplib::Request&, httplib::Response&) {
    asked.set_value();
    end.get_future().wait();
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread{[&] { server.listen_after_bind(); }};
  {
    Watch watch{{absl::StrCat("http://127.0.0.1:", port)}};
    asked.get_future().wait();
    watch.client().cancel_all();
    EXPECT_THAT(watch.failure(), HasSubstr("0 of 1 L1 endpoints give a block"));
  }
  end.set_value();
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace towline::gossip
