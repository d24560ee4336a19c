#include "Connection.h"

#include "Loop.h"

#include <matrixos/call.hpp>

#include <http/codec/HopByHop.h>

#include <algorithm>
#include <array>

namespace matrixos::http {

namespace {

/// What a client may still send after an answer that ends its connection. Reading it keeps the kernel from answering
/// with a reset, which would destroy the answer on its way (RFC 9112 §9.6).
constexpr std::size_t kMostLingering = 64 * 1024;

/// A client that has just been served, or has just connected, may be sending its next request already. While the server
/// drains it gets this long to bring it, and an answer that says it is the last.
constexpr std::int64_t kLastCallMs = 1'000;

} // namespace

Connection::Connection(Loop &loop, std::shared_ptr<Socket> socket, const Address &peer, SessionFactory &factory)
    : loop_(loop), socket_(std::move(socket)), peer_(peer), factory_(factory), in_(loop.blocks()) {
  if (loop.options().proxyProtocol)
    state_ = State::Preface;
  else
    session_ = factory_.makeSession(loop_, peer_);
  socket_->setUser(this);
}

Connection::~Connection() {
  socket_->close();
}

void Connection::start() {
  sinceMs_ = loop_.nowMs();
  arm();
  socket_->waitReadable();
}

void Connection::turnAway() {
  turnedAway_ = true;
  shielded([this] {
    if (!session_) session_ = factory_.makeSession(loop_, peer_);
    constexpr const char *kReason = "too many connections are open; try again in a moment";
    session_->onRefused(503, kReason);
    LocalResponse response = session_->refusal(503, kReason);
    response.fields.emplace_back("Retry-After", "1");
    sendAnswer(response, false);
  });
}

void Connection::onReadable() {
  shielded([this] { handleReadable(); });
}

void Connection::onWritable() {
  shielded([this] { handleWritable(); });
}

RequestHead &Connection::request() noexcept {
  return head_ ? *head_ : loop_.emptyHead();
}

void Connection::handleReadable() {
  switch (state_) {
  case State::Preface:
    return isEncrypted() ? peekPreface() : readInput();
  case State::Head:
    return readInput();
  case State::Holding:
    return readWhileBusy();
  case State::Forwarding:
    return forward_->wantsInput() ? forward_->clientReadable() : readWhileBusy();
  case State::Lingering:
    return readLingering();
  case State::Deciding:
  case State::Answering:
  case State::Closed:
    return;
  }
}

void Connection::handleWritable() {
  if (state_ == State::Answering)
    flushAnswer();
  else if (state_ == State::Forwarding)
    forward_->clientWritable();
}

// ------------------------------------------------------------------------------------------------- reading requests

void Connection::readInput() {
  const bool first = in_.empty();
  in_.prepare();
  const Io io = socket_->read(in_.writePointer(), in_.space());
  switch (io.kind) {
  case Io::Kind::WouldBlock:
    in_.releaseIfEmpty();
    return socket_->waitReadable();
  case Io::Kind::End:
  case Io::Kind::Failed:
    return close(); // between requests, or inside a head: nobody waits for an answer
  case Io::Kind::Bytes:
    break;
  }
  in_.filled(io.bytes);
  if (first) {
    sinceMs_ = loop_.nowMs();
    arm();
  }
  processInput();
}

/// False: the rest of it is still to come, or the connection has ended.
bool Connection::takePreface() {
  ProxyHeader header;
  const ParseResult result = ProxyHeader::parse(in_.view(), header);
  if (result == ParseResult::NeedMore) {
    socket_->waitReadable();
    return false;
  }
  if (result == ParseResult::Failed) {
    close(); // whoever it is, it does not speak our language
    return false;
  }
  in_.consume(header.size);
  welcome(header);
  return true;
}

/// Before TLS the header stands in clear, and whatever follows it belongs to the handshake.
void Connection::peekPreface() {
  std::array<char, ProxyHeader::kMost> bytes; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  const Io io = socket_->peek(bytes.data(), bytes.size());
  if (io.kind == Io::Kind::WouldBlock) return socket_->waitReadable();
  if (io.kind != Io::Kind::Bytes) return close();
  ProxyHeader header;
  const ParseResult result = ProxyHeader::parse({bytes.data(), io.bytes}, header);
  if (result == ParseResult::Failed) return close();
  if (result == ParseResult::Complete) {
    socket_->skip(header.size);
    welcome(header);
    sinceMs_ = loop_.nowMs();
    arm();
  }
  socket_->waitReadable();
}

void Connection::welcome(const ProxyHeader &header) {
  if (header.client) peer_ = *header.client;
  session_ = factory_.makeSession(loop_, peer_);
  state_ = State::Head;
}

void Connection::processInput() {
  if (state_ == State::Preface && !takePreface()) return;
  if (processing_) return; // an answer given inside onRequest comes back here; the loop below goes on
  processing_ = true;
  while (state_ == State::Head && !in_.empty()) {
    if (!head_) {
      head_ = loop_.takeRequestHead();
      in_.compact(); // behind a head at the start of the block there is always room for its body
    }
    const ParseResult result = parser_.parse(in_.view(), loop_.options().request, *head_);
    if (result == ParseResult::NeedMore) break;
    if (result == ParseResult::Failed)
      refuse(parser_.error().status, parser_.error().reason);
    else if (head_->body.length > loop_.options().maxBody)
      refuse(413, "the request body is too large");
    else
      beginExchange();
  }
  processing_ = false;
  if (state_ != State::Head) return;
  if (in_.empty()) {
    in_.releaseIfEmpty();
    if (inputEnded_) return close();
  }
  socket_->waitReadable();
}

void Connection::beginExchange() {
  in_.keep(parser_.size());
  startedNs_ = monotonicNanos();
  sinceMs_ = loop_.nowMs();
  summary_ = {};
  state_ = State::Deciding;
  exchange_ = true;
  bodyStarted_ = false;
  complete_ = head_->body.kind == BodyKind::None || (head_->body.kind == BodyKind::Length && head_->body.length == 0);
  dropHopByHop(head_->fields);
  session_->onRequest(*this);
}

void Connection::readWhileBusy() {
  in_.prepare();
  if (in_.space() == 0) return readNoMore();
  const Io io = socket_->read(in_.writePointer(), in_.space());
  if (io.kind == Io::Kind::Bytes) {
    in_.filled(io.bytes);
    return watch();
  }
  if (io.kind == Io::Kind::WouldBlock) return socket_->waitReadable();
  inputEnded_ = true;
  if (state_ == State::Holding) {
    leaveHold();
    session_->onGone(*this);
    return close();
  }
  if (io.kind == Io::Kind::Failed) return abort("the client closed its connection");
  forward_->onClientEnd();
}

/// As much is here as is kept for a request that waits. A client that leaves waits no longer all the same.
void Connection::readNoMore() {
  if (state_ != State::Holding) return;
  if (!socket_->ended()) return socket_->waitEnd();
  leaveHold();
  session_->onGone(*this);
  close();
}

void Connection::watch() {
  if (inputEnded_) return;
  if (in_.space() != 0)
    socket_->waitReadable();
  else if (state_ == State::Holding)
    socket_->waitEnd();
}

bool Connection::mayKeepAlive() const noexcept {
  // A client that closed its sending side still gets an answer to each request that came before.
  return head_ && head_->keepAlive && complete_ && !(inputEnded_ && in_.empty()) && !loop_.draining();
}

void Connection::bodyPassed(bool done) noexcept {
  bodyStarted_ = true;
  complete_ = complete_ || done;
}

// --------------------------------------------------------------------------------------------------------- answers

void Connection::respond(LocalResponse response) {
  if (state_ == State::Closed || !exchange_) return;
  leaveHold();
  if (!complete_ && !bodyStarted_) complete_ = skipBufferedBody();
  sendAnswer(response, mayKeepAlive());
}

bool Connection::skipBufferedBody() {
  BodyDecoder body;
  body.start(head_->body);
  bodyStarted_ = true;
  const auto step = body.decode(in_.data(), in_.size());
  in_.consume(step.consumed);
  return body.done();
}

void Connection::refuse(int status, const char *reason) {
  if (!exchange_) session_->onRefused(status, reason);
  summary_.reason = reason;
  complete_ = false;
  sendAnswer(session_->refusal(status, reason), false);
}

void Connection::sendAnswer(const LocalResponse &response, bool keepAlive) {
  summary_.status = response.status;
  summary_.bytesOut = response.body.size();
  keepAlive_ = keepAlive;
  answer_.clear();
  answered_ = 0;
  HeadWriter writer(answer_);
  writer.statusLine(response.status);
  if (!response.contentType.empty()) writer.field("Content-Type", response.contentType);
  for (const auto &[name, value] : response.fields)
    writer.field(name, value);
  if (response.status != 204 && response.status != 304) writer.contentLength(response.body.size());
  if (!keepAlive) writer.field("Connection", "close");
  writer.end();
  if (!head_ || !head_->isHead()) answer_ += response.body;
  state_ = State::Answering;
  sinceMs_ = loop_.nowMs();
  flushAnswer();
}

void Connection::flushAnswer() {
  while (answered_ < answer_.size()) {
    const iovec part{answer_.data() + answered_, answer_.size() - answered_};
    const Io io = socket_->write(&part, 1);
    if (io.kind == Io::Kind::WouldBlock) {
      arm();
      return socket_->waitWritable();
    }
    if (io.kind != Io::Kind::Bytes) return abort("the client closed its connection");
    answered_ += io.bytes;
    sinceMs_ = loop_.nowMs();
  }
  answer_ = {};
  finish(keepAlive_);
}

void Connection::finish(bool keepAlive) {
  // A client that asked for the end and has been read to it sends nothing more: no need to wait for that.
  const bool last = head_ && !head_->keepAlive && complete_ && in_.empty() && !socket_->mayRead();
  endExchange();
  if (state_ == State::Closed) return;
  if (!keepAlive) return last ? close() : linger();
  parser_.reset();
  state_ = State::Head;
  sinceMs_ = loop_.nowMs();
  arm();
  processInput();
}

void Connection::endExchange() {
  if (exchange_) {
    exchange_ = false;
    summary_.tookMicros = (monotonicNanos() - startedNs_) / 1000;
    session_->onFinished(*this, summary_);
  }
  if (head_) loop_.giveRequestHead(std::move(head_));
  in_.unkeep();
}

void Connection::linger() {
  in_.drop();
  if (inputEnded_) return close();
  state_ = State::Lingering;
  sinceMs_ = loop_.nowMs();
  lingered_ = 0;
  arm();
  socket_->shutdownWrite();
  socket_->waitReadable();
}

void Connection::readLingering() {
  std::array<char, 4096> waste; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  while (lingered_ < kMostLingering) {
    const Io io = socket_->read(waste.data(), waste.size());
    if (io.kind == Io::Kind::WouldBlock) return socket_->waitReadable();
    if (io.kind != Io::Kind::Bytes) break;
    lingered_ += io.bytes;
  }
  close();
}

// ------------------------------------------------------------------------------------------------------ forwarding

void Connection::forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody) {
  if (state_ == State::Closed || !exchange_) return;
  leaveHold();
  if (head_->body.length > maxBody) return refuse(413, "the request body is too large");
  state_ = State::Forwarding;
  if (!forward_) forward_ = std::make_unique<Forward>(*this);
  forward_->begin(std::move(upstream), maxBody);
}

void Connection::forwardFailed(ForwardFailure failure) {
  state_ = State::Deciding;
  session_->onForwardFailed(*this, failure);
}

void Connection::becomeTunnel() {
  summary_.upgraded = true;
  summary_.status = 101;
  session_->onUpgraded(*this);
  // The spans of the head end here, and with them the claim on the buffer's start.
  loop_.giveRequestHead(std::move(head_));
  head_ = nullptr;
  in_.unkeep();
}

std::uint64_t Connection::hold(std::chrono::milliseconds most) {
  state_ = State::Holding;
  holdUntilMs_ = loop_.nowMs() + most.count();
  if (ticket_ == 0) ticket_ = loop_.hold(*this);
  arm();
  watch();
  return ticket_;
}

void Connection::leaveHold() noexcept {
  if (ticket_ != 0) loop_.unhold(ticket_);
  ticket_ = 0;
}

// ------------------------------------------------------------------------------------------------------------- end

void Connection::drain() {
  shielded([this] {
    switch (state_) {
    case State::Preface:
    case State::Head:
      return arm();
    case State::Holding:
      return session_->onDrain(*this);
    case State::Forwarding:
      return forward_->closeTunnel();
    case State::Deciding:
    case State::Answering:
    case State::Lingering:
    case State::Closed:
      return;
    }
  });
}

void Connection::abort(const char *reason) {
  if (state_ == State::Closed) return;
  if (exchange_) {
    summary_.reason = reason;
    summary_.aborted = true;
  }
  close();
}

void Connection::close() {
  if (state_ == State::Closed) return;
  // Half an answer that ends in good order could be taken for a whole one (RFC 9112 §8).
  if (exchange_ && state_ == State::Forwarding && summary_.status >= 200) socket_->resetOnClose();
  state_ = State::Closed;
  leaveHold();
  if (forward_) forward_->cancel();
  if (exchange_) summary_.aborted = true;
  socket_->close();
  loop_.timers().cancel(*this);
  endExchange();
  loop_.retire(*this);
}

std::int64_t Connection::deadline() const {
  const Timeouts &limit = loop_.options().timeouts;
  switch (state_) {
  case State::Preface:
    return sinceMs_ + (loop_.draining() && in_.empty() ? kLastCallMs : limit.header.count());
  case State::Head:
    if (loop_.draining() && in_.empty()) return sinceMs_ + std::min(kLastCallMs, limit.keepAlive.count());
    return sinceMs_ + (in_.empty() && socket_->established() ? limit.keepAlive : limit.header).count();
  case State::Holding:
    return holdUntilMs_;
  case State::Forwarding:
    return forward_->deadline();
  case State::Answering:
    return sinceMs_ + limit.requestBody.count();
  case State::Lingering:
    return sinceMs_ + limit.linger.count();
  case State::Deciding:
  case State::Closed:
    break;
  }
  return INT64_MAX;
}

void Connection::arm() {
  const std::int64_t at = deadline();
  if (at != INT64_MAX && (!isSet() || at < deadlineMs())) loop_.timers().set(*this, at);
}

void Connection::onTimer() {
  if (state_ == State::Forwarding) shielded([this] { forward_->look(); });
  const std::int64_t at = deadline();
  if (at == INT64_MAX) return;
  if (loop_.nowMs() < at)
    loop_.timers().set(*this, at);
  else
    shielded([this] { onDeadline(); });
}

void Connection::onDeadline() {
  switch (state_) {
  case State::Preface:
    return close();
  case State::Head:
    if (in_.empty()) return close();
    return refuse(408, "the request header took too long");
  case State::Holding:
    // Leaves the hold by answering; if it does not, the exchange ends with its client.
    holdUntilMs_ = INT64_MAX;
    return session_->onHoldTimeout(*this);
  case State::Forwarding:
    forward_->onDeadline();
    if (state_ != State::Closed) arm();
    return;
  case State::Answering:
    return abort("the client reads too slowly");
  case State::Lingering:
    return close();
  case State::Deciding:
  case State::Closed:
    return;
  }
}

} // namespace matrixos::http
