#include "Tunnel.h"

#include "ClientConnection.h"
#include "Loop.h"

namespace matrixos::http {

namespace {

constexpr std::uint16_t kGoingAway = 1001; // RFC 6455 §7.4.1

} // namespace

Tunnel::Tunnel(ClientConnection &client, Socket &upstream, Pump &fromClient, Pump &fromUpstream) noexcept
    : client_(client), upstream_(upstream), fromClient_{fromClient, {}}, fromUpstream_{fromUpstream, {}} {}

bool Tunnel::isAgreed(const RequestHead &request, const ResponseHead &response) {
  return request.upgradeWebSocket && response.upgradeWebSocket &&
         response.fields.value(Name::SecWebSocketAccept) ==
             webSocketAccept(request.fields.value(Name::SecWebSocketKey));
}

void Tunnel::start(Buffer &buffer) {
  const BodyFraming raw{BodyKind::UntilClose, 0};
  fromClient_.pump.start({client_.socket(), client_.input(), upstream_, raw});
  fromUpstream_.pump.start({upstream_, buffer, client_.socket(), raw});
  fromUpstream_.pump.run();
  fromClient_.pump.run();
  fromUpstream_.pump.settle();
  fromClient_.pump.settle();
  if (client_.loop().draining()) close();
}

std::size_t Tunnel::relay(Pump &pump, std::string_view payload) {
  Direction &direction = of(pump);
  FrameCounter &frames = direction.frames;
  if (!closing_) {
    const std::uint64_t data = frames.feed(payload);
    if (data != 0) client_.session().onFrames(client_, data);
    return payload.size();
  }
  std::size_t passes = 0;
  if (!direction.closeSent) {
    passes = frames.feedToBoundary(payload);
    if (!frames.atBoundary()) return payload.size();
    sendClose(direction);
  }
  frames.feed(payload.substr(passes)); // for the close frame that answers ours
  return passes;
}

void Tunnel::onSideDone(Pump &pump) {
  if (oneSideDone_) return client_.close();
  oneSideDone_ = true;
  if (&pump == &fromClient_.pump)
    upstream_.shutdownWrite();
  else
    client_.socket().shutdownWrite();
}

void Tunnel::close() {
  // A closing handshake that is under way comes to its end by itself.
  if (closing_ || oneSideDone_ || fromClient_.frames.closed() || fromUpstream_.frames.closed()) return;
  closing_ = true;
  for (Direction *direction : {&fromUpstream_, &fromClient_}) {
    if (!direction->pump.started() || !direction->frames.atBoundary()) continue;
    sendClose(*direction);
    direction->pump.run();
  }
}

void Tunnel::sendClose(Direction &direction) {
  direction.closeSent = true;
  direction.pump.append(webSocketClose(kGoingAway, &direction == &fromClient_));
}

void Tunnel::endIfClosed() {
  if (!closing_ || !fromClient_.frames.closed() || !fromUpstream_.frames.closed()) return;
  if (!fromClient_.pump.writing() && !fromUpstream_.pump.writing()) client_.close();
}

} // namespace matrixos::http
