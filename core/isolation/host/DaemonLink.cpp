#include "isolation/host/DaemonLink.h"

#include "common/SystemError.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

namespace matrixos::isolation::host {

namespace {

constexpr std::size_t kMostQueued = 4U << 20U;
/// Samples are gathered for this long.
constexpr int kGatherMs = 100;

} // namespace

DaemonLink::DaemonLink(FileDescriptor socket)
    : channel_(std::move(socket), FrameChannel::WhenFull::Wait, kMostQueued),
      soon_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!soon_) common::throwErrno(errno, "making an eventfd");
}

void DaemonLink::wakeSoon() noexcept {
  ::eventfd_write(soon_.get(), 1);
}

void DaemonLink::run(const std::function<void(FrameType, std::string_view payload)> &frame) {
  const auto onFrame = [&](FrameType type, std::string_view payload) {
    if (type == FrameType::Answer) return onAnswer(payload);
    if (type == FrameType::LogLevel) return logLevel_.store(decode<LogLevelFrame>(payload).level);
    frame(type, payload);
  };
  bool gathering = false;
  for (;;) {
    std::array<pollfd, 3> entries{pollfd{channel_.fd(), channel_.events(), 0}, pollfd{channel_.wakeFd(), POLLIN, 0},
                                  pollfd{gathering ? -1 : soon_.get(), POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), gathering ? kGatherMs : -1);
    if (ready == 0 && gathering) {
      gathering = false;
      std::uint64_t ignored = 0;
      ::eventfd_read(soon_.get(), &ignored);
      if (gathered_) gathered_();
    }
    if (entries[2].revents != 0) gathering = true;
    if ((entries[0].revents & POLLOUT) != 0 || entries[1].revents != 0) {
      if (!channel_.flush()) break;
    }
    if ((entries[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
        channel_.receive(onFrame) == FrameChannel::Received::End) {
      break;
    }
  }
  hangUp();
}

void DaemonLink::hangUp() {
  channel_.close();
  const std::lock_guard lock(mutex_);
  gone_ = true;
  answered_.notify_all();
}

void DaemonLink::askEncoded(std::uint64_t id, const std::string &bytes,
                            const std::function<void(const AnswerFrame &)> &read) {
  {
    const std::lock_guard lock(mutex_);
    waiting_[id];
  }
  const bool sent = channel_.send(bytes);
  std::unique_lock lock(mutex_);
  answered_.wait(lock, [&] { return !sent || gone_ || waiting_[id].answered; });
  const Waiting waiting = std::move(waiting_[id]);
  waiting_.erase(id);
  lock.unlock();
  if (!waiting.answered) throw Error(Status::Unavailable, "the daemon has gone", "STOPPED");
  const auto answer = decode<AnswerFrame>(waiting.payload);
  mos_error error{};
  const mos_status status = answer.failure.give(&error);
  if (status != MOS_OK) throw toError(status, error);
  read(answer);
}

void DaemonLink::onAnswer(std::string_view payload) {
  FrameReader reader(payload);
  std::uint64_t id = 0;
  reader(id);
  const std::lock_guard lock(mutex_);
  const auto at = waiting_.find(id);
  if (at == waiting_.end()) return;
  at->second.payload = payload;
  at->second.answered = true;
  answered_.notify_all();
}

} // namespace matrixos::isolation::host
