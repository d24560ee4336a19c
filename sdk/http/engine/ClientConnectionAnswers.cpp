#include "ClientConnection.h"
#include "Loop.h"

#include <matrixos/call.hpp>

#include <algorithm>
#include <array>

/// How a client connection answers, and takes the bodies that its session asks for.
namespace matrixos::http {

namespace {

/// What a client may still send after an answer that ends its connection. Reading it keeps the kernel from answering
/// with a reset, which would destroy the answer on its way (RFC 9112 §9.6).
constexpr std::size_t kMostLingering = 64 * 1024;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

constexpr int kMostPieces = 16; // of a body, then others have their turn

} // namespace

// --------------------------------------------------------------------------------------------------------- answers

void ClientConnection::respond(LocalResponse response) {
  if (!undecided()) return;
  leaveHold();
  if (!complete_ && (!bodyStarted_ || intake_)) complete_ = skipBufferedBody();
  sendAnswer(std::move(response), mayKeepAlive());
}

bool ClientConnection::skipBufferedBody() {
  if (!intake_) intake_ = std::make_unique<BodyIntake>(head_->body, UINT64_MAX, loop_.nowMs());
  bodyStarted_ = true;
  std::string_view skipped;
  return intake_->take(in_, skipped) == BodyIntake::Result::Last;
}

void ClientConnection::refuse(const ParseError &error) {
  idle_.unlink();
  if (!exchange_) session_->onRefused(error.status, error.reason);
  summary_.reason = error.reason;
  complete_ = false;
  sendAnswer(session_->refusal(error), false);
}

void ClientConnection::startAnswer(int status, std::string_view contentType, const FieldPairs &fields,
                                   BodyFraming framing, bool keepAlive) {
  summary_.status = status;
  keepAlive_ = keepAlive;
  if (!writer_) writer_ = std::make_unique<ResponseWriter>();
  std::string &text = writer_->start(framing, head_ && head_->isHead());
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

void ClientConnection::sendAnswer(LocalResponse response, bool keepAlive) {
  summary_.bytesOut = response.body.size();
  startAnswer(response.status, response.contentType, response.fields, {BodyKind::Length, response.body.size()},
              keepAlive);
  writer_->finish(std::move(response.body));
  state_ = State::Answering;
  flushAnswer();
}

void ClientConnection::begin(const StreamHead &head) {
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

bool ClientConnection::write(std::string_view piece) {
  if (state_ != State::Streaming) return false;
  summary_.bytesOut += piece.size();
  if (unsent() == 0) sinceMs_ = loop_.nowMs();
  writer_->add(piece);
  flushAnswer();
  blocked_ = unsent() != 0;
  return !blocked_ && state_ == State::Streaming;
}

void ClientConnection::end() {
  if (state_ != State::Streaming) return;
  writer_->end();
  leaveHold();
  state_ = State::Answering;
  flushAnswer();
}

void ClientConnection::flushAnswer() {
  const std::size_t waiting = unsent();
  const auto result = writer_->flush(*socket_);
  if (unsent() != waiting) sinceMs_ = loop_.nowMs();
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

void ClientConnection::finish(bool keepAlive) {
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

void ClientConnection::endExchange() {
  if (exchange_) {
    exchange_ = false;
    summary_.tookMicros = (monotonicNanos() - startedNs_) / 1000;
    session_->onFinished(*this, summary_);
  }
  if (head_) loop_.giveRequestHead(std::move(head_));
  intake_.reset();
  writer_.reset();
  interimLeft_ = 0;
  leaveHold();
  in_.unkeep();
}

void ClientConnection::linger() {
  in_.drop();
  if (inputEnded_) return close();
  state_ = State::Lingering;
  sinceMs_ = loop_.nowMs();
  lingered_ = 0;
  arm();
  socket_->shutdownWrite();
  socket_->waitReadable();
}

void ClientConnection::readLingering() {
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
bool ClientConnection::undecided() const noexcept {
  return exchange_ && (state_ == State::Deciding || state_ == State::Holding || state_ == State::Reading);
}

void ClientConnection::readBody(std::uint64_t maxBody) {
  if (!undecided()) return;
  leaveHold();
  if (!intake_) {
    const std::uint64_t most = std::min(maxBody, loop_.options().maxBody);
    intake_ = std::make_unique<BodyIntake>(head_->body, most, loop_.nowMs());
    bodyStarted_ = true;
    if (head_->body.length > most) return refuse(413, "the request body is too large");
    // A client that sends at once does not wait for it (RFC 9110 §10.1.1).
    if (head_->expectContinue && in_.empty() && !complete_) interimLeft_ = kContinue.size();
  }
  sinceMs_ = loop_.nowMs();
  state_ = State::Reading;
  expectBody();
}

/// Sends what is left of the interim answer, then takes the body.
void ClientConnection::expectBody() {
  while (interimLeft_ != 0) {
    const std::string_view left = kContinue.substr(kContinue.size() - interimLeft_);
    const iovec part{const_cast<char *>(left.data()), left.size()};
    const Io io = socket_->write(&part, 1);
    if (io.kind == Io::Kind::WouldBlock) {
      arm();
      return socket_->waitWritable();
    }
    if (io.kind != Io::Kind::Bytes) return abort("the client closed its connection");
    interimLeft_ -= static_cast<std::uint8_t>(io.bytes);
  }
  takeBody();
}

void ClientConnection::takeBody() {
  if (taking_) return; // a session that goes on inside onBody() comes back here; the loop below goes on
  taking_ = true;
  for (int round = 0; state_ == State::Reading; ++round) {
    if (!in_.empty() || intake_->done()) {
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

bool ClientConnection::readBodyBytes() {
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

void ClientConnection::takePiece() {
  std::string_view piece;
  const auto result = intake_->take(in_, piece);
  summary_.bytesIn = intake_->taken();
  switch (result) {
  case BodyIntake::Result::TooLarge:
    return refuse(413, "the request body is too large");
  case BodyIntake::Result::Malformed:
    return refuse(400, intake_->reason());
  case BodyIntake::Result::Last:
    complete_ = true;
    state_ = State::Deciding;
    break;
  case BodyIntake::Result::Piece:
    if (piece.empty()) return;
  }
  session_->onBody(*this, piece, complete_);
}

} // namespace matrixos::http
