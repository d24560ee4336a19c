#include "EventBroadcaster.h"

#include <matrixos/abi/runtime.h>
#include <matrixos/json_text.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace matrixos::simulated {

namespace {

constexpr std::chrono::milliseconds kAskAgain{10};
constexpr std::chrono::milliseconds kLongWait{60'000};

} // namespace

std::string SimulatedEvent::json() const {
  JsonObject object(192);
  object.add("type", type).add("ref", ref).add("name", name).add("time", timeMs).add("exitCode", exitCode);
  return std::move(object).str();
}

EventBroadcaster::Stream::Stream(EventBroadcaster &hub, LabelFilter filter, std::uint64_t serial)
    : hub_(hub), filter_(std::move(filter)), serial_(serial), fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw Error(Status::ResourceExhausted, "no descriptor for another stream of events");
}

EventBroadcaster::Stream::~Stream() {
  {
    const std::lock_guard lock(hub_.mutex_);
    hub_.streams_.erase(std::remove(hub_.streams_.begin(), hub_.streams_.end(), this), hub_.streams_.end());
  }
  ::close(fd_);
}

void EventBroadcaster::Stream::push(const SimulatedEvent &event) {
  if (ended_ != nullptr) return;
  if (waiting_.size() == kMostWaiting) return end("events come faster than they are taken; list, and listen again");
  waiting_.push_back(event);
  if (waiting_.size() > 1) return; // told already
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void EventBroadcaster::Stream::end(const char *why) {
  ended_ = why;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

std::vector<SimulatedEvent> EventBroadcaster::Stream::next(const Call &call, int stopFd) {
  for (;;) {
    {
      std::uint64_t count = 0;
      const std::lock_guard lock(hub_.mutex_);
      [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
      if (!waiting_.empty()) {
        std::vector<SimulatedEvent> events(std::make_move_iterator(waiting_.begin()),
                                           std::make_move_iterator(waiting_.end()));
        waiting_.clear();
        return events;
      }
      if (ended_ != nullptr) throw Error(Status::Unavailable, ended_, MOS_REASON_ENGINE_UNREACHABLE, 1000);
    }
    call.throwIfDone();
    const auto wait = call.remaining(call.cancelFd() < 0 ? kAskAgain : kLongWait);
    std::array<pollfd, 3> fds{{{fd_, POLLIN, 0}, {stopFd, POLLIN, 0}, {call.cancelFd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()) + 1);
    if (fds[1].revents != 0) throw Error(Status::Unavailable, "the simulated engine is stopping", "STOPPING");
  }
}

std::unique_ptr<EventBroadcaster::Stream> EventBroadcaster::listen(LabelFilter filter, std::uint64_t serial) {
  std::unique_ptr<Stream> stream(new Stream(*this, std::move(filter), serial));
  const std::lock_guard lock(mutex_);
  streams_.push_back(stream.get());
  return stream;
}

void EventBroadcaster::publish(SimulatedEvent event, const Container &container) {
  const std::lock_guard lock(mutex_);
  event.sequence = ++sequence_;
  for (Stream *stream : streams_) {
    if (stream->serial_ != 0 && stream->serial_ != container.serial) continue;
    if (stream->filter_.matches(container.labels)) stream->push(event);
  }
}

std::size_t EventBroadcaster::interrupt() {
  const std::lock_guard lock(mutex_);
  for (Stream *stream : streams_)
    stream->end("the engine ended its stream of events; it may be restarting");
  return streams_.size();
}

std::uint64_t EventBroadcaster::lastSequence() const {
  const std::lock_guard lock(mutex_);
  return sequence_;
}

std::size_t EventBroadcaster::listeners() const {
  const std::lock_guard lock(mutex_);
  return streams_.size();
}

} // namespace matrixos::simulated
