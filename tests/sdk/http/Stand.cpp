#include "Stand.h"

#include <support/Wait.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace stand {

using namespace matrixos::http;

Peer::Peer(Script script, std::uint16_t port, const std::string &ip)
    : server_(
          [script = std::move(script)](const matrixos::test::Peer &peer) {
            const timeval most{20, 0};
            ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
            script(peer.fd());
          },
          port, ip) {
  server_.listen();
}

std::string readHead(int fd) {
  std::string head;
  char byte = 0;
  while (head.size() < 4 || head.compare(head.size() - 4, 4, "\r\n\r\n") != 0) {
    if (::recv(fd, &byte, 1, 0) != 1) return {};
    head += byte;
  }
  return head;
}

void serve(int fd, const std::string &body) {
  while (!readHead(fd).empty())
    sendAll(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

/// Notes the rest of one answer.
class Stand::Rest final : public BodyObserver {
public:
  explicit Rest(Stand &stand) : stand_(stand) {}

private:
  void onResponsePayload(std::string_view bytes) override { seen_.response += bytes; }
  void onResponseEnd(bool complete) noexcept override {
    ++(complete ? seen_.complete : seen_.broken);
    const std::lock_guard lock(stand_.mutex_);
    stand_.rests_.push_back(seen_);
  }

  Stand &stand_;
  Seen seen_;
};

/// The session of each client: forwards, and notes how it went.
class Stand::Forwarding final : public Session, private BodyObserver {
public:
  explicit Forwarding(Stand &stand) : stand_(stand) {}

  void onRequest(ClientExchange &exchange) override {
    note_ = {};
    const bool second = exchange.request().target.substr(0, 2) == "/2";
    exchange.forward(second ? stand_.options_.second : stand_.upstream_, UINT64_MAX,
                     stand_.options_.observe ? this : nullptr);
  }
  void onForwardFailed(ClientExchange &exchange, ForwardFailure failure) override {
    note_.failures.push_back(failure);
    Session::onForwardFailed(exchange, failure);
  }
  void onFinished(ClientExchange &, const Summary &summary) override {
    note_.summary = summary;
    const std::lock_guard lock(stand_.mutex_);
    stand_.notes_.push_back(std::move(note_));
  }

private:
  void onRequestPayload(std::string_view bytes) override { note_.seen.request += bytes; }
  void onResponsePayload(std::string_view bytes) override {
    if (stand_.options_.observerThrows) throw std::runtime_error("an observer that fails");
    note_.seen.response += bytes;
    ++note_.seen.pieces;
  }
  void onResponseEnd(bool complete) noexcept override { ++(complete ? note_.seen.complete : note_.seen.broken); }
  BodyObserver::Rest onClientGone() override {
    if (!stand_.options_.rest) return {};
    return {std::make_shared<Stand::Rest>(stand_), *stand_.options_.rest, UINT64_MAX};
  }

  Stand &stand_;
  Note note_;
};

Stand::Stand(Upstream upstream, StandOptions options)
    : upstream_(std::make_shared<Upstream>(std::move(upstream))), options_(std::move(options)) {
  ServerOptions server = options_.server;
  server.listen = {"127.0.0.1:0"};
  server.loops = 1;
  server_ = std::make_unique<Server>(server, *this);
  server_->start();
}

Stand::~Stand() {
  server_->stop();
}

matrixos::test::Response Stand::get(const std::string &path) const {
  return matrixos::test::request(port(), "GET", path);
}

template <typename T>
std::vector<T> Stand::waitFor(const std::vector<T> &list, std::size_t count) {
  matrixos::test::eventually([&] {
    const std::lock_guard lock(mutex_);
    return list.size() >= count;
  });
  const std::lock_guard lock(mutex_);
  return list;
}

std::vector<Note> Stand::notes(std::size_t count) {
  return waitFor(notes_, count);
}

std::vector<Seen> Stand::rests(std::size_t count) {
  return waitFor(rests_, count);
}

std::unique_ptr<Session> Stand::makeSession(Loop &, const Address &) {
  if (options_.onConnection) options_.onConnection();
  return std::make_unique<Forwarding>(*this);
}

std::uint64_t freshKey() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

Upstream::Candidate at(std::uint16_t port) {
  return {Address::fromIp("127.0.0.1", port), freshKey()};
}

} // namespace stand
