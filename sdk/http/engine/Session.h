/// http/engine/Session.h: what a user of the engine implements, and what it is given.
#pragma once

#include "Address.h"
#include "Upstream.h"

#include <http/codec/Head.h>
#include <http/codec/HeadWriter.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {

class Loop;

/// An answer of our own.
struct LocalResponse {
  int status = 200;
  std::string_view contentType; ///< static; empty without a body
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
};

/// How an exchange went, for logs and metrics.
struct Summary {
  int status = 0; ///< 0: the client went away before an answer began
  std::uint64_t bytesIn = 0;
  std::uint64_t bytesOut = 0; ///< payload
  std::int64_t tookMicros = 0;
  bool upgraded = false;
  bool reusedUpstream = false;
  bool aborted = false;    ///< broken off after the answer had begun
  const char *reason = ""; ///< static text on what went wrong
};

/// One request, to be answered exactly once with respond() or forward(), now or after hold(). Loop thread only.
class Exchange {
public:
  /// Spans into the connection's buffer, valid until the exchange ends or becomes a tunnel.
  virtual RequestHead &request() noexcept = 0;
  virtual const Address &peer() const noexcept = 0;
  /// The client's connection is encrypted.
  virtual bool isEncrypted() const noexcept = 0;
  virtual Loop &loop() noexcept = 0;

  virtual void respond(LocalResponse response) = 0;
  /// Session::writeRequest is called once a connection stands; again if the request has to be sent once more. A body of
  /// more than `maxBody` bytes, or than ServerOptions::maxBody, is refused: 413.
  virtual void forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody = UINT64_MAX) = 0;
  /// Waits for respond() or forward(), which Loop::resume(ticket, …) brings back to this thread. Meanwhile the body
  /// is read into the connection's buffer and no further. Session::onHoldTimeout after `most`.
  virtual std::uint64_t hold(std::chrono::milliseconds most) = 0;

protected:
  ~Exchange() = default;
};

/// The policy behind one client connection; it sees its requests one after the other, on one thread. The defaults pass
/// everything through. What a callback throws ends the connection.
class Session {
public:
  virtual ~Session() = default;

  virtual void onRequest(Exchange &exchange) = 0;

  /// Asked whenever a new connection to a candidate stands, before anything is sent on it: false when this upstream is
  /// no longer where the request belongs. Its address may have passed to somebody else since it was looked up; who has
  /// it published before it passes on is safe from that. onForwardFailed with Moved follows.
  virtual bool isCurrent(Exchange &, const Upstream &) { return true; }
  /// Writes the request line and the end-to-end fields. The engine has marked hop-by-hop fields as dropped, and adds
  /// framing, Connection, Upgrade and Expect itself.
  virtual void writeRequest(Exchange &exchange, HeadWriter &writer);
  /// Writes the end-to-end fields of an upstream's response; the status line and the framing are the engine's.
  virtual void writeResponse(Exchange &exchange, ResponseHead &head, HeadWriter &writer);

  /// forward() came to nothing, and no byte of an answer was sent: answer, hold or forward again.
  virtual void onForwardFailed(Exchange &exchange, ForwardFailure failure);
  virtual void onHoldTimeout(Exchange &exchange);
  /// The server stops while the request is held: answer. Default: 503 with Retry-After.
  virtual void onDrain(Exchange &exchange);
  /// The client left while its request was held. onFinished follows.
  virtual void onGone(Exchange &) {}
  /// The exchange became a WebSocket; from here on request() is empty.
  virtual void onUpgraded(Exchange &) {}
  /// Bytes of a response body passed by.
  virtual void onResponseBytes(Exchange &, std::size_t /*bytes*/) {}
  /// Data frames passed by, in either direction.
  virtual void onFrames(Exchange &, std::uint64_t /*frames*/) {}
  /// Last call for this exchange.
  virtual void onFinished(Exchange &, const Summary &) {}

  /// The body for what the engine itself refuses: a malformed head, an exceeded limit. Default: problem+json.
  virtual LocalResponse refusal(int status, const char *reason);
  /// A refusal outside of any exchange; the connection will be closed.
  virtual void onRefused(int /*status*/, const char * /*reason*/) {}
};

/// Makes a session for each client connection, on the loop's thread.
class SessionFactory {
public:
  virtual ~SessionFactory() = default;
  virtual std::unique_ptr<Session> makeSession(Loop &loop, const Address &peer) = 0;
};

/// {"error": reason, …} as RFC 9457 problem details.
LocalResponse problem(int status, std::string_view sentence);
/// JSON text in quotes.
std::string jsonString(std::string_view text);

} // namespace matrixos::http
