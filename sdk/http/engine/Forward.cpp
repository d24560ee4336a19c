#include "Forward.h"

#include "ClientConnection.h"
#include "Loop.h"

#include <http/codec/HopByHop.h>

#include <algorithm>
#include <utility>

namespace matrixos::http {

namespace {

constexpr std::uint8_t kMostInterims = 16;

} // namespace

Forward::Forward(ClientConnection &client)
    : client_(client), connector_(client, *this), buffer_(client.loop().blocks()), request_(*this), response_(*this) {}

Forward::~Forward() {
  cancel();
}

void Forward::cancel() noexcept {
  endObservation(false);
  phase_ = Phase::Idle;
  connector_.cancel();
  request_.stop();
  response_.stop();
  if (socket_) socket_->close();
  socket_.reset();
  buffer_.drop();
  upstream_.reset();
}

// ------------------------------------------------------------------------------------------------------ connecting

void Forward::begin(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody,
                    std::optional<std::string_view> body, BodyObserver *observer) {
  body_ = body;
  upstream_ = std::move(upstream);
  observer_ = observer;
  maxBody_ = std::min(maxBody, client_.loop().options().maxBody);
  interims_ = 0;
  retried_ = clientEnded_ = false;
  response_.setDestination(client_.socket());
  connect(false);
}

/// again: because a reused connection was closed before it said anything.
void Forward::connect(bool again) {
  parser_.reset();
  sawByte_ = requestDone_ = false;
  upstreamKeepAlive_ = true;
  again ? connector_.again() : connector_.begin(*upstream_, isReplayable());
}

void Forward::onConnecting() {
  phase_ = Phase::Connecting;
  touch();
  client_.arm();
}

void Forward::onConnected(std::shared_ptr<Socket> socket, bool reused) {
  socket_ = std::move(socket);
  socket_->setUser(this);
  reused_ = reused;
  client_.summary().reusedUpstream |= reused;
  sendRequest();
}

void Forward::onConnectFailed(ForwardFailure failure, const char *reason) {
  if (*reason != '\0') client_.summary().reason = reason;
  fail(failure);
}

// --------------------------------------------------------------------------------------------------------- request

void Forward::sendRequest() {
  RequestHead &head = client_.request();
  phase_ = Phase::AwaitHead;
  touch();
  sentAtMs_ = sinceMs_;
  HeadWriter writer(request_.ahead());
  client_.session().writeRequest(client_, writer);
  if (phase_ != Phase::AwaitHead) return; // it broke the exchange off, as any callback may
  const BodyFraming framing = body_ ? BodyFraming{BodyKind::None, 0} : head.body;
  body_ ? writer.contentLength(body_->size()) : writer.framing(framing);
  if (head.upgradeWebSocket) {
    writer.field("Connection", "Upgrade");
    writer.field("Upgrade", "websocket");
  } else if (!upstream_->reuse) {
    writer.field("Connection", "close");
  }
  if (head.expectContinue && !body_) writer.field("Expect", "100-continue");
  writer.end();
  if (body_) request_.ahead() += *body_;
  request_.start({client_.socket(), client_.input(), *socket_, framing, framing.kind == BodyKind::Chunked, false, false,
                  maxBody_});
  if (phase_ != Phase::AwaitHead) return; // the observer broke the exchange off
  socket_->waitReadable();
  client_.arm();
  request_.run();
}

void Forward::clientReadable() {
  // In a tunnel that has only one side left, the client's is done and nothing is expected any more.
  request_.run();
  endIfClosed();
}

void Forward::clientWritable() {
  response_.run();
  watchReader();
  endIfClosed();
}

void Forward::onClientEnd() {
  // A half-closed client may still want its answer (RFC 9112 §9.6 allows closing only one's own side).
  clientEnded_ = true;
  touch();
  client_.arm();
}

// -------------------------------------------------------------------------------------------------------- response

void Forward::onWritable() {
  client_.shielded([this] {
    request_.run();
    endIfClosed();
  });
}

void Forward::onReadable() {
  client_.shielded([this] {
    if (phase_ == Phase::AwaitHead)
      readHead();
    else if (phase_ == Phase::Body || phase_ == Phase::Tunnel)
      response_.run();
    watchReader();
    endIfClosed();
  });
}

void Forward::readHead() {
  buffer_.prepare();
  const Io io = socket_->read(buffer_.writePointer(), buffer_.space());
  switch (io.kind) {
  case Io::Kind::WouldBlock:
    return socket_->waitReadable();
  case Io::Kind::End:
  case Io::Kind::Failed:
    return headMissing();
  case Io::Kind::Bytes:
    break;
  }
  sawByte_ = true;
  buffer_.filled(io.bytes);
  parseHead(); // its deadline does not move with each byte
}

void Forward::parseHead() {
  ResponseHead &head = client_.loop().responseHead();
  while (phase_ == Phase::AwaitHead) {
    if (buffer_.empty()) return socket_->waitReadable();
    const bool toHead = client_.request().isHead();
    switch (parser_.parse(buffer_.view(), client_.loop().options().response, toHead, head)) {
    case ParseResult::NeedMore:
      return socket_->waitReadable();
    case ParseResult::Failed:
      client_.summary().reason = parser_.error().reason;
      return fail(ForwardFailure::BadResponse);
    case ParseResult::Complete:
      break;
    }
    dropHopByHop(head.fields);
    if (head.status == 101) return startTunnel(head);
    if (!head.isInterim()) {
      const bool accepted = client_.session().acceptResponse(client_, head);
      if (phase_ != Phase::AwaitHead) return;
      return accepted ? startResponse(head) : fail(ForwardFailure::Declined);
    }
    relayInterim(head);
  }
}

/// It can be sent once more, with the effect of once.
bool Forward::isReplayable() const noexcept {
  const RequestHead &head = client_.request();
  return (body_ || head.body.isEmpty()) && (upstream_->repeatable || isIdempotent(head.method));
}

void Forward::headMissing() {
  // RFC 9110 §9.2.2 and RFC 9112 §9.3.1: a connection may close just as it is used again.
  if (reused_ && !sawByte_ && !retried_ && isReplayable()) {
    retried_ = true;
    request_.stop();
    socket_->close();
    socket_.reset();
    return connect(true);
  }
  if (sawByte_) {
    client_.summary().reason = "the upstream closed its connection inside its answer";
    return fail(ForwardFailure::BadResponse);
  }
  client_.summary().reason = "the upstream closed its connection without an answer";
  fail(ForwardFailure::ClosedEarly);
}

void Forward::relayInterim(ResponseHead &head) {
  if (++interims_ > kMostInterims) {
    client_.summary().reason = "too many interim answers";
    return fail(ForwardFailure::BadResponse);
  }
  upstreamKeepAlive_ = upstreamKeepAlive_ && head.keepAlive;
  // HTTP/1.0 knows no interim answers (RFC 9110 §15.2).
  if (client_.request().minorVersion == 1) {
    HeadWriter writer(response_.ahead());
    writer.statusLine(head.status);
    client_.session().writeResponse(client_, head, writer);
    if (phase_ != Phase::AwaitHead) return;
    writer.end();
  }
  buffer_.consume(parser_.size());
  parser_.reset();
  touch();
  response_.run();
}

void Forward::startResponse(ResponseHead &head) {
  const RequestHead &request = client_.request();
  const bool modern = request.minorVersion == 1;
  const bool hasBody = head.body.kind != BodyKind::None;
  const bool chunked = modern && (head.body.kind == BodyKind::Chunked || head.body.kind == BodyKind::UntilClose);
  const bool delimited = !hasBody || head.body.kind == BodyKind::Length || chunked;
  clientKeepAlive_ = client_.mayKeepAlive() && delimited;
  upstreamKeepAlive_ = upstreamKeepAlive_ && head.keepAlive && upstream_->reuse;
  client_.summary().status = head.status;

  HeadWriter writer(response_.ahead());
  writer.statusLine(head.status);
  client_.session().writeResponse(client_, head, writer);
  if (phase_ != Phase::AwaitHead) return;
  if (chunked)
    writer.framing({BodyKind::Chunked, 0});
  else if (head.announced.kind == BodyKind::Length)
    writer.contentLength(head.announced.length);
  if (!clientKeepAlive_) writer.field("Connection", "close");
  writer.end();
  const BodyFraming framing = head.body;
  announced_.reset();
  if (framing.kind == BodyKind::Length) announced_ = framing.length;
  buffer_.consume(parser_.size());
  phase_ = Phase::Body;
  touch();
  response_.start({*socket_, buffer_, client_.socket(), framing, chunked, chunked && request.acceptsTrailers,
                   observer_ != nullptr});
  readerWaitMs_ = readerSinceMs_ = 0;
  client_.arm();
  response_.run();
  watchReader();
}

void Forward::responseDone() {
  // Bytes behind the response were not asked for; a connection that sends them is not used again.
  const bool retired = retirement() != nullptr && retirement()->isSet();
  const bool reusable = upstreamKeepAlive_ && requestDone_ && buffer_.empty() && !retired;
  endObservation(socket_->isOpen()); // otherwise the observer has ended the answer
  request_.stop();
  phase_ = Phase::Idle;
  auto socket = std::move(socket_);
  socket->setUser(nullptr);
  if (reusable)
    client_.loop().upstreams().put(connector_.poolKey(), std::move(socket));
  else
    socket->close();
  buffer_.drop();
  upstream_.reset();
  client_.finish(clientKeepAlive_);
}

// ---------------------------------------------------------------------------------------------------------- tunnel

void Forward::startTunnel(ResponseHead &head) {
  if (!requestDone_ || !Tunnel::isAgreed(client_.request(), head)) {
    client_.summary().reason = "a 101 that answers no WebSocket handshake";
    return fail(ForwardFailure::BadResponse);
  }
  HeadWriter writer(response_.ahead());
  writer.statusLine(101);
  client_.session().writeResponse(client_, head, writer);
  if (phase_ != Phase::AwaitHead) return;
  writer.field("Connection", "Upgrade");
  writer.field("Upgrade", "websocket");
  writer.end();
  buffer_.consume(parser_.size());
  client_.becomeTunnel();
  if (phase_ != Phase::AwaitHead) return;
  phase_ = Phase::Tunnel;
  touch();
  tunnel_ = std::make_unique<Tunnel>(client_, *socket_, request_, response_);
  tunnel_->start(buffer_);
}

// ---------------------------------------------------------------------------------------------------------- events

std::string_view Forward::onPumpBytes(Pump &pump, std::string_view payload, bool last) {
  Summary &summary = client_.summary();
  if (&pump == &request_) {
    client_.bodyPassed(false);
    summary.bytesIn += payload.size();
    if (observer_ != nullptr && !tunnel()) observer_->onRequestPayload(payload);
  } else {
    if (observer_ != nullptr && !tunnel()) payload = observe(payload, last);
    summary.bytesOut += payload.size();
    if (!tunnel() && !payload.empty()) client_.session().onResponseBytes(client_, payload.size());
  }
  return tunnel() ? payload.substr(0, tunnel_->relay(pump, payload)) : payload;
}

void Forward::onPumpDone(Pump &pump) {
  if (tunnel()) {
    touch();
    tunnel_->onSideDone(pump);
    return client_.arm();
  }
  if (&pump == &response_) return responseDone();
  requestDone_ = true;
  touch();
  client_.bodyPassed(true);
  client_.watch();
}

void Forward::onPumpFailed(Pump &pump, PumpFailure failure) {
  if (tunnel()) return client_.close();
  if (&pump == &response_) {
    if (failure == PumpFailure::DestinationFailed) return client_.abort("the client closed its connection");
    cancel(); // there is no rest
    return client_.abort(failure == PumpFailure::BadFraming ? "bad chunk syntax in the answer"
                                                            : "the upstream broke off its answer");
  }
  switch (failure) {
  case PumpFailure::DestinationFailed:
    // The upstream may have answered before it stopped reading; what it said is still to be read.
    return socket_->waitReadable();
  case PumpFailure::BadFraming:
    if (phase_ == Phase::Body || response_.writing()) return client_.abort("bad chunk syntax in the request");
    cancel();
    return client_.refuse(400, "bad chunk syntax");
  case PumpFailure::TooLarge:
    if (phase_ == Phase::Body || response_.writing()) return client_.abort("the request body is too large");
    cancel();
    return client_.refuse(413, "the request body is too large");
  case PumpFailure::SourceEnded:
  case PumpFailure::SourceFailed:
    return client_.abort("the client closed its connection inside a request");
  }
}

std::int64_t Forward::bodyDeadline() const noexcept {
  const ServerOptions &options = client_.loop().options();
  // What the upstream does not take is not the client's fault.
  const std::int64_t at = request_.writing() ? sinceMs_ + options.timeouts.requestBody.count()
                                             : BodyIntake::deadline(options, sinceMs_, sentAtMs_, request_.passed());
  return clientEnded_ ? std::min(at, sinceMs_ + options.timeouts.halfClosed.count()) : at;
}

/// Only what waits for the client counts: an upstream that brings nothing is not its fault.
void Forward::watchReader() noexcept {
  if (phase_ != Phase::Body || response_.writing() == (readerSinceMs_ != 0)) return;
  const std::int64_t now = client_.loop().nowMs();
  if (readerSinceMs_ != 0) readerWaitMs_ += now - readerSinceMs_;
  readerSinceMs_ = readerSinceMs_ != 0 ? 0 : now;
}

/// Until when the client has to have read at its rate what waited for it.
std::int64_t Forward::readerDeadline() const noexcept {
  const ServerOptions &options = client_.loop().options();
  if (options.minReadRate == 0 || readerSinceMs_ == 0) return INT64_MAX;
  const auto earned = static_cast<std::int64_t>(response_.passed() / options.minReadRate) * 1000;
  return readerSinceMs_ - readerWaitMs_ + options.timeouts.requestBody.count() + earned;
}

std::int64_t Forward::deadline() const {
  if (phase_ == Phase::Idle) return INT64_MAX;
  std::int64_t at = std::min(phaseDeadline(), client_.loop().nowMs() + Retirement::kLookEveryMs);
  if (phase_ == Phase::Body) at = std::min(at, readerDeadline());
  return retirement() == nullptr ? at : std::min(at, retirement()->atMs());
}

void Forward::look() {
  const bool sent = phase_ == Phase::AwaitHead || phase_ == Phase::Body || tunnel();
  if (sent && !client_.session().mayGoOn(client_)) return client_.abort("it is not allowed any more");
  if (tunnel() && retirement() != nullptr && retirement()->isSet()) tunnel_->close();
}

void Forward::onRetired() {
  client_.summary().reason = "the instance has gone";
  switch (phase_) {
  case Phase::Idle:
    return;
  case Phase::Connecting:
    return fail(ForwardFailure::Moved);
  case Phase::AwaitHead:
    return fail(ForwardFailure::ClosedEarly);
  case Phase::Body:
    cancel();
    return client_.abort("the instance has gone");
  case Phase::Tunnel:
    return client_.close();
  }
}

std::int64_t Forward::phaseDeadline() const {
  const Timeouts &limit = client_.loop().options().timeouts;
  Timeouts::Ms wait{};
  switch (phase_) {
  case Phase::Idle:
    return INT64_MAX;
  case Phase::Connecting:
    wait = limit.connect;
    break;
  case Phase::AwaitHead:
    if (!requestDone_) return bodyDeadline();
    wait = limit.firstByte;
    break;
  case Phase::Body:
    wait = response_.writing() ? limit.requestBody : limit.responseBody;
    break;
  case Phase::Tunnel:
    wait = limit.tunnel;
    break;
  }
  if (clientEnded_ || (tunnel() && tunnel_->isOneSided())) wait = std::min(wait, limit.halfClosed);
  return sinceMs_ + wait.count();
}

void Forward::onDeadline() {
  if (phase_ != Phase::Idle && retirement() != nullptr && retirement()->isDue(client_.loop().nowMs()))
    return onRetired();
  switch (phase_) {
  case Phase::Idle:
    return;
  case Phase::Connecting:
    return connector_.onDeadline();
  case Phase::AwaitHead:
    if (requestDone_) {
      client_.summary().reason = "no answer in time";
      return fail(ForwardFailure::Timeout);
    }
    if (response_.writing() || request_.writing()) return client_.abort("the request body stands still");
    cancel();
    return client_.refuse(408, "the request body took too long");
  case Phase::Body:
    if (client_.loop().nowMs() >= readerDeadline()) return client_.abort("the client reads too slowly");
    if (!response_.writing() && !clientEnded_) cancel(); // it is the upstream that does
    return client_.abort("the answer stands still");
  case Phase::Tunnel:
    return client_.close();
  }
}

void Forward::fail(ForwardFailure failure) {
  // Half an interim answer cannot be followed by anything.
  const bool torn = response_.writing();
  cancel();
  if (torn) return client_.abort("the client reads too slowly");
  client_.forwardFailed(failure);
}

void Forward::touch() {
  sinceMs_ = client_.loop().nowMs();
}

} // namespace matrixos::http
