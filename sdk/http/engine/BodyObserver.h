/// http/engine/BodyObserver.h: sees a forwarded body pass.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

namespace matrixos::http {

struct ResponseHead;

/// Is shown the payload of one exchange, without its framing, as it goes by: in the pieces in which it came, just
/// before each is written, never copied and never held back. It may send something else in place of a piece, end an
/// answer, and have the rest of one read when nobody waits for it any more. What it throws ends the connection.
/// WebSockets are not shown. Loop thread only.
class BodyObserver {
public:
  /// Who sees the rest of an answer whose client has gone, and how much of it.
  struct Rest {
    std::shared_ptr<BodyObserver> observer; ///< null: nobody
    std::chrono::milliseconds most{};       ///< from now on
    std::uint64_t bytes = 0;                ///< to be read off the wire, with their framing
  };

  /// Valid during the call.
  virtual void onRequestPayload(std::string_view /*bytes*/) {}
  /// Follows Session::writeResponse, which has seen the head.
  virtual void onResponsePayload(std::string_view /*bytes*/) {}
  /// What the client gets in place of a piece that was just shown; the default is the piece itself. `last`: nothing
  /// follows; `piece` is empty when the end came alone. What is returned is valid until this is called again or the
  /// answer ends; pieces of a request that is still being sent may be shown before that.
  /// It may have another length, unless the answer's length was announced (Content-Length): an answer that turns out
  /// longer or shorter than announced is broken off. Not asked of answers that have no body.
  virtual std::string_view editResponse(std::string_view piece, bool /*last*/) { return piece; }
  /// Asked after each piece but the last: true ends the answer behind what editResponse() returned, in good order, and
  /// closes the upstream's connection at once. An answer whose length was announced is broken off instead.
  virtual bool endsHere() noexcept { return false; }
  /// Once for each response whose head was passed on. `complete`: it came whole, and was handed to the client's
  /// connection; otherwise it was broken off, by whichever side, or ended by endsHere(). Nothing follows.
  virtual void onResponseEnd(bool /*complete*/) noexcept {}

  /// The client left, or was cut off: by the session, or as it reads too slowly. Its request has been sent whole, and
  /// the answer has not been handed to it whole. By default the upstream is let go of at once. Otherwise the observer
  /// that is returned sees the rest, behind what this one was shown: onResponseHead() if there was no head yet, then
  /// onResponsePayload(). In any case it gets onResponseEnd() once, and is destroyed then: with true when the answer
  /// came whole, with false when the upstream broke off or kept silent, at a limit, and when the server drains or
  /// stops. This one is told nothing more, unless it is the same. Session::onFinished follows now, as ever.
  /// Not asked when the upstream is what failed, after a callback has thrown, nor while the server drains.
  virtual Rest onClientGone() { return {}; }
  /// The head of an answer whose client has gone, in place of Session::writeResponse. Valid during the call.
  virtual void onResponseHead(const ResponseHead & /*head*/) {}

protected:
  ~BodyObserver() = default;
};

} // namespace matrixos::http
