#include "ClientConnection.h"
#include "Forward.h"
#include "Loop.h"
#include "RestReader.h"

#include <exception>
#include <utility>

/// What the observer of a forwarded answer sees of it, and what it decides.
namespace matrixos::http {

/// What the client gets in place of a piece of the answer; nothing once the observer has broken the exchange off.
std::string_view Forward::observe(std::string_view piece, bool last) {
  BodyObserver &observer = *observer_;
  if (!piece.empty()) observer.onResponsePayload(piece);
  if (phase_ != Phase::Body) return {};
  const std::string_view given = observer.editResponse(piece, last);
  if (phase_ != Phase::Body) return {};
  const std::uint64_t sum = client_.summary().bytesOut + given.size();
  if (announced_ && (sum > *announced_ || (last && sum != *announced_))) {
    client_.abort("an observer changed the announced length of an answer");
    return {};
  }
  if (!last && observer.endsHere()) endBehindPiece();
  return phase_ == Phase::Body ? given : std::string_view();
}

void Forward::endBehindPiece() {
  if (announced_) {
    cancel();
    return client_.abort("an observer ended an answer before its announced length");
  }
  response_.end();
  request_.stop();
  upstreamKeepAlive_ = false;
  socket_->close(); // the piece may still wait in our buffer
}

void Forward::endObservation(bool complete) noexcept {
  BodyObserver *observer = std::exchange(observer_, nullptr);
  if (observer != nullptr && phase_ == Phase::Body) observer->onResponseEnd(complete);
}

void Forward::leave() noexcept {
  if (observer_ != nullptr && mayHandOver()) handOver();
  cancel();
}

/// The answer to a request that was sent whole is still to come from the upstream, or to be handed to the client.
bool Forward::mayHandOver() const noexcept {
  const bool awaited = phase_ == Phase::AwaitHead || phase_ == Phase::Body;
  const Loop &loop = client_.loop();
  return awaited && requestDone_ && socket_->isOpen() && !client_.request().upgradeWebSocket && !loop.draining() &&
         loop.options().mostRests != 0;
}

void Forward::handOver() noexcept {
  BodyObserver::Rest rest;
  try {
    rest = observer_->onClientGone();
    if (!rest.observer) return;
    observer_ = nullptr;                        // the other one is told of the end
    BodyDecoder decoder = response_.handOver(); // which takes from the buffer what was shown
    RestReader::Answer answer{socket_,
                              std::move(buffer_),
                              std::move(decoder),
                              connector_.poolKey(),
                              connector_.candidate().retirement,
                              phase_ == Phase::Body,
                              client_.request().isHead(),
                              upstreamKeepAlive_ && upstream_->reuse};
    client_.loop().readRest(std::move(answer), std::move(rest));
    socket_.reset();
  } catch (const std::exception &) {
    if (rest.observer) rest.observer->onResponseEnd(false);
  }
}

} // namespace matrixos::http
