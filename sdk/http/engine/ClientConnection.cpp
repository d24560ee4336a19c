#include "ClientConnection.h"

#include "Loop.h"

#include <matrixos/call.hpp>

#include <http/codec/HopByHop.h>

#include <algorithm>
#include <array>
#include <utility>

namespace matrixos::http {

namespace {

constexpr const char *kShareTaken = "too many connections are open from this address; try again in a moment";

} // namespace

ClientConnection::ClientConnection(Loop &loop, std::shared_ptr<Socket> socket, const Address &peer, int listenerTag,
                                   SessionFactory &factory)
    : loop_(loop), socket_(std::move(socket)), peer_(peer), factory_(factory), in_(loop.blocks()),
      listenerTag_(listenerTag) {
  if (loop.options().proxyProtocol)
    state_ = State::Preface;
  else
    session_ = factory_.makeSession(loop_, peer_);
  socket_->setUser(this);
}

ClientConnection::~ClientConnection() {
  socket_->close();
}

void ClientConnection::start() {
  if (state_ == State::Preface && !factory_.isFront(loop_, peer_)) return close();
  if (state_ != State::Preface && !takeShare()) return loop_.turnAway(*this, kShareTaken);
  await();
}

/// False: its client has as many connections as it may have.
bool ClientConnection::takeShare() {
  if (peer_.isUnix() || factory_.isFront(loop_, peer_)) return true;
  PeerShares &shares = loop_.shares();
  const std::size_t most = loop_.options().peerConnections;
  counted_ = shares.enter(peer_, most) || (loop_.shedOf(peer_) && shares.enter(peer_, most));
  return counted_;
}

void ClientConnection::await() {
  sinceMs_ = loop_.nowMs();
  (turnedAway_ != nullptr ? loop_.turnedAwayList() : loop_.idle()).add(idle_);
  arm();
  socket_->waitReadable();
}

void ClientConnection::turnAway(const char *reason) {
  turnedAway_ = reason;
  await();
}

void ClientConnection::answerFull() {
  if (!socket_->established() || !session_) return close();
  idle_.unlink();
  session_->onRefused(503, turnedAway_);
  LocalResponse response = session_->refusal({.status = 503, .reason = turnedAway_});
  response.fields.emplace_back("Retry-After", "1");
  complete_ = false;
  sendAnswer(std::move(response), false);
}

void ClientConnection::onReadable() {
  shielded([this] { handleReadable(); });
}

void ClientConnection::onWritable() {
  shielded([this] { handleWritable(); });
}

RequestHead &ClientConnection::request() noexcept {
  return head_ ? *head_ : loop_.emptyHead();
}

void ClientConnection::handleReadable() {
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

void ClientConnection::handleWritable() {
  if (state_ == State::Answering || state_ == State::Streaming)
    flushAnswer();
  else if (state_ == State::Reading)
    expectBody();
  else if (state_ == State::Forwarding)
    forward_->clientWritable();
}

// ------------------------------------------------------------------------------------------------- reading requests

void ClientConnection::readInput() {
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
bool ClientConnection::takePreface() {
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
void ClientConnection::peekPreface() {
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

void ClientConnection::welcome(const ProxyHeader &header) {
  if (header.client) peer_ = *header.client;
  session_ = factory_.makeSession(loop_, peer_);
  state_ = State::Head;
  if (turnedAway_ == nullptr && !takeShare()) loop_.turnAway(*this, kShareTaken);
}

void ClientConnection::processInput() {
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
      refuse(parser_.error());
    else if (head_->body.length > loop_.options().maxBody)
      refuse(413, "the request body is too large");
    else if (turnedAway_ != nullptr && !session_->isVital(*head_))
      answerFull();
    else
      beginExchange();
  }
  processing_ = false;
  if (state_ != State::Head) return;
  if (in_.empty()) {
    in_.releaseIfEmpty();
    if (inputEnded_) return close();
    loop_.idle().add(idle_);
  } else if (!idle_.linked()) {
    // By its first byte: one that brings another now and then gets no younger.
    (turnedAway_ != nullptr ? loop_.turnedAwayList() : loop_.halfHeads()).add(idle_);
  }
  socket_->waitReadable();
}

void ClientConnection::beginExchange() {
  idle_.unlink();
  in_.keep(parser_.size());
  startedNs_ = monotonicNanos();
  sinceMs_ = loop_.nowMs();
  summary_ = {};
  state_ = State::Deciding;
  exchange_ = true;
  bodyStarted_ = false;
  complete_ = head_->body.isEmpty();
  dropHopByHop(head_->fields);
  session_->onRequest(*this);
}

void ClientConnection::readWhileBusy() {
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
void ClientConnection::onClientEnd(bool failed) {
  const auto patience = loop_.options().timeouts.halfClosedHold;
  if (failed || patience.count() == 0) return clientGone();
  const std::int64_t until = loop_.nowMs() + patience.count();
  holdUntilMs_ = state_ == State::Streaming ? until : std::min(holdUntilMs_, until);
  arm();
}

void ClientConnection::clientGone(const char *reason) {
  leaveHold();
  session_->onGone(*this);
  abort(reason);
}

/// As much is here as is kept for a request that waits. A client that leaves waits no longer all the same.
void ClientConnection::readNoMore() {
  if (state_ != State::Holding && state_ != State::Streaming) return;
  if (!socket_->ended()) return socket_->waitEnd();
  clientGone();
}

void ClientConnection::watch() {
  if (inputEnded_) return;
  if (in_.space() != 0)
    socket_->waitReadable();
  else if (state_ == State::Holding || state_ == State::Streaming)
    socket_->waitEnd();
}

bool ClientConnection::mayKeepAlive() const noexcept {
  // A client that closed its sending side still gets an answer to each request that came before.
  return head_ && head_->keepAlive && complete_ && !(inputEnded_ && in_.empty()) && !loop_.draining() &&
         turnedAway_ == nullptr;
}

void ClientConnection::bodyPassed(bool done) noexcept {
  bodyStarted_ = true;
  complete_ = complete_ || done;
}

// ------------------------------------------------------------------------------------------------------ forwarding

void ClientConnection::forward(std::shared_ptr<const Upstream> upstream, std::uint64_t maxBody,
                               BodyObserver *observer) {
  if (!undecided() || intake_) return;
  leaveHold();
  if (head_->body.length > maxBody) return refuse(413, "the request body is too large");
  state_ = State::Forwarding;
  if (!forward_) forward_ = std::make_unique<Forward>(*this);
  forward_->begin(std::move(upstream), maxBody, std::nullopt, observer);
}

void ClientConnection::forwardTaken(std::shared_ptr<const Upstream> upstream, std::string_view body,
                                    BodyObserver *observer) {
  if (!undecided() || !complete_) return;
  leaveHold();
  state_ = State::Forwarding;
  if (!forward_) forward_ = std::make_unique<Forward>(*this);
  forward_->begin(std::move(upstream), UINT64_MAX, body, observer);
}

void ClientConnection::forwardFailed(ForwardFailure failure) {
  state_ = State::Deciding;
  session_->onForwardFailed(*this, failure);
}

void ClientConnection::becomeTunnel() {
  summary_.upgraded = true;
  summary_.status = 101;
  session_->onUpgraded(*this);
  if (state_ == State::Closed) return;
  // The spans of the head end here, and with them the claim on the buffer's start.
  loop_.giveRequestHead(std::move(head_));
  head_ = nullptr;
  in_.unkeep();
}

std::uint64_t ClientConnection::hold(std::chrono::milliseconds most) {
  if (!undecided()) return 0;
  state_ = State::Holding;
  holdUntilMs_ = loop_.nowMs() + most.count();
  if (ticket_ == 0) ticket_ = loop_.hold(*this);
  arm();
  watch();
  return ticket_;
}

void ClientConnection::leaveHold() noexcept {
  if (ticket_ != 0) loop_.unhold(ticket_);
  ticket_ = 0;
}

// ------------------------------------------------------------------------------------------------------------- end

void ClientConnection::drain() {
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

void ClientConnection::abort(const char *reason) {
  if (state_ == State::Closed) return;
  if (exchange_) {
    summary_.reason = reason;
    summary_.aborted = true;
  }
  close();
}

/// Something threw: who did is not asked for more.
void ClientConnection::fail() noexcept {
  if (forward_) forward_->cancel();
  abort("internal failure");
}

void ClientConnection::close() {
  if (state_ == State::Closed) return;
  // Half an answer that ends in good order could be taken for a whole one (RFC 9112 §8).
  const bool sending = state_ == State::Forwarding || state_ == State::Streaming || state_ == State::Answering;
  if (exchange_ && sending && summary_.status >= 200) socket_->resetOnClose();
  state_ = State::Closed;
  idle_.unlink();
  leaveHold();
  if (forward_) forward_->leave();
  if (exchange_) summary_.aborted = true;
  socket_->close();
  loop_.timers().cancel(*this);
  if (std::exchange(counted_, false)) loop_.shares().leave(peer_);
  endExchange();
  loop_.retire(*this);
}

std::int64_t ClientConnection::deadline() const {
  const Timeouts &limit = loop_.options().timeouts;
  switch (state_) {
  case State::Preface:
    return sinceMs_ + (loop_.draining() && in_.empty() ? limit.lastCall.count() : limit.header.count());
  case State::Head:
    if (turnedAway_ != nullptr) return sinceMs_ + limit.lastCall.count();
    if (loop_.draining() && in_.empty()) return sinceMs_ + std::min(limit.lastCall, limit.keepAlive).count();
    return sinceMs_ + (in_.empty() && socket_->established() ? limit.keepAlive : limit.header).count();
  case State::Holding:
    return holdUntilMs_;
  case State::Forwarding:
    return forward_->deadline();
  case State::Reading:
    return intake_->deadline(loop_.options(), sinceMs_);
  case State::Answering:
    return sinceMs_ + limit.ownAnswer.count();
  case State::Streaming:
    return std::min(unsent() == 0 ? INT64_MAX : sinceMs_ + limit.ownAnswer.count(),
                    inputEnded_ ? holdUntilMs_ : INT64_MAX);
  case State::Lingering:
    return sinceMs_ + limit.linger.count();
  case State::Deciding:
  case State::Closed:
    break;
  }
  return INT64_MAX;
}

void ClientConnection::arm() {
  const std::int64_t at = deadline();
  if (at != INT64_MAX && (!isSet() || at < deadlineMs())) loop_.timers().set(*this, at);
}

void ClientConnection::onTimer() {
  if (state_ == State::Forwarding) shielded([this] { forward_->look(); });
  const std::int64_t at = deadline();
  if (at == INT64_MAX) return;
  if (loop_.nowMs() < at)
    loop_.timers().set(*this, at);
  else
    shielded([this] { onDeadline(); });
}

void ClientConnection::onDeadline() {
  switch (state_) {
  case State::Preface:
    return close();
  case State::Head:
    if (turnedAway_ != nullptr) return answerFull();
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
