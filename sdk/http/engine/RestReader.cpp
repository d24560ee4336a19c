#include "RestReader.h"

#include "Loop.h"

#include <http/codec/HopByHop.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace matrixos::http {

namespace {

constexpr int kMostRounds = 16; // then others have their turn

/// Nobody waits for longer than this; and no sum overflows.
constexpr std::int64_t kMostMs = 24LL * 60 * 60 * 1000;

} // namespace

RestReader::RestReader(Loop &loop, Answer &&answer, BodyObserver::Rest &&rest) noexcept
    : loop_(loop), answer_(std::move(answer)), observer_(std::move(rest.observer)), left_(rest.bytes),
      untilMs_(loop.nowMs() + std::clamp<std::int64_t>(rest.most.count(), 0, kMostMs)) {}

void RestReader::start(Place place) noexcept {
  place_ = place;
  answer_.socket->setUser(this);
  loop_.timers().set(*this, loop_.nowMs()); // the first time, for what is in the buffer already
}

void RestReader::onTimer() {
  run();
  if (ended_) return;
  const std::int64_t now = loop_.nowMs();
  if (now >= untilMs_ || (answer_.retirement && answer_.retirement->isDue(now))) return end(false);
  std::int64_t next = untilMs_;
  if (answer_.retirement) next = std::min({next, now + Retirement::kLookEveryMs, answer_.retirement->atMs()});
  loop_.timers().set(*this, next);
}

void RestReader::run() noexcept {
  try {
    show();
    for (int round = 0; !ended_ && round < kMostRounds; ++round) {
      if (!fill()) return;
      show();
    }
    if (!ended_) answer_.socket->waitReadable();
  } catch (const std::exception &) {
    end(false);
  }
}

/// Shows what is in the buffer.
void RestReader::show() {
  Buffer &buffer = answer_.buffer;
  if (!answer_.inBody && !takeHead()) return;
  if (!buffer.empty() && !answer_.decoder.done()) {
    const auto step = answer_.decoder.decode(buffer.data(), buffer.size());
    if (answer_.decoder.failed()) return end(false);
    if (step.produced != 0) observer_->onResponsePayload({buffer.data(), step.produced});
    buffer.consume(step.consumed);
  }
  if (answer_.decoder.done()) end(true);
}

/// False: it has not come yet, or never will.
bool RestReader::takeHead() {
  Buffer &buffer = answer_.buffer;
  ResponseHead &head = loop_.responseHead();
  while (!buffer.empty()) {
    const ParseResult result = parser_.parse(buffer.view(), loop_.options().response, answer_.toHead, head);
    if (result == ParseResult::NeedMore) return false;
    // Nobody asked for another protocol.
    if (result == ParseResult::Failed || head.status == 101) {
      end(false);
      return false;
    }
    answer_.reusable = answer_.reusable && head.keepAlive;
    if (!head.isInterim()) {
      dropHopByHop(head.fields);
      answer_.decoder.start(head.body);
      answer_.inBody = true;
      observer_->onResponseHead(head);
      buffer.consume(parser_.size());
      return !ended_;
    }
    buffer.consume(parser_.size());
    parser_.reset();
  }
  return false;
}

/// False: nothing more is to be done now.
bool RestReader::fill() {
  Buffer &buffer = answer_.buffer;
  Socket &socket = *answer_.socket;
  if (!socket.mayRead()) {
    buffer.releaseIfEmpty();
    socket.waitReadable();
    return false;
  }
  buffer.prepare();
  const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.space(), left_));
  const Io io = room != 0 ? socket.read(buffer.writePointer(), room) : Io{Io::Kind::Failed, 0, 0};
  switch (io.kind) {
  case Io::Kind::Bytes:
    buffer.filled(io.bytes);
    left_ -= io.bytes;
    return true;
  case Io::Kind::WouldBlock:
    return true; // which mayRead() says from now on
  case Io::Kind::End:
    end(answer_.inBody && answer_.decoder.end());
    return false;
  case Io::Kind::Failed:
    end(false);
    return false;
  }
  return false;
}

bool RestReader::isRetired() const noexcept {
  return answer_.retirement && answer_.retirement->isSet();
}

void RestReader::end(bool complete) noexcept {
  if (std::exchange(ended_, true)) return;
  loop_.timers().cancel(*this);
  auto socket = std::exchange(answer_.socket, nullptr);
  socket->setUser(nullptr);
  try {
    // Bytes behind the answer were not asked for, as in Forward.
    if (complete && answer_.reusable && answer_.buffer.empty() && !isRetired())
      loop_.upstreams().put(answer_.key, socket);
    else
      socket->close();
  } catch (const std::exception &) {
    socket->close();
  }
  observer_->onResponseEnd(complete);
  loop_.retire(place_);
}

} // namespace matrixos::http
