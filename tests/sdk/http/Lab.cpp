#include "Lab.h"

#include "Stand.h"

#include <fcntl.h>
#include <http/codec/BodyDecoder.h>
#include <http/engine/ClientConnection.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace lab {

using namespace matrixos::http;

void End::send(std::string_view bytes) {
  if (sendSome(bytes) != bytes.size()) throw std::runtime_error("the other side does not take it");
}

std::size_t End::sendSome(std::string_view bytes) {
  const ssize_t put = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return put < 0 ? 0 : static_cast<std::size_t>(put);
}

const std::string &End::received() {
  std::array<char, 16384> block; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  while (!closed_) {
    const ssize_t got = ::recv(fd_.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (got > 0)
      received_.append(block.data(), static_cast<std::size_t>(got));
    else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      break;
    else
      closed_ = true;
  }
  return received_;
}

void End::halfClose() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void End::reset() {
  matrixos::test::resetOnClose(fd_.get());
  fd_.reset();
}

/// Sees the rest of answers.
class Lab::Reader final : public BodyObserver {
public:
  explicit Reader(Lab &lab) : lab_(lab) { ++lab_.restsAlive; }
  Reader(const Reader &) = delete;
  Reader &operator=(const Reader &) = delete;
  ~Reader() { --lab_.restsAlive; }

private:
  void onResponseHead(const ResponseHead &head) override {
    ++lab_.rest.heads;
    lab_.rest.status = head.status;
    if (lab_.onRestHead) lab_.onRestHead();
  }
  void onResponsePayload(std::string_view bytes) override {
    lab_.rest.payload += bytes;
    if (lab_.onRest) lab_.onRest(bytes);
  }
  void onResponseEnd(bool complete) noexcept override { ++(complete ? lab_.rest.complete : lab_.rest.broken); }

  Lab &lab_;
};

/// The session of each client.
class Lab::Guide final : public Session, private BodyObserver {
public:
  explicit Guide(Lab &lab) : lab_(lab) {}

  void onRequest(ClientExchange &exchange) override {
    exchange_ = &exchange;
    lab_.taken ? exchange.readBody() : exchange.forward(lab_.to_, UINT64_MAX, this);
  }
  void onBody(ClientExchange &exchange, std::string_view piece, bool last) override {
    body_ += piece;
    if (last) exchange.forwardTaken(lab_.to_, body_, this);
  }
  bool isCurrent(ClientExchange &exchange, const Upstream &to) override {
    if (lab_.onCurrent) lab_.onCurrent(exchange);
    return Session::isCurrent(exchange, to);
  }
  void writeRequest(ClientExchange &exchange, HeadWriter &writer) override {
    if (lab_.onRequestHead) lab_.onRequestHead(exchange);
    Session::writeRequest(exchange, writer);
  }
  bool acceptResponse(ClientExchange &exchange, const ResponseHead &head) override {
    return lab_.accepts ? lab_.accepts(exchange) : Session::acceptResponse(exchange, head);
  }
  void onForwardFailed(ClientExchange &exchange, ForwardFailure failure) override {
    ++lab_.failed;
    Session::onForwardFailed(exchange, failure);
  }
  void writeResponse(ClientExchange &exchange, ResponseHead &head, HeadWriter &writer) override {
    ++lab_.told.heads;
    lab_.told.status = head.status;
    if (lab_.onHead) lab_.onHead(exchange);
    writer.fields(head.fields);
  }
  void onResponseBytes(ClientExchange &exchange, std::size_t) override {
    if (lab_.onBytes) lab_.onBytes(exchange);
  }
  void onUpgraded(ClientExchange &exchange) override {
    if (lab_.onSocket) lab_.onSocket(exchange);
  }
  void onFinished(ClientExchange &, const Summary &summary) override { lab_.finished.push_back(summary); }

private:
  void onResponsePayload(std::string_view bytes) override {
    lab_.told.payload += bytes;
    if (lab_.onPiece) lab_.onPiece(*exchange_, bytes);
  }
  std::string_view editResponse(std::string_view piece, bool last) override {
    if (!lab_.edit) return BodyObserver::editResponse(piece, last);
    given_ = lab_.edit(piece, last);
    return given_;
  }
  bool endsHere() noexcept override { return lab_.ends ? lab_.ends() : BodyObserver::endsHere(); }
  void onResponseEnd(bool complete) noexcept override { ++(complete ? lab_.told.complete : lab_.told.broken); }
  Rest onClientGone() override {
    ++lab_.asked;
    return lab_.onGone ? lab_.onGone() : BodyObserver::onClientGone();
  }

  Lab &lab_;
  ClientExchange *exchange_ = nullptr;
  std::string body_;
  std::string given_;
};

Lab::Lab(const ServerOptions &options)
    : loop_(std::make_shared<Loop>(0, std::make_shared<ServerOptions>(options))), now_(loop_->nowMs()) {
  for (matrixos::test::LoopbackPort *port : {&front_, &back_}) {
    port->listen();
    port->setNonBlocking();
  }
  Upstream::Candidate to = stand::at(back_.port());
  to.retirement = retirement;
  to_ = std::make_shared<Upstream>(Upstream{{to}});
}

Lab::~Lab() {
  loop_->closeAll();
  turn();
}

std::unique_ptr<Session> Lab::makeSession(Loop &, const matrixos::Address &) {
  return std::make_unique<Guide>(*this);
}

End Lab::client(std::string_view request) {
  FileDescriptor outer = matrixos::test::beginConnection(front_.port());
  FileDescriptor inner;
  if (!matrixos::test::eventually([&] { return static_cast<bool>(inner = front_.accept()); }))
    throw std::runtime_error("nobody connected");
  ::fcntl(inner.get(), F_SETFL, O_NONBLOCK);
  const int small = 32 * 1024; // soon nothing more fits in
  ::setsockopt(inner.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  ::setsockopt(outer.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  loop_->connections().fetch_add(1);
  auto socket = Socket::adopt(*loop_, inner.release());
  loop_->adopt(std::make_unique<ClientConnection>(*loop_, std::move(socket), matrixos::Address(), 0, *this));
  End out(std::move(outer));
  if (!request.empty()) out.send(request);
  return out;
}

End Lab::upstream() {
  FileDescriptor fd;
  if (!until([&] { return static_cast<bool>(fd = back_.accept()); })) throw std::runtime_error("nobody connected");
  End out(std::move(fd));
  if (!until([&] { return out.received().find("\r\n\r\n") != std::string::npos; }))
    throw std::runtime_error("no request came");
  return out;
}

std::pair<End, End> Lab::exchange(std::string_view request) {
  End sender = client(request);
  return {std::move(sender), upstream()};
}

void Lab::turn() {
  loop_->reactor().wait(0);
  loop_->turn(now_);
}

void Lab::pass(std::chrono::milliseconds time) {
  constexpr std::int64_t kStep = 200; // less would be no more exact, and more is a machine that stood still
  for (std::int64_t left = time.count(); left > 0; left -= kStep) {
    now_ += std::min(left, kStep);
    turn();
  }
}

void Lab::readRests(std::chrono::milliseconds most, std::uint64_t bytes) {
  onGone = [this, most, bytes] { return BodyObserver::Rest{std::make_shared<Reader>(*this), most, bytes}; };
}

std::optional<std::string> unchunk(std::string text) {
  BodyDecoder decoder;
  decoder.start({BodyKind::Chunked, 0});
  const auto step = decoder.decode(text.data(), text.size());
  if (!decoder.done() || step.consumed != text.size()) return std::nullopt;
  return text.substr(0, step.produced);
}

} // namespace lab
