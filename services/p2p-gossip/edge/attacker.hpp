// A peer that a test drives by hand over a real socket: each layer behaves correctly up to the point that the test
// attacks.
#pragma once
#include <absl/container/flat_hash_map.h>
#include <absl/time/clock.h>
#include <poll.h>

#include <boost/asio.hpp>

#include "libs/crypto/openssl.hpp"
#include "libs/p2p/gossip_rpc.hpp"
#include "libs/p2p/multiaddr.hpp"
#include "libs/p2p/multistream.hpp"
#include "libs/p2p/noise.hpp"
#include "libs/p2p/yamux.hpp"
#include "tests/support/hang.hpp"

namespace towline::gossip {

class Attacker final : private p2p::Yamux::Handler {
 public:
  /// Connects, and sends nothing yet. A small `receive_buffer` fills soon while the attacker does not read.
  Attacker(const p2p::Multiaddr& node, const secp256k1::SecretKey& key, int receive_buffer = 0) : identity_{key} {
    using Tcp = boost::asio::ip::tcp;
    socket_.open(Tcp::v4());
    if (receive_buffer > 0) socket_.set_option(boost::asio::socket_base::receive_buffer_size{receive_buffer});
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), node.tcp});
    socket_.set_option(Tcp::no_delay{true});
    socket_.non_blocking(true);
  }

  const p2p::PeerId& id() const { return identity_.peer_id(); }
  /// The node closed the connection.
  bool closed() const { return closed_; }
  /// From now on the attacker sends but does not read.
  void stop_reading() { deaf_ = true; }

  // ---------------------------------------------------------------- layers, from the bottom

  bool raw(BytesView in) {
    const absl::Time deadline = absl::Now() + towline::testing::kHang;
    while (!in.empty() && !closed_ && absl::Now() < deadline) {
      boost::system::error_code ec;
      in = in.subspan(socket_.write_some(boost::asio::buffer(in.data(), in.size()), ec));
      if (ec == boost::asio::error::would_block) {
        wait(POLLOUT, absl::Milliseconds(100));
        if (!deaf_) read();
      } else if (ec) {
        closed_ = true;
      }
    }
    return in.empty() && !closed_;
  }
  /// multistream and Noise, with yamux as early data. `third`: replaces the last message of Noise.
  bool secure(const Bytes& third = {}) {
    auto select = p2p::Multistream::dialer({"/noise"});
    p2p::NoiseHandshake handshake{true, identity_, {crypto::random<32>(), crypto::random<32>()}, {}, {"/yamux/1.0.0"}};
    raw(select.take_output());
    bool agreed = false;
    return until([&] {
      BytesView in{plain_};
      if (!agreed) {
        const auto got = select.on_bytes(in);
        agreed = got.ok() && got->has_value();
      }
      if (agreed) {
        raw(handshake.take_output());
        const auto done = handshake.on_bytes(in);
        if (done.ok() && *done) {
          session_.emplace((*done)->ciphers);
          yamux_.emplace(true, static_cast<p2p::Yamux::Handler&>(*this), p2p::Yamux::Options{}, absl::Now());
          const Bytes last = handshake.take_output();
          raw(third.empty() ? last : third);
        }
      }
      plain_.assign(in.begin(), in.end());
      return session_.has_value();
    });
  }
  /// Sends bytes inside the Noise session.
  bool text(BytesView in) {
    Bytes out;
    session_->seal(in, out);
    return raw(out);
  }
  enum Type : std::uint8_t { data = 0, window = 1, ping = 2, go_away = 3 };
  enum Flag : std::uint16_t { none = 0, syn = 1, ack = 2, fin = 4, rst = 8 };
  /// A yamux frame of any kind; `length` need not match `body`.
  static Bytes frame(std::uint8_t type, std::uint16_t flags, p2p::StreamId stream, std::uint32_t length,
                     const Bytes& body = {}, std::uint8_t version = 0) {
    Bytes out{version, type, static_cast<std::uint8_t>(flags >> 8U), static_cast<std::uint8_t>(flags)};
    for (const std::uint32_t n : {stream, length})
      for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(n >> static_cast<unsigned>(shift)));
    out.insert(out.end(), body.begin(), body.end());
    return out;
  }
  /// Opens a stream, assuming that the node agrees to `protocol`.
  p2p::StreamId open(const std::string& protocol) {
    const p2p::StreamId id = *yamux_->open();
    Bytes out;
    for (const std::string& token : {std::string{"/multistream/1.0.0\n"}, protocol + "\n"})
      p2p::append_delimited(as_bytes(token), out);
    say(id, out);
    return id;
  }
  /// Sends on a stream, once the node's window allows it.
  bool say(p2p::StreamId id, BytesView in) {
    yamux_->write(id, std::make_shared<const Bytes>(in.begin(), in.end()));
    flush();
    return deaf_ ? !closed_ : until([&] { return yamux_->queued(id) == 0; });
  }

  /// The first bytes that the node sent on a stream of ours.
  const Bytes& answer(p2p::StreamId id) { return answers_[id]; }

  // ---------------------------------------------------------------- gossip

  /// Joins like an honest peer: subscribes to `topic` and grafts.
  bool join(const std::string& topic) {
    if (!secure()) return false;
    gossip_ = open("/meshsub/1.2.0");
    Bytes out;
    p2p::GossipRpcWriter::subscription(topic, true, out);
    p2p::GossipRpcWriter::control({.have = {}, .want = {}, .dont_want = {}, .graft = {topic}, .prune = {}}, out);
    return rpc(out) && until([&] { return heard_.subscriptions > 0; });
  }
  bool rpc(BytesView in) {
    Bytes out;
    p2p::append_delimited(in, out);
    return say(gossip_, out);
  }
  bool control(const p2p::GossipRpcWriter::Control& c) {
    Bytes out;
    p2p::GossipRpcWriter::control(c, out);
    return rpc(out);
  }
  bool publish(const std::string& topic, BytesView message) {
    Bytes out;
    p2p::GossipRpcWriter::message(topic, message, out);
    return rpc(out);
  }
  p2p::StreamId gossip() const { return gossip_; }

  /// Counts what the node sent.
  struct Heard {
    std::size_t subscriptions = 0, messages = 0, wants = 0, grafts = 0, prunes = 0;
    Bytes last_message;
    /// Streams that the node reset.
    std::size_t resets = 0;
  };
  const Heard& heard() const { return heard_; }

  // ---------------------------------------------------------------- waiting

  /// Reads and answers until `done`; false if the node closes first, or the time is over.
  template <typename F>
  bool until(F done, absl::Duration limit = towline::testing::kHang) {
    const absl::Time deadline = absl::Now() + limit;
    while (!done()) {
      if (closed_ || absl::Now() > deadline) return false;
      wait(POLLIN, absl::Milliseconds(20));
      if (!deaf_) read();
      flush();
    }
    return true;
  }
  /// Waits until the node closes; what it sends before is discarded.
  bool until_closed(absl::Duration limit = towline::testing::kHang) {
    deaf_ = false;
    until([] { return false; }, limit);
    return closed_;
  }

 private:
  void wait(short events, absl::Duration limit) {
    pollfd p{socket_.native_handle(), events, 0};
    ::poll(&p, 1, static_cast<int>(absl::ToInt64Milliseconds(limit)));
  }
  void read() {
    boost::system::error_code ec;
    const std::size_t n = socket_.read_some(boost::asio::buffer(in_), ec);
    if (ec && ec != boost::asio::error::would_block) closed_ = true;
    const BytesView in = BytesView{in_}.first(n);
    if (!session_) {
      plain_.insert(plain_.end(), in.begin(), in.end());
      return;
    }
    Bytes plain;
    if (session_->open(in, plain).ok()) (void)yamux_->on_bytes(plain, absl::Now());
  }
  void flush() {
    while (yamux_ && yamux_->wants_output() && !closed_) {
      Bytes out;
      yamux_->output(out, 64U << 10U);
      text(out);
    }
  }

  void on_open(p2p::StreamId id) override {
    const auto it = negotiations_.emplace(id, p2p::Multistream::listener({"/meshsub/1.2.0"})).first;
    yamux_->write(id, std::make_shared<const Bytes>(it->second.take_output()));
  }
  void on_data(p2p::StreamId id, BytesView part) override {
    if (const auto it = negotiations_.find(id); it != negotiations_.end()) {
      const auto agreed = it->second.on_bytes(part);
      yamux_->write(id, std::make_shared<const Bytes>(it->second.take_output()));
      if (!agreed.ok() || !*agreed) return;
      negotiations_.erase(it);
      heard_on_ = id;
    }
    if (id != heard_on_) {
      Bytes& said = answers_[id];
      if (said.size() < 256) said.insert(said.end(), part.begin(), part.end());
      return;
    }
    reader_.append(part);
    for (auto next = reader_.next(); next.ok() && *next; next = reader_.next()) {
      const auto rpc = p2p::GossipRpc::parse(**next);
      if (!rpc.ok()) return;
      heard_.subscriptions += rpc->subscriptions.size();
      heard_.messages += rpc->messages.size();
      heard_.wants += rpc->want.size();
      heard_.grafts += rpc->graft.size();
      heard_.prunes += rpc->prune.size();
      if (rpc->messages.empty()) continue;
      const BytesView last = rpc->messages.back().data;
      heard_.last_message.assign(last.begin(), last.end());
    }
  }
  void on_end(p2p::StreamId) override {}
  void on_reset(p2p::StreamId) override { ++heard_.resets; }

  p2p::Identity identity_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_{io_};
  std::array<std::uint8_t, 64U << 10U> in_{};
  bool closed_ = false, deaf_ = false;
  Bytes plain_;
  std::optional<p2p::NoiseSession> session_;
  std::optional<p2p::Yamux> yamux_;
  absl::flat_hash_map<p2p::StreamId, p2p::Multistream> negotiations_;
  absl::flat_hash_map<p2p::StreamId, Bytes> answers_;
  p2p::StreamId gossip_ = 0, heard_on_ = 0;
  p2p::DelimitedReader reader_{10U << 20U};
  Heard heard_;
};

}  // namespace towline::gossip
