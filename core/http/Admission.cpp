#include "http/Admission.h"

#include "http/ResponseHead.h"

#include <matrixos/ulid.hpp>

#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Timespan.h>

#include <algorithm>
#include <cstring>

namespace matrixos::api {

namespace {

constexpr std::string_view kEmptyRequest = "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

/// An address of the family for which Poco sets no TCP options.
Poco::Net::SocketAddress placeholderAddress() {
  return {Poco::Net::SocketAddress::UNIX_LOCAL, "/matrixos/api"};
}

class AdmittedServerSocketImpl : public Poco::Net::ServerSocketImpl {
public:
  AdmittedServerSocketImpl(std::shared_ptr<Lobby> lobby, std::shared_ptr<AdmissionQueue> queue)
      : lobby_(std::move(lobby)), queue_(std::move(queue)) {}

  bool poll(const Poco::Timespan &timeout, int) override {
    return queue_->wait(std::chrono::microseconds(timeout.totalMicroseconds()));
  }

  Poco::Net::SocketImpl *acceptConnection(Poco::Net::SocketAddress &) override {
    auto connection = queue_->take();
    if (!connection) throw Poco::Net::NetException("no admitted request");
    return new AdmittedSocket(std::move(connection), lobby_, queue_);
  }

  Poco::Net::SocketAddress address() override { return placeholderAddress(); }

protected:
  ~AdmittedServerSocketImpl() override = default;

private:
  std::shared_ptr<Lobby> lobby_;
  std::shared_ptr<AdmissionQueue> queue_;
};

} // namespace

AdmittedSocket::AdmittedSocket(std::unique_ptr<Connection> connection, std::shared_ptr<Lobby> lobby,
                               std::shared_ptr<AdmissionQueue> queue)
    : StreamSocketImpl(connection->fd()), connection_(std::move(connection)), lobby_(std::move(lobby)),
      queue_(std::move(queue)), pending_(kEmptyRequest) {}

AdmittedSocket::~AdmittedSocket() {
  // The descriptor belongs to the connection; Poco's destructor would close it.
  reset();
  if (!begun_) queue_->begun();
  if (finished_ || !connection_) return;
  try {
    const Problem dropped{503, "the server is stopping or has no worker left; try again", "OVERLOADED", 1000, {}};
    connection_->sendNow(problemResponse(dropped, makeUlid(), connection_->head().minorVersion, false));
  } catch (const std::exception &) {
    // Out of memory or randomness: the connection is closed unanswered.
  }
  finish(After::Close);
}

void AdmittedSocket::begin() {
  begun_ = true;
  queue_->begun();
}

void AdmittedSocket::finish(After after) {
  passOn(std::move(connection_), after, *lobby_, *queue_);
  finished_ = true;
}

void passOn(std::unique_ptr<Connection> connection, After after, Lobby &lobby, AdmissionQueue &queue) {
  queue.leave();
  if (!connection->aborted()) lobby.giveBack(std::move(connection), after);
}

int AdmittedSocket::sendBytes(const void *, int length, int) {
  // Only Poco's own error answers come here, and they would be second answers.
  return length;
}

int AdmittedSocket::receiveBytes(void *buffer, int length, int) {
  const std::size_t take = std::min(pending_.size(), static_cast<std::size_t>(std::max(length, 0)));
  std::memcpy(buffer, pending_.data(), take);
  pending_.remove_prefix(take);
  return static_cast<int>(take);
}

bool AdmittedSocket::poll(const Poco::Timespan &, int) {
  return true;
}

int AdmittedSocket::available() {
  return static_cast<int>(pending_.size());
}

Poco::Net::SocketAddress AdmittedSocket::address() {
  return placeholderAddress();
}

Poco::Net::SocketAddress AdmittedSocket::peerAddress() {
  return placeholderAddress();
}

AdmittedServerSocket::AdmittedServerSocket(std::shared_ptr<Lobby> lobby, std::shared_ptr<AdmissionQueue> queue)
    : ServerSocket(new AdmittedServerSocketImpl(std::move(lobby), std::move(queue)), true) {}

} // namespace matrixos::api
