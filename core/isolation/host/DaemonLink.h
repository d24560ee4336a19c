#pragma once

#include "isolation/FrameChannel.h"
#include "isolation/Frames.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace matrixos::isolation::host {

/// The plugin process's end of the connection: questions that wait for an answer, and what is told without one.
class DaemonLink {
public:
  explicit DaemonLink(FileDescriptor socket);

  /// Reads until the daemon ends the connection, and hands calls, cancellations and credits to `frame`. Throws
  /// Error("PROTOCOL").
  void run(const std::function<void(FrameType, std::string_view payload)> &frame);

  /// Waits while the daemon does not read. False once it has gone. Not from within run().
  bool send(const auto &frame) { return channel_.send(encode(frame)); }
  /// The same with frames that are encoded already.
  bool sendEncoded(std::string_view frames) { return channel_.send(frames); }
  void sendIfRoom(const auto &frame) { channel_.sendIfRoom(encode(frame), kMostPending); }

  /// The daemon's answer to an AskFrame or SeriesFrame, whose id is set here; `read` is given it while its texts are
  /// valid. Throws Error as it says, or Unavailable when there is none.
  template <typename Frame, typename Read>
  void ask(Frame frame, Read &&read) {
    frame.id = ++lastQuestion_;
    askEncoded(frame.id, encode(frame), std::forward<Read>(read));
  }

  /// For frames of others' making; valid as long as this object.
  std::shared_ptr<FrameChannel> channel() { return {std::shared_ptr<void>(), &channel_}; }

  std::uint32_t logLevel() const noexcept { return logLevel_.load(std::memory_order_relaxed); }

  /// Called in run() soon after wakeSoon(), to send what was gathered.
  void onIdle(std::function<void()> gathered) { gathered_ = std::move(gathered); }
  void wakeSoon() noexcept;

private:
  /// Of log lines and samples: more are dropped, or kept for later.
  static constexpr std::size_t kMostPending = 1U << 20U;

  struct Waiting {
    bool answered = false;
    std::string payload;
  };

  void askEncoded(std::uint64_t id, const std::string &bytes, const std::function<void(const AnswerFrame &)> &read);
  void onAnswer(std::string_view payload);
  void hangUp();

  FrameChannel channel_;
  FileDescriptor soon_;
  std::function<void()> gathered_;
  std::atomic<std::uint32_t> logLevel_{MOS_OK};
  std::atomic<std::uint64_t> lastQuestion_{0};
  std::mutex mutex_;
  std::condition_variable answered_;
  std::map<std::uint64_t, Waiting> waiting_;
  bool gone_ = false;
};

} // namespace matrixos::isolation::host
