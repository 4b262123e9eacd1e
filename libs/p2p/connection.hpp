// One libp2p connection from its first byte: multistream, Noise, multistream or early data, yamux, and a negotiation on
// each stream. Bytes and the time in; bytes and calls to the handler out. Pure.
#pragma once
#include <absl/container/flat_hash_map.h>

#include <memory>

#include "libs/p2p/multistream.hpp"
#include "libs/p2p/noise.hpp"
#include "libs/p2p/yamux.hpp"

namespace towline::p2p {

class Connection final : private Yamux::Handler {
 public:
  struct Handler {
    virtual ~Handler() = default;
    /// The peer is authenticated and streams can be opened. An error refuses the peer.
    virtual absl::Status on_ready(const PublicKey& key, const PeerId& peer) = 0;
    /// Both ends agreed on the protocol of a stream; `inbound`: the peer opened it.
    virtual void on_stream(StreamId id, const std::string& protocol, bool inbound) = 0;
    virtual void on_stream_data(StreamId id, BytesView data) = 0;
    /// The peer will send no more on the stream.
    virtual void on_stream_end(StreamId id) = 0;
    /// The stream is gone, also if the peer speaks none of the protocols that it was opened for.
    virtual void on_stream_gone(StreamId id) = 0;
  };
  struct Options {
    /// The protocols that the peer may open streams for.
    std::vector<std::string> protocols;
    /// The limit from the first byte until on_ready, and for the negotiation on each stream.
    absl::Duration negotiation_timeout = absl::Seconds(10);
    Yamux::Options yamux;
  };
  Connection(bool dialer, const Identity& identity, const NoiseHandshake::Keys& keys, std::optional<PeerId> expected,
             const Options& options, Handler& handler, absl::Time now);

  /// An error ends the connection: send what output() still has, then close.
  absl::Status on_bytes(BytesView in, absl::Time now);
  absl::Status on_timer(absl::Time now);
  absl::Time next_timer() const;

  /// Opens a stream for one of `protocols`, best first; on_stream() tells which. RESOURCE_EXHAUSTED: too many streams
  /// that the peer has not acknowledged.
  absl::StatusOr<StreamId> open(std::vector<std::string> protocols, absl::Time now);
  void write(StreamId id, SharedBytes data) { yamux_->write(id, std::move(data)); }
  void finish(StreamId id) { yamux_->finish(id); }
  void reset(StreamId id);
  std::size_t queued(StreamId id) const { return yamux_ ? yamux_->queued(id) : 0; }

  bool wants_output() const;
  /// Appends about `max` bytes for the socket.
  void output(Bytes& out, std::size_t max);

  bool ready() const { return yamux_ != nullptr; }
  absl::Duration latency() const { return yamux_ ? yamux_->latency() : absl::ZeroDuration(); }

 private:
  struct Negotiation {
    Multistream multistream;
    bool inbound;
    absl::Time deadline;
  };
  absl::Status on_plain(BytesView& in, absl::Time now);
  absl::Status on_text(BytesView text, absl::Time now);
  absl::Status start_yamux(absl::Time now);
  void send_negotiation(StreamId id, Multistream& m);

  void on_open(StreamId id) override;
  void on_data(StreamId id, BytesView data) override;
  void on_end(StreamId id) override;
  void on_reset(StreamId id) override;

  enum class Stage { security, handshake, muxer, open };
  const bool dialer_;
  const Identity& identity_;
  const NoiseHandshake::Keys keys_;
  const std::optional<PeerId> expected_;
  const Options& options_;
  Handler& handler_;
  const absl::Time deadline_;
  Stage stage_ = Stage::security;
  std::optional<Multistream> multistream_;
  std::optional<NoiseHandshake> handshake_;
  std::optional<NoiseHandshake::Result> peer_;
  std::optional<NoiseSession> session_;
  std::unique_ptr<Yamux> yamux_;
  absl::flat_hash_map<StreamId, Negotiation> negotiations_;
  /// The time of the current call, for streams that open in it.
  absl::Time now_;
  Bytes plain_output_;
  Bytes text_, frames_;
};

}  // namespace towline::p2p
