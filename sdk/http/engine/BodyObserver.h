/// http/engine/BodyObserver.h: sees a forwarded body pass.
#pragma once

#include <string_view>

namespace matrixos::http {

/// Is shown the payload of one exchange, without its framing, as it goes by: in the pieces in which it came, just
/// before each is written, never copied and never held back. What it throws ends the connection. WebSockets are not
/// shown. Loop thread only.
class BodyObserver {
public:
  /// Valid during the call.
  virtual void onRequestPayload(std::string_view /*bytes*/) {}
  /// Follows Session::writeResponse, which has seen the head.
  virtual void onResponsePayload(std::string_view /*bytes*/) {}
  /// Once for each response whose head was passed on. `complete`: it came whole, and was handed to the client's
  /// connection; otherwise it was broken off, by whichever side. Nothing follows.
  virtual void onResponseEnd(bool /*complete*/) noexcept {}

protected:
  ~BodyObserver() = default;
};

} // namespace matrixos::http
