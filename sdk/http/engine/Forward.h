/// http/engine/Forward.h: the upstream half of an exchange; internal.
#pragma once

#include "Connector.h"
#include "Pump.h"
#include "Session.h"
#include "Tunnel.h"

#include <http/codec/ResponseParser.h>

#include <memory>
#include <optional>
#include <string_view>

namespace matrixos::http {

class ClientConnection;

/// Sends a request over the connection that a Connector finds and brings the response back, or becomes a tunnel after a
/// valid 101. It is kept by its connection and used for one exchange after the other.
class Forward final : public SocketEvents, public PumpOwner {
public:
  explicit Forward(ClientConnection &client);
  ~Forward();

  /// `body`: what is sent in place of the client's, which has been taken; it outlives the exchange.
  void begin(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody, std::optional<std::string_view> body,
             BodyObserver *observer);
  void clientReadable();
  void clientWritable();
  /// True while bytes from the client belong to this exchange.
  bool wantsInput() const noexcept { return tunnel() || (phase_ != Phase::Idle && request_.started()); }
  bool tunnel() const noexcept { return phase_ == Phase::Tunnel; }
  std::int64_t deadline() const;
  void onDeadline();
  void onClientEnd();
  /// Asks a WebSocket to end, see Tunnel::close().
  void closeTunnel() {
    if (tunnel()) tunnel_->close();
  }
  /// Now and then: the address may have been retired, or the client shut out.
  void look();
  /// Lets go of the upstream.
  void cancel() noexcept;
  /// The same as the client goes, but the observer may have the rest of the answer read.
  void leave() noexcept;

  // For Connector
  /// An attempt begins; its time runs from now on.
  void onConnecting();
  void onConnected(std::shared_ptr<Socket> socket, bool reused);
  /// `reason`: static text, perhaps empty.
  void onConnectFailed(ForwardFailure failure, const char *reason);

  void onReadable() override;
  void onWritable() override;
  void onPumpProgress() override { touch(); }
  std::string_view onPumpBytes(Pump &pump, std::string_view payload, bool last) override;
  void onPumpDone(Pump &pump) override;
  void onPumpFailed(Pump &pump, PumpFailure failure) override;

private:
  enum class Phase : std::uint8_t { Idle, Connecting, AwaitHead, Body, Tunnel };

  void connect(bool again);
  void sendRequest();
  void readHead();
  void parseHead();
  bool isReplayable() const noexcept;
  void headMissing();
  void relayInterim(ResponseHead &head);
  void startResponse(ResponseHead &head);
  void startTunnel(ResponseHead &head);
  void responseDone();
  void endIfClosed() {
    if (tunnel()) tunnel_->endIfClosed();
  }
  std::string_view observe(std::string_view piece, bool last);
  void endBehindPiece();
  void endObservation(bool complete) noexcept;
  bool mayHandOver() const noexcept;
  void handOver() noexcept;
  const Retirement *retirement() const noexcept { return connector_.candidate().retirement.get(); }
  void onRetired();
  std::int64_t phaseDeadline() const;
  std::int64_t bodyDeadline() const noexcept;
  std::int64_t readerDeadline() const noexcept;
  void watchReader() noexcept;
  void fail(ForwardFailure failure);
  void touch();

  ClientConnection &client_;
  Connector connector_;
  std::shared_ptr<const Upstream> upstream_;
  BodyObserver *observer_ = nullptr; // until it has seen the end
  std::shared_ptr<Socket> socket_;
  Buffer buffer_;
  ResponseParser parser_;
  Pump request_;
  Pump response_;
  std::unique_ptr<Tunnel> tunnel_;       // kept to the end: it may be at work when its exchange is cancelled
  std::optional<std::string_view> body_; // our own
  std::uint64_t maxBody_ = UINT64_MAX;
  std::optional<std::uint64_t> announced_; // of the answer's body
  std::int64_t sinceMs_ = 0;               // last progress
  std::int64_t sentAtMs_ = 0;              // the head of the request
  std::int64_t readerWaitMs_ = 0;          // how long the client has let its answer wait, before the present wait
  std::int64_t readerSinceMs_ = 0;         // the present wait; 0: none
  Phase phase_ = Phase::Idle;
  std::uint8_t interims_ = 0;
  bool reused_ = false;
  bool retried_ = false;
  bool sawByte_ = false;
  bool requestDone_ = false;
  bool upstreamKeepAlive_ = false; // as far as its answers say
  bool clientKeepAlive_ = false;
  bool clientEnded_ = false;
};

} // namespace matrixos::http
