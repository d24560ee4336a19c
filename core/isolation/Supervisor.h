#pragma once

#include "isolation/CallTable.h"
#include "isolation/ChildProcess.h"
#include "isolation/HostRequests.h"

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace matrixos::isolation {

/// How an isolated plugin is run.
struct ProcessSettings {
  std::string id;
  std::filesystem::path program; ///< matrixos-plugin-host
  std::filesystem::path file;    ///< the plugin's shared object
  std::uint16_t slots = 0;       ///< of the descriptor's provides
  std::chrono::milliseconds startTimeout{25'000};
  std::chrono::milliseconds stopTimeout{25'000};
  std::chrono::milliseconds firstBackoff{100};
  std::chrono::milliseconds mostBackoff{30'000};
  /// A process that ran this long is in order: the next death counts as the first.
  std::chrono::milliseconds healthy{60'000};
  /// It may not leave what it is sent unread for longer.
  std::chrono::milliseconds stall{10'000};
  CallTable::Limits limits;
};

/// Keeps a plugin's process alive: starts it, passes calls and what the plugin asks of its host, and starts it again,
/// ever more slowly, when it dies, hangs, does not read or talks nonsense. One thread of its own does all that; it is
/// also the thread that the kernel ties the process to (PR_SET_PDEATHSIG), so it outlives each of them.
class Supervisor : public std::enable_shared_from_this<Supervisor> {
public:
  /// `provided`: told that the plugin provides one of its services, with its minor; on the supervisor's thread.
  Supervisor(ProcessSettings settings, const mos_host_v1 *host,
             std::function<void(std::uint16_t, std::uint32_t)> provided);

  /// Starts the first process and waits until the plugin runs in it. Throws Error with the plugin's own failure, or
  /// with what became of the process.
  void start();
  /// Lets the plugin stop, and ends its process. Throws Error when it did not stop well; the process is gone anyway.
  void stop();

  CallTable &calls() noexcept { return calls_; }

private:
  using Clock = std::chrono::steady_clock;

  /// One process, from its start to its end.
  struct Run {
    std::shared_ptr<FrameChannel> channel;
    std::unique_ptr<ChildProcess> process;
    FileDescriptor crashNote;
    bool greeted = false;
    bool up = false;
    bool open = true; ///< the connection has not ended
    std::string phase = "loading";
    std::string killed; ///< why we ended it
    Clock::time_point startBy, dieBy = Clock::time_point::max();
    Clock::time_point upSince;
    std::uint32_t logLevel = 0;
  };

  void work();
  /// poll(2), during which the thread does not use the host.
  void wait(pollfd *entries, std::size_t count, std::chrono::milliseconds timeout);
  /// Gives what became of it, as in "died with SIGSEGV in start()".
  std::string runOnce(bool &wasHealthy);
  void launch(Run &run);
  void turn(Run &run);
  /// False when there is nothing to read at the moment, or ever again.
  bool receive(Run &run);
  void onFrame(Run &run, FrameType type, std::string_view payload);
  void onStarted(Run &run, const ResultFrame &frame);
  void check(Run &run);
  void kill(Run &run, const std::string &why);
  std::string obituary(Run &run);
  /// Waits before the next process; false when the plugin stops.
  bool pauseBefore(int restart, const std::string &why);
  void nudge() const noexcept;
  bool ending() const;

  const ProcessSettings settings_;
  HostRequests requests_;
  CallTable calls_;
  const std::function<void(std::uint16_t, std::uint32_t)> provided_;
  const FileDescriptor wake_;
  /// Held, so that every process gets the same code, whatever becomes of the file's name.
  FileDescriptor file_;

  std::mutex host_;    ///< held by the thread except in wait(); whoever holds it can take the host away
  bool alone_ = false; ///< the host has gone, nobody waits for the thread any more; under host_

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false; ///< the first start has an outcome
  bool up_ = false;
  bool ending_ = false;            ///< no further process; the present one is to end
  bool gone_ = true;               ///< the thread has ended
  std::unique_ptr<Error> failure_; ///< of the first start
};

} // namespace matrixos::isolation
