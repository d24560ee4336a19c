/// http/engine/ClientConnection.h: one client connection; internal.
#pragma once

#include "BodyIntake.h"
#include "Buffer.h"
#include "Forward.h"
#include "IdleList.h"
#include "ProxyHeader.h"
#include "ResponseWriter.h"
#include "Session.h"
#include "Socket.h"
#include "Timers.h"

#include <http/codec/RequestParser.h>

#include <exception>
#include <memory>
#include <string>

namespace matrixos::http {

/// Reads requests one after the other, lets the session decide, answers or forwards, and ends in good order. It is
/// owned by its loop and destroyed after close(), once the stack has unwound.
class ClientConnection final : public SocketEvents, public Timer, public ClientExchange {
public:
  /// `listenerTag`: see ClientExchange::listenerTag().
  ClientConnection(Loop &loop, std::shared_ptr<Socket> socket, const Address &peer, int listenerTag,
                   SessionFactory &factory);
  ~ClientConnection() override;

  void start();
  /// Instead of start(), as there is no place: answers 503 to all but what is vital, and ends. `reason`: static text.
  void turnAway(const char *reason);
  bool isTurnedAway() const noexcept { return turnedAway_ != nullptr; }
  /// On the clock of Loop::nowMs(): what it waits for now it has waited for since then.
  std::int64_t sinceMs() const noexcept { return sinceMs_; }
  /// Ends at once, whatever is going on.
  void close();
  /// Ends now when idle, else after the exchange.
  void drain();

  // ClientExchange
  RequestHead &request() noexcept override;
  const Address &peer() const noexcept override { return peer_; }
  bool isEncrypted() const noexcept override { return socket_->isEncrypted(); }
  int listenerTag() const noexcept override { return listenerTag_; }
  std::optional<PeerProcess> peerProcess() const noexcept override { return socket_->peerProcess(); }
  Loop &loop() noexcept override { return loop_; }
  void respond(LocalResponse response) override;
  void forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody, BodyObserver *observer) override;
  void forwardTaken(std::shared_ptr<const Upstream> upstream, std::string_view body, BodyObserver *observer) override;
  std::uint64_t hold(std::chrono::milliseconds most) override;
  void readBody(std::uint64_t maxBody) override;
  void begin(const StreamHead &head) override;
  bool write(std::string_view piece) override;
  std::size_t unsent() const noexcept override { return writer_ ? writer_->unsent() : 0; }
  void end() override;
  void abort(const char *reason) override;

  // For Forward
  Session &session() noexcept { return *session_; }
  Socket &socket() noexcept { return *socket_; }
  Buffer &input() noexcept { return in_; }
  Summary &summary() noexcept { return summary_; }
  bool mayKeepAlive() const noexcept;
  /// Sets the timer to the present deadline, if that is sooner than what it is set to.
  void arm();
  /// From here on the client is only watched: for its end, and for the next request.
  void watch();
  /// Body bytes have left the buffer; `done`: all of them.
  void bodyPassed(bool done) noexcept;
  void forwardFailed(ForwardFailure failure);
  void refuse(int status, const char *reason) { refuse({.status = status, .reason = reason}); }
  void refuse(const ParseError &error);
  void becomeTunnel();
  /// The answer has been sent.
  void finish(bool keepAlive);
  /// Entry of every event: what it throws ends this connection and no other.
  void shielded(auto &&event) noexcept {
    try {
      event();
    } catch (const std::exception &) {
      fail();
    }
  }

  void onReadable() override;
  void onWritable() override;
  void onTimer() override;

private:
  enum class State : std::uint8_t {
    Preface,
    Head,
    Deciding,
    Holding,
    Reading, ///< the session takes the body
    Forwarding,
    Answering, ///< a whole answer, or the rest of one in pieces
    Streaming, ///< an answer in pieces
    Lingering,
    Closed
  };

  void handleReadable();
  void handleWritable();
  bool takeShare();
  void await();
  void answerFull();
  bool takePreface();
  void peekPreface();
  void welcome(const ProxyHeader &header);
  void processInput();
  void beginExchange();
  void readInput();
  void readWhileBusy();
  void readNoMore();
  void onClientEnd(bool failed);
  void fail() noexcept;
  void clientGone(const char *reason = "the client closed its connection");
  bool undecided() const noexcept;
  void takeBody();
  /// False: nothing more to be done now.
  bool readBodyBytes();
  void takePiece();
  void expectBody();
  void startAnswer(int status, std::string_view contentType, const FieldPairs &fields, BodyFraming framing,
                   bool keepAlive);
  void sendAnswer(LocalResponse response, bool keepAlive);
  void flushAnswer();
  bool skipBufferedBody();
  void endExchange();
  void linger();
  void readLingering();
  void leaveHold() noexcept;
  std::int64_t deadline() const;
  void onDeadline();

  Loop &loop_;
  std::shared_ptr<Socket> socket_;
  Address peer_;
  SessionFactory &factory_;
  std::unique_ptr<Session> session_; // none before the preface
  Buffer in_;
  RequestParser parser_;
  std::unique_ptr<RequestHead> head_;
  std::unique_ptr<Forward> forward_;
  IdleLink idle_{this};
  std::unique_ptr<BodyIntake> intake_;     // once readBody() was called
  std::unique_ptr<ResponseWriter> writer_; // while it sends an answer of our own
  Summary summary_;
  std::int64_t startedNs_ = 0;
  std::int64_t sinceMs_ = 0; // what the present deadline counts from
  std::int64_t holdUntilMs_ = 0;
  std::uint64_t ticket_ = 0;
  std::size_t lingered_ = 0;
  int listenerTag_;
  std::uint8_t interimLeft_ = 0; // bytes of 100 Continue that are not sent
  State state_ = State::Head;
  bool keepAlive_ = true;
  bool bodyStarted_ = false; // some of the body has left the buffer
  bool complete_ = true;     // nothing of the request is left on the wire
  bool inputEnded_ = false;
  bool processing_ = false;
  bool taking_ = false;              // inside takeBody()
  bool blocked_ = false;             // the session waits for onWritable
  bool exchange_ = false;            // between onRequest and onFinished
  bool counted_ = false;             // among the connections of its client
  const char *turnedAway_ = nullptr; // why
};

} // namespace matrixos::http
