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

constexpr int kMostPieces = 16; // of a body, then others have their turn

} // namespace

Connection::Connection(Loop &loop, std::shared_ptr<Socket> socket, const Address &peer, int listenerTag,
                       SessionFactory &factory)
    : loop_(loop), socket_(std::move(socket)), peer_(peer), factory_(factory), in_(loop.blocks()),
      listenerTag_(listenerTag) {
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
  loop_.idle().add(idle_);
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
  case State::Reading:
    return takeBody();
  case State::Holding:
  case State::Streaming:
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
  if (state_ == State::Answering || state_ == State::Streaming)
    flushAnswer();
  else if (state_ == State::Reading)
    expectBody();
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
    idle_.unlink();
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
    loop_.idle().add(idle_);
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
  if (state_ == State::Holding || state_ == State::Streaming) return onClientEnd(io.kind == Io::Kind::Failed);
  if (io.kind == Io::Kind::Failed) return abort("the client closed its connection");
  forward_->onClientEnd();
}

/// A client that has ended its side may still wait for its answer, and most have left (RFC 9112 §9.6).
void Connection::onClientEnd(bool failed) {
  const auto patience = loop_.options().timeouts.halfClosedHold;
  if (failed || patience.count() == 0) return clientGone();
  const std::int64_t until = loop_.nowMs() + patience.count();
  holdUntilMs_ = state_ == State::Streaming ? until : std::min(holdUntilMs_, until);
  arm();
}

void Connection::clientGone(const char *reason) {
  leaveHold();
  session_->onGone(*this);
  abort(reason);
}

/// As much is here as is kept for a request that waits. A client that leaves waits no longer all the same.
void Connection::readNoMore() {
  if (state_ != State::Holding && state_ != State::Streaming) return;
  if (!socket_->ended()) return socket_->waitEnd();
  clientGone();
}

void Connection::watch() {
  if (inputEnded_) return;
  if (in_.space() != 0)
    socket_->waitReadable();
  else if (state_ == State::Holding || state_ == State::Streaming)
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
  if (!undecided()) return;
  leaveHold();
  if (!complete_ && (!bodyStarted_ || intake_)) complete_ = skipBufferedBody();
  sendAnswer(response, mayKeepAlive());
}

bool Connection::skipBufferedBody() {
  if (!intake_) {
    intake_ = std::make_unique<Intake>();
    intake_->decoder.start(head_->body);
  }
  bodyStarted_ = true;
  BodyDecoder &body = intake_->decoder;
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

void Connection::startAnswer(int status, std::string_view contentType, const FieldPairs &fields, BodyFraming framing,
                             bool keepAlive) {
  summary_.status = status;
  keepAlive_ = keepAlive;
  std::string &text = writer_.start(framing, head_ && head_->isHead());
  const std::size_t before = text.size();
  HeadWriter writer(text);
  writer.statusLine(status);
  if (!contentType.empty()) writer.field("Content-Type", contentType);
  for (const auto &[name, value] : fields)
    writer.field(name, value);
  session_->writeOwnFields(*this, fields, writer);
  if (status != 204 && status != 304) writer.framing(framing);
  if (!keepAlive) writer.field("Connection", "close");
  writer.end();
  summary_.headBytes = static_cast<std::uint32_t>(text.size() - before);
  sinceMs_ = loop_.nowMs();
}

void Connection::sendAnswer(const LocalResponse &response, bool keepAlive) {
  summary_.bytesOut = response.body.size();
  startAnswer(response.status, response.contentType, response.fields, {BodyKind::Length, response.body.size()},
              keepAlive);
  writer_.add(response.body);
  writer_.end();
  state_ = State::Answering;
  flushAnswer();
}

void Connection::begin(const StreamHead &head) {
  if (!undecided()) return;
  if (!complete_ && (!bodyStarted_ || intake_)) complete_ = skipBufferedBody();
  BodyFraming framing{BodyKind::UntilClose, 0};
  if (head.length)
    framing = {BodyKind::Length, *head.length};
  else if (head_->minorVersion == 1)
    framing = {BodyKind::Chunked, 0};
  startAnswer(head.status, head.contentType, head.fields, framing,
              mayKeepAlive() && framing.kind != BodyKind::UntilClose);
  state_ = State::Streaming;
  blocked_ = false;
  watch();
  flushAnswer();
  arm();
}

bool Connection::write(std::string_view piece) {
  if (state_ != State::Streaming) return false;
  summary_.bytesOut += piece.size();
  if (writer_.unsent() == 0) sinceMs_ = loop_.nowMs();
  writer_.add(piece);
  flushAnswer();
  blocked_ = writer_.unsent() != 0;
  return !blocked_ && state_ == State::Streaming;
}

void Connection::end() {
  if (state_ != State::Streaming) return;
  writer_.end();
  leaveHold();
  state_ = State::Answering;
  flushAnswer();
}

void Connection::flushAnswer() {
  const std::size_t waiting = writer_.unsent();
  const auto result = writer_.flush(*socket_);
  if (writer_.unsent() != waiting) sinceMs_ = loop_.nowMs();
  switch (result) {
  case ResponseWriter::Flush::Failed:
    return state_ == State::Streaming ? clientGone() : abort("the client closed its connection");
  case ResponseWriter::Flush::Blocked:
    arm();
    return socket_->waitWritable();
  case ResponseWriter::Flush::Done:
    break;
  }
  if (state_ == State::Answering) return finish(keepAlive_);
  if (!blocked_) return;
  blocked_ = false;
  session_->onWritable(*this);
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
  intake_.reset();
  interim_ = {};
  leaveHold();
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

// ------------------------------------------------------------------------------------------------- taking the body

/// The exchange still waits for an answer, and for nothing else.
bool Connection::undecided() const noexcept {
  return exchange_ && (state_ == State::Deciding || state_ == State::Holding || state_ == State::Reading);
}

void Connection::readBody(std::uint64_t maxBody) {
  if (!undecided()) return;
  leaveHold();
  if (!intake_) {
    intake_ = std::make_unique<Intake>();
    intake_->most = std::min(maxBody, loop_.options().maxBody);
    intake_->startedMs = loop_.nowMs();
    intake_->decoder.start(head_->body);
    bodyStarted_ = true;
    if (head_->body.length > intake_->most) return refuse(413, "the request body is too large");
    // A client that sends at once does not wait for it (RFC 9110 §10.1.1).
    if (head_->expectContinue && in_.empty() && !complete_) interim_ = "HTTP/1.1 100 Continue\r\n\r\n";
  }
  sinceMs_ = loop_.nowMs();
  state_ = State::Reading;
  expectBody();
}

/// Sends what is left of the interim answer, then takes the body.
void Connection::expectBody() {
  while (!interim_.empty()) {
    const iovec part{const_cast<char *>(interim_.data()), interim_.size()};
    const Io io = socket_->write(&part, 1);
    if (io.kind == Io::Kind::WouldBlock) {
      arm();
      return socket_->waitWritable();
    }
    if (io.kind != Io::Kind::Bytes) return abort("the client closed its connection");
    interim_.remove_prefix(io.bytes);
  }
  takeBody();
}

void Connection::takeBody() {
  if (taking_) return; // a session that goes on inside onBody() comes back here; the loop below goes on
  taking_ = true;
  for (int round = 0; state_ == State::Reading; ++round) {
    if (!in_.empty() || intake_->decoder.done()) {
      takePiece();
    } else if (round >= kMostPieces || !socket_->mayRead()) {
      socket_->waitReadable();
      break;
    } else if (!readBodyBytes()) {
      break;
    }
  }
  taking_ = false;
  if (state_ == State::Reading) arm();
}

bool Connection::readBodyBytes() {
  in_.prepare();
  const Io io = socket_->read(in_.writePointer(), in_.space());
  switch (io.kind) {
  case Io::Kind::Bytes:
    in_.filled(io.bytes);
    sinceMs_ = loop_.nowMs();
    return true;
  case Io::Kind::WouldBlock:
    return true;
  case Io::Kind::End:
    inputEnded_ = true;
    refuse(400, "the request body ended early");
    return false;
  case Io::Kind::Failed:
    abort("the client closed its connection inside a request");
    return false;
  }
  return false;
}

void Connection::takePiece() {
  BodyDecoder &body = intake_->decoder;
  const auto step = body.decode(in_.data(), in_.size());
  const std::string_view piece(in_.data(), step.produced);
  // The piece stays where it is until something is read again.
  in_.consume(step.consumed);
  summary_.bytesIn = intake_->taken += step.produced;
  if (intake_->taken > intake_->most) return refuse(413, "the request body is too large");
  if (body.failed()) return refuse(400, body.reason());
  if (body.done()) {
    complete_ = true;
    state_ = State::Deciding;
  }
  if (!piece.empty() || complete_) session_->onBody(*this, piece, complete_);
}

std::int64_t Connection::intakeDeadline() const noexcept {
  const ServerOptions &options = loop_.options();
  const std::int64_t patience = options.timeouts.requestBody.count();
  if (options.minBodyRate == 0) return sinceMs_ + patience;
  const auto earned = static_cast<std::int64_t>(intake_->taken / options.minBodyRate) * 1000;
  return std::min(sinceMs_ + patience, intake_->startedMs + patience + earned);
}

// ------------------------------------------------------------------------------------------------------ forwarding

void Connection::forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody, BodyObserver *observer) {
  if (!undecided() || intake_) return;
  leaveHold();
  if (head_->body.length > maxBody) return refuse(413, "the request body is too large");
  state_ = State::Forwarding;
  if (!forward_) forward_ = std::make_unique<Forward>(*this);
  forward_->begin(std::move(upstream), maxBody, observer);
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
  if (!undecided()) return 0;
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
    case State::Reading:
    case State::Answering:
    case State::Streaming:
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
  const bool sending = state_ == State::Forwarding || state_ == State::Streaming || state_ == State::Answering;
  if (exchange_ && sending && summary_.status >= 200) socket_->resetOnClose();
  state_ = State::Closed;
  idle_.unlink();
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
    return sinceMs_ + (loop_.draining() && in_.empty() ? limit.lastCall.count() : limit.header.count());
  case State::Head:
    if (loop_.draining() && in_.empty()) return sinceMs_ + std::min(limit.lastCall, limit.keepAlive).count();
    return sinceMs_ + (in_.empty() && socket_->established() ? limit.keepAlive : limit.header).count();
  case State::Holding:
    return holdUntilMs_;
  case State::Forwarding:
    return forward_->deadline();
  case State::Reading:
    return intakeDeadline();
  case State::Answering:
    return sinceMs_ + limit.requestBody.count();
  case State::Streaming:
    return std::min(writer_.unsent() == 0 ? INT64_MAX : sinceMs_ + limit.requestBody.count(),
                    inputEnded_ ? holdUntilMs_ : INT64_MAX);
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
    if (inputEnded_) return clientGone();
    holdUntilMs_ = INT64_MAX;
    return session_->onHoldTimeout(*this);
  case State::Reading:
    return refuse(408, "the request body took too long");
  case State::Forwarding:
    forward_->onDeadline();
    if (state_ != State::Closed) arm();
    return;
  case State::Answering:
    return abort("the client reads too slowly");
  case State::Streaming:
    return clientGone(inputEnded_ ? "the client closed its connection" : "the client reads too slowly");
  case State::Lingering:
    return close();
  case State::Deciding:
  case State::Closed:
    return;
  }
}

} // namespace matrixos::http
