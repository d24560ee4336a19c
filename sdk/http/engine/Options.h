/// http/engine/Options.h: limits and timeouts of a server. The defaults suit a public listener behind a tunnel.
#pragma once

#include "Tls.h"

#include <http/codec/Head.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::http {

struct Timeouts {
  using Ms = std::chrono::milliseconds;
  Ms header{10'000};        ///< whole request head, from its first byte: 408
  Ms keepAlive{95'000};     ///< idle client connection; longer than the 90 s of cloudflared's own idle pool
  Ms requestBody{30'000};   ///< between two pieces of a request body, or of a response the client reads
  Ms ownAnswer{30'000};     ///< the same for an answer of the session's own
  Ms connect{2'000};        ///< to one upstream address
  Ms firstByte{120'000};    ///< from the whole request, or the last interim answer, to the whole response head: 504
  Ms responseBody{300'000}; ///< between two pieces of a response body
  Ms tunnel{3'600'000};     ///< WebSocket without any byte
  Ms halfClosed{30'000};    ///< progress after the client closed its sending side
  /// For a request that is held, or answered in pieces, after the client closed its sending side; 0: such a client is
  /// taken to have left.
  Ms halfClosedHold{0};
  /// While the server drains: for the next request of a client that has just been served, or has just connected. The
  /// answer says that it is the last.
  Ms lastCall{1'000};
  Ms linger{2'000};       ///< for what a client still sends after an answer that ends its connection
  Ms upstreamIdle{4'000}; ///< pooled upstream connection; Node closes its own after 5 s
};

/// Where to listen: "127.0.0.1:9000", "[::1]:0" or "unix:/path". Port 0 takes a free one, see Server::addresses().
struct ListenerOptions {
  ListenerOptions(std::string text) : address(std::move(text)) {} // NOLINT(google-explicit-constructor): a text is one
  ListenerOptions(const char *text) : address(text) {}            // NOLINT(google-explicit-constructor)

  std::string address;
  /// File mode of its UNIX socket; else ServerOptions::unixMode.
  std::optional<mode_t> unixMode{};
  /// What ClientExchange::listenerTag() says of the clients that come here.
  int tag = 0;
};

/// All but `loops` and `bufferSize` may change while the server runs, see Server::reconfigure().
struct ServerOptions {
  std::vector<ListenerOptions> listen;
  /// Those that speak TLS with this certificate.
  std::vector<ListenerOptions> tlsListen;
  std::shared_ptr<TlsContext> tls;
  /// Sockets that already listen and outlive the server, such as those that systemd holds. An address that one of
  /// them has is taken from there instead of bound, and clients wait while no server runs. They stay the caller's.
  std::vector<int> inherited;
  /// File mode of UNIX sockets: whoever may write to the file may connect.
  mode_t unixMode = 0660;
  unsigned loops = 0; ///< event loops; 0: one per core
  HeadLimits request{};
  HeadLimits response{};
  /// One block; a stream holds at most two, and none while it is idle. At least twice the largest head.
  std::size_t bufferSize = 32 * 1024;
  /// Above it a client is asked what it wants, and answered 503 unless that is vital (Session::isVital).
  std::size_t maxConnections = 10'000;
  /// Connections of one client that is no front (SessionFactory::isFront); above it the same.
  std::size_t peerConnections = SIZE_MAX;
  /// Above either, the connection that has waited for longest makes room for the new one: for its next request, or for
  /// the rest of a header.
  bool shedIdle = false;
  std::uint64_t maxBody = UINT64_MAX; ///< of a request: 413
  /// Bytes per second that a request body has to bring once Timeouts::requestBody has passed; 0: any. A client that
  /// sends a byte now and then would otherwise hold its place for ever.
  std::uint64_t minBodyRate = 0;
  /// Bytes per second that a client has to read of an answer while some of it waits for the client, once that has
  /// waited for Timeouts::requestBody in all; 0: any. WebSockets are not concerned.
  std::uint64_t minReadRate = 0;
  /// Each connection has to come from a front (SessionFactory::isFront) and begin with a header of the PROXY protocol,
  /// whose address then is the peer's; before the handshake where TLS is spoken.
  bool proxyProtocol = false;
  /// Answers per loop that are read on after their client has gone, see BodyObserver::onClientGone(); above it the
  /// oldest ends.
  std::size_t mostRests = 1'000;
  std::size_t idleUpstreams = 64; ///< pooled connections per loop and upstream
  Timeouts timeouts{};
  /// Names the threads: this and the number of the loop, 15 characters at most (pthread_setname_np(3)).
  std::string threadName = "http";
};

} // namespace matrixos::http
