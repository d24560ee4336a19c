#pragma once

#include "http/Lobby.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocketImpl.h>

#include <atomic>
#include <memory>
#include <string_view>

/// How admitted requests reach Poco::Net::HTTPServer.
///
/// Poco 1.11's server misreads hostile requests in many ways, among them: two Content-Lengths, Transfer-Encoding beside
/// Content-Length, `Host :`, bodies that nobody read, encoded words in fields, addresses of unix sockets. So it is
/// given nothing to misread. Its server socket is a queue of requests that passed the gate; each is accepted as a
/// connection of its own, on which Poco finds one constant, empty request. What Poco contributes is what it does well:
/// dispatching to a pool of worker threads. The handler takes the real request from the AdmittedSocket underneath, and
/// goes on with others from the queue while there are some.
namespace matrixos::api {

/// The socket that Poco sees for one admitted request. A request that Poco drops on its way to a worker is answered 503
/// when Poco lets go of the socket.
class AdmittedSocket : public Poco::Net::StreamSocketImpl {
public:
  AdmittedSocket(std::unique_ptr<Connection> connection, std::shared_ptr<Lobby> lobby,
                 std::shared_ptr<AdmissionQueue> queue);

  /// A worker has it; before anything else.
  void begin();
  /// Until finish().
  Connection &connection() { return *connection_; }
  /// The request was answered: passes the connection on. Poco keeps the socket a little longer and may let go of it on
  /// its acceptor thread, so this does not wait for that.
  void finish(After after);

  int sendBytes(const void *buffer, int length, int flags) override;
  int receiveBytes(void *buffer, int length, int flags) override;
  bool poll(const Poco::Timespan &timeout, int mode) override;
  int available() override;
  /// The descriptor is the connection's, and the connection goes on.
  void close() override {}
  void shutdown() override {}
  void setSendTimeout(const Poco::Timespan &) override {}
  void setReceiveTimeout(const Poco::Timespan &) override {}
  /// Poco asks for both and would read garbage off a unix socket; nobody uses the answers.
  Poco::Net::SocketAddress address() override;
  Poco::Net::SocketAddress peerAddress() override;

protected:
  ~AdmittedSocket() override;

private:
  std::unique_ptr<Connection> connection_;
  std::shared_ptr<Lobby> lobby_;
  std::shared_ptr<AdmissionQueue> queue_;
  std::string_view pending_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> finished_{false};
};

/// The request of a connection was answered: passes it on.
void passOn(std::unique_ptr<Connection> connection, After after, Lobby &lobby, AdmissionQueue &queue);

/// The server socket that Poco::Net::HTTPServer accepts from.
class AdmittedServerSocket : public Poco::Net::ServerSocket {
public:
  AdmittedServerSocket(std::shared_ptr<Lobby> lobby, std::shared_ptr<AdmissionQueue> queue);
};

} // namespace matrixos::api
