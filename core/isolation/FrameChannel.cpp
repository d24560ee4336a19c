#include "isolation/FrameChannel.h"

#include "common/SystemError.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kReadSize = 64U * 1024U;

} // namespace

FrameChannel::FrameChannel(FileDescriptor socket, WhenFull whenFull, std::size_t mostQueued)
    : socket_(std::move(socket)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), whenFull_(whenFull),
      mostQueued_(mostQueued), progress_(std::chrono::steady_clock::now()) {
  if (!wake_) common::throwErrno(errno, "making an eventfd for a plugin's process");
}

bool FrameChannel::sendNow(std::string_view bytes) {
  const bool wasEmpty = queue_.empty();
  while (wasEmpty && !bytes.empty()) {
    const ssize_t put = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno != EAGAIN) {
      broken_ = true;
      return false;
    }
    if (put < 0) break;
    progress_ = std::chrono::steady_clock::now();
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  if (bytes.empty()) return true;
  if (wasEmpty) progress_ = std::chrono::steady_clock::now();
  queue_.append(bytes);
  ::eventfd_write(wake_.get(), 1);
  return true;
}

bool FrameChannel::send(std::string_view frame) {
  std::unique_lock lock(mutex_);
  return sendLocked(lock, frame);
}

bool FrameChannel::sendLocked(std::unique_lock<std::mutex> &lock, std::string_view frame) {
  const auto full = [&] { return !broken_ && !queue_.empty() && queue_.size() - sent_ + frame.size() > mostQueued_; };
  if (full() && whenFull_ == WhenFull::Wait) room_.wait(lock, [&] { return !full(); });
  if (full()) { // whoever loses one frame has lost the stream
    broken_ = true;
    ::eventfd_write(wake_.get(), 1);
  }
  return !broken_ && sendNow(frame);
}

bool FrameChannel::sendPatiently(std::string_view frame, std::size_t mostQueued, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  room_.wait_for(lock, patience, [&] { return broken_ || queue_.size() - sent_ < mostQueued; });
  return sendLocked(lock, frame); // under the same lock: all who waited would find the same room
}

bool FrameChannel::sendIfRoom(std::string_view frame, std::size_t mostQueued) {
  const std::lock_guard lock(mutex_);
  if (broken_ || queue_.size() - sent_ + frame.size() > mostQueued) return false;
  return sendNow(frame);
}

short FrameChannel::events() const {
  const std::lock_guard lock(mutex_);
  return static_cast<short>(queue_.empty() ? POLLIN : POLLIN | POLLOUT);
}

bool FrameChannel::flush() {
  std::uint64_t ignored = 0;
  ::eventfd_read(wake_.get(), &ignored);
  const std::lock_guard lock(mutex_);
  while (!broken_ && sent_ < queue_.size()) {
    const ssize_t put =
        ::send(socket_.get(), queue_.data() + sent_, queue_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {
      broken_ = true;
      break;
    }
    sent_ += static_cast<std::size_t>(put);
    progress_ = std::chrono::steady_clock::now();
  }
  if (sent_ == queue_.size()) {
    queue_.clear();
    sent_ = 0;
  } else if (sent_ > queue_.size() / 2) {
    queue_.erase(0, sent_);
    sent_ = 0;
  }
  room_.notify_all();
  return !broken_;
}

FrameChannel::Received FrameChannel::receive(const std::function<void(FrameType, std::string_view payload)> &frame) {
  const std::size_t before = in_.size();
  in_.resize(before + kReadSize);
  const ssize_t got = ::recv(socket_.get(), in_.data() + before, kReadSize, MSG_DONTWAIT);
  in_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Received::Nothing;
  if (got <= 0) return Received::End;
  for (;;) {
    const std::string_view rest = std::string_view(in_).substr(taken_);
    if (rest.size() < kHeaderSize) break;
    const FrameHeader header = FrameHeader::read(rest);
    if (rest.size() - kHeaderSize < header.length) break;
    taken_ += kHeaderSize + header.length;
    frame(header.type, rest.substr(kHeaderSize, header.length));
  }
  in_.erase(0, taken_);
  taken_ = 0;
  if (in_.empty() && in_.capacity() > 16 * kReadSize) in_.shrink_to_fit();
  return Received::Some;
}

void FrameChannel::close() noexcept {
  const std::lock_guard lock(mutex_);
  broken_ = true;
  ::shutdown(socket_.get(), SHUT_RDWR);
  room_.notify_all();
}

bool FrameChannel::stalled(std::chrono::nanoseconds limit) const {
  const std::lock_guard lock(mutex_);
  return !queue_.empty() && std::chrono::steady_clock::now() - progress_ > limit;
}

} // namespace matrixos::isolation
