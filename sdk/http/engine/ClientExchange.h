/// http/engine/ClientExchange.h: one request and the ways to answer it.
#pragma once

#include <matrixos/address.hpp>

#include <http/codec/Head.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {

using matrixos::Address; // for those who use this namespace alone

class BodyObserver;
class Loop;
struct Upstream;

/// Header fields of our own making: name, value.
using FieldPairs = std::vector<std::pair<std::string, std::string>>;

/// A whole answer of our own.
struct LocalResponse {
  int status = 200;
  std::string_view contentType; ///< read before respond() returns; empty without a body
  std::string body;
  FieldPairs fields;
};

/// How an answer in pieces begins.
struct StreamHead {
  int status = 200;
  std::string_view contentType; ///< read before begin() returns
  FieldPairs fields;
  /// Bytes of all pieces together. Without it the answer is chunked, or ends with the connection for HTTP/1.0.
  std::optional<std::uint64_t> length{};
};

/// How an exchange went, for logs and metrics.
struct Summary {
  int status = 0; ///< 0: the client went away before an answer began
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0;  ///< payload
  std::uint32_t headBytes = 0; ///< of an answer of our own
  std::int64_t tookMicros = 0;
  bool upgraded = false;
  bool reusedUpstream = false;
  bool aborted = false;    ///< broken off after the answer had begun
  const char *reason = ""; ///< static text on what went wrong
};

/// The process at the other end of a UNIX socket when it connected.
struct PeerProcess {
  uid_t uid;
  pid_t pid;
};

/// One request, to be answered exactly once: with respond(), with forward(), or with begin(), write() … end(). Now, or
/// after hold() or readBody(). Loop thread only.
class ClientExchange {
public:
  /// Spans into the connection's buffer, valid until the exchange ends or becomes a tunnel.
  virtual RequestHead &request() noexcept = 0;
  virtual const Address &peer() const noexcept = 0;
  /// The client's connection is encrypted.
  virtual bool isEncrypted() const noexcept = 0;
  /// ListenerOptions::tag of the listener that the client connected to.
  virtual int listenerTag() const noexcept = 0;
  /// SO_PEERCRED, unix(7); nothing on TCP.
  virtual std::optional<PeerProcess> peerProcess() const noexcept = 0;
  virtual Loop &loop() noexcept = 0;

  virtual void respond(LocalResponse response) = 0;
  /// Session::writeRequest is called once a connection stands; again if the request has to be sent once more. A body of
  /// more than `maxBody` bytes, or than ServerOptions::maxBody, is refused: 413.
  /// `observer`, if there is one, sees the bodies pass and lives until Session::onFinished or the next forward().
  virtual void forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody = UINT64_MAX,
                       BodyObserver *observer = nullptr) = 0;
  /// The same for a request whose body readBody() has taken: `body` goes in its place, with its length. It lives as
  /// long as the observer. After Session::onForwardFailed it can be sent again, elsewhere.
  virtual void forwardTaken(std::shared_ptr<const Upstream> upstream, std::string_view body,
                            BodyObserver *observer = nullptr) = 0;
  /// Waits for an answer, which Loop::resume(ticket, …) brings back to this thread; the ticket is good until the answer
  /// is given, and through an answer in pieces until its end. Meanwhile the body is read into the connection's buffer
  /// and no further. Session::onHoldTimeout after `most`; hold() again goes on waiting under the same ticket.
  virtual std::uint64_t hold(std::chrono::milliseconds most) = 0;

  /// Takes the request's body: Session::onBody gets it piece by piece, as it arrives. A session that cannot take more
  /// calls hold(), and readBody() again to go on; the client then waits. A body of more than `maxBody` bytes is
  /// refused: 413; one that stands still: 408; a malformed one: 400.
  virtual void readBody(std::uint64_t maxBody = UINT64_MAX) = 0;

  /// Begins an answer in pieces. A client that leaves before its end: Session::onGone.
  virtual void begin(const StreamHead &head) = 0;
  /// Sends a piece. False when the client has not taken all of it yet: what waits is kept, and Session::onWritable
  /// follows once nothing waits any more; a session that writes on before that lets memory grow. A piece beyond the
  /// announced length throws std::logic_error. Does nothing before begin() and after end().
  virtual bool write(std::string_view piece) = 0;
  /// Bytes of an answer in pieces that wait for the client.
  virtual std::size_t unsent() const noexcept = 0;
  /// The answer in pieces is complete. Throws std::logic_error when less was written than was announced.
  virtual void end() = 0;
  /// Breaks the connection, so that nobody takes for complete what was sent. `reason` is static text.
  virtual void abort(const char *reason) = 0;

protected:
  ~ClientExchange() = default;
};

} // namespace matrixos::http
