/// http/engine/Session.h: what a user of the engine implements, and what it is given.
#pragma once

#include "BodyObserver.h"
#include "ClientExchange.h"
#include "Upstream.h"

#include <matrixos/address.hpp>

#include <http/codec/Head.h>
#include <http/codec/HeadWriter.h>
#include <http/codec/Problem.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::http {

/// The policy behind one client connection; it sees its requests one after the other, on one thread. The defaults pass
/// everything through. What a callback throws ends the connection.
class Session {
public:
  virtual ~Session() = default;

  virtual void onRequest(ClientExchange &exchange) = 0;

  /// Asked after a new connection to a candidate is made, TLS included, and before the request is sent on it: false if
  /// the request no longer belongs to this upstream, because its address has passed to somebody else since it was
  /// looked up. For that, publish a change before the address passes on. onForwardFailed with Moved follows.
  virtual bool isCurrent(ClientExchange &, const Upstream &) { return true; }
  /// Asked about once a second while a request that was sent, its answer or its WebSocket goes on: false breaks it off.
  /// Of a WebSocket request() is empty.
  virtual bool mayGoOn(ClientExchange &) { return true; }
  /// Writes the request line and the end-to-end fields. The engine has marked hop-by-hop fields as dropped, and adds
  /// framing, Connection, Upgrade and Expect itself.
  virtual void writeRequest(ClientExchange &exchange, HeadWriter &writer);
  /// Asked of each final response before any of it is sent: false if it is not to be passed on. The upstream is let go
  /// of, and onForwardFailed with Declined follows. The head is valid during the call.
  virtual bool acceptResponse(ClientExchange &, const ResponseHead &) { return true; }
  /// Writes the end-to-end fields of an upstream's response; the status line and the framing are the engine's.
  virtual void writeResponse(ClientExchange &, ResponseHead &head, HeadWriter &writer) { writer.fields(head.fields); }

  /// forward() came to nothing, and no byte of an answer was sent: answer, hold or forward again.
  virtual void onForwardFailed(ClientExchange &exchange, ForwardFailure failure);
  virtual void onHoldTimeout(ClientExchange &exchange);
  /// The server stops while the request is held: answer. Default: 503 with Retry-After.
  virtual void onDrain(ClientExchange &exchange);
  /// The client left while its request was held, or inside an answer in pieces. onFinished follows.
  virtual void onGone(ClientExchange &) {}
  /// A piece of the body that readBody() asked for; `last` comes once, with the final piece, which may be empty. The
  /// piece is valid until this returns or the exchange is answered.
  virtual void onBody(ClientExchange &, std::string_view /*piece*/, bool /*last*/) {}
  /// The client has taken what waited of an answer in pieces.
  virtual void onWritable(ClientExchange &) {}
  /// The exchange became a WebSocket; from here on request() is empty.
  virtual void onUpgraded(ClientExchange &) {}
  /// Bytes of a response body passed by.
  virtual void onResponseBytes(ClientExchange &, std::size_t /*bytes*/) {}
  /// Data frames passed by, in either direction.
  virtual void onFrames(ClientExchange &, std::uint64_t /*frames*/) {}
  /// Last call for this exchange.
  virtual void onFinished(ClientExchange &, const Summary &) {}

  /// Writes what every answer of our own carries besides `given`, the fields that it brings along.
  virtual void writeOwnFields(ClientExchange &, const FieldPairs & /*given*/, HeadWriter &) {}
  /// The body for what the engine itself refuses: a malformed head, an exceeded limit. Default: problem+json.
  virtual LocalResponse refusal(const ParseError &error);
  /// Asked where all places are taken: whether this request is served all the same, as the last one of its connection.
  virtual bool isVital(const RequestHead &) { return false; }
  /// A refusal outside of any exchange; the connection will be closed.
  virtual void onRefused(int /*status*/, const char * /*reason*/) {}
};

/// Makes a session for each client connection, on the loop's thread.
class SessionFactory {
public:
  virtual ~SessionFactory() = default;
  virtual std::unique_ptr<Session> makeSession(Loop &loop, const Address &peer) = 0;
  /// Whether the peer is a front of ours, through which others come: its PROXY header is believed, and it has no share
  /// of its own. On the loop's thread.
  virtual bool isFront(Loop &, const Address &) { return true; }
};

/// The problem as an answer; `requestId` may be empty.
LocalResponse problemResponse(const Problem &problem, std::string_view requestId = {});
/// The same for a sentence alone.
LocalResponse problemResponse(int status, std::string_view sentence);

} // namespace matrixos::http
