/// http/engine/Tunnel.h: a WebSocket that passes between its two sides; internal.
#pragma once

#include "Pump.h"

#include <http/codec/Head.h>
#include <http/codec/WebSocket.h>

#include <cstddef>
#include <string_view>

namespace matrixos::http {

class ClientConnection;

/// Relays the bytes of both directions as they are, counts the data frames among them, and ends the WebSocket in good
/// order when it is asked to. A connection that became a tunnel is never anything else again.
class Tunnel {
public:
  /// The two pumps, which are idle, belong to the tunnel from now on; `upstream` is the connection to the server.
  Tunnel(ClientConnection &client, Socket &upstream, Pump &fromClient, Pump &fromUpstream) noexcept;
  Tunnel(const Tunnel &) = delete;
  Tunnel &operator=(const Tunnel &) = delete;

  /// A 101 completes the handshake that the request asked for (RFC 6455 §4.1).
  static bool isAgreed(const RequestHead &request, const ResponseHead &response);

  /// `buffer` may hold the first bytes of the upstream.
  void start(Buffer &buffer);
  /// How much of the payload passes: all, or what stands before our close frame.
  std::size_t relay(Pump &pump, std::string_view payload);
  /// One direction has come to its end: the other goes on, for a while.
  void onSideDone(Pump &pump);
  /// Asks for the end: both sides get a close frame, at the next boundary between two frames, and what they send after
  /// that is only read. It is over once both have answered with theirs.
  void close();
  /// Closes the connection if close() has been answered by both sides.
  void endIfClosed();
  bool isOneSided() const noexcept { return oneSideDone_; }

private:
  struct Direction {
    Pump &pump;
    FrameCounter frames;
    bool closeSent = false;
  };

  Direction &of(const Pump &pump) noexcept { return &pump == &fromClient_.pump ? fromClient_ : fromUpstream_; }
  void sendClose(Direction &direction);

  ClientConnection &client_;
  Socket &upstream_;
  Direction fromClient_;
  Direction fromUpstream_;
  bool oneSideDone_ = false;
  bool closing_ = false;
};

} // namespace matrixos::http
