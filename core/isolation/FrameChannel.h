#pragma once

#include "isolation/FrameCodec.h"

#include <matrixos/file_descriptor.hpp>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>

namespace matrixos::isolation {

/// Frames over one end of a socket pair. Any thread sends; one thread, which polls fd() and wakeFd(), receives and
/// sends the rest of what the socket did not take at once.
///
/// The socket is a stream: a message socket (SOCK_SEQPACKET) would bound a frame by the socket's buffer, so that long
/// specs and answers had to be cut and joined anyway, and many small frames could not be read at once.
class FrameChannel {
public:
  enum class WhenFull {
    Fail, ///< the daemon: never waits for the other side
    Wait, ///< the plugin's process: whoever sends waits
  };

  /// `mostQueued`: bytes that wait for the other side to read.
  FrameChannel(FileDescriptor socket, WhenFull whenFull, std::size_t mostQueued);

  /// Sends a whole frame, see encode(). False when the other side has gone or does not read. Any thread.
  bool send(std::string_view frame);
  /// The same, but first waits until less than `mostQueued` bytes wait, at most `patience`. Any thread but the one that
  /// receives.
  bool sendPatiently(std::string_view frame, std::size_t mostQueued, std::chrono::milliseconds patience);
  /// The same, but drops the frame instead of waiting or failing when `mostQueued` bytes wait already.
  bool sendIfRoom(std::string_view frame, std::size_t mostQueued);

  int fd() const noexcept { return socket_.get(); }
  /// Readable when writing() may have changed.
  int wakeFd() const noexcept { return wake_.get(); }
  /// Events to poll fd() for.
  short events() const;
  /// After poll(): clears wakeFd() and writes what waits. False when the connection is broken.
  bool flush();
  enum class Received { Some, Nothing, End };
  /// Reads once, without waiting, and hands every complete frame to `frame`. Throws Error(InvalidArgument, "PROTOCOL")
  /// for bytes that are no frame, and what `frame` throws.
  Received receive(const std::function<void(FrameType, std::string_view payload)> &frame);

  /// Ends it in both directions; waiting senders return.
  void close() noexcept;
  /// Something waits to be written and nothing was taken for `limit`.
  bool stalled(std::chrono::nanoseconds limit) const;

private:
  bool sendLocked(std::unique_lock<std::mutex> &lock, std::string_view frame);
  /// Sends what the socket takes; what is left joins the queue. Under mutex_.
  bool sendNow(std::string_view bytes);

  FileDescriptor socket_;
  FileDescriptor wake_;
  const WhenFull whenFull_;
  const std::size_t mostQueued_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::string queue_;    ///< what the socket did not take
  std::size_t sent_ = 0; ///< of queue_
  bool broken_ = false;
  std::chrono::steady_clock::time_point progress_;
  // Of the receiving thread.
  std::string in_;
  std::size_t taken_ = 0; ///< of in_
};

} // namespace matrixos::isolation
