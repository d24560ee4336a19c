#pragma once

#include <matrixos/file_descriptor.hpp>

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// How a process ended.
struct Ending {
  int code = 0;
  int signal = 0; ///< 0: it ended by itself, with `code`
  /// "died with SIGSEGV", "ended with exit code 1".
  std::string toString() const;
};

/// A program of ours that was started and is waited for by its own descriptor (pidfd_open(2)), so that nobody else's
/// children are touched. Killed and waited for with the object.
class ChildProcess {
public:
  /// Starts `program` in a session of its own, with no signal blocked, standard input empty, standard output and error
  /// ours, the descriptors `pass` as 3, 4, … and nothing else of ours: of the environment only what names places and
  /// languages. Throws Error when it cannot be started.
  static ChildProcess spawn(const std::filesystem::path &program, const std::vector<std::string> &arguments,
                            const std::vector<int> &pass);
  ChildProcess(ChildProcess &&other) noexcept;
  ChildProcess &operator=(ChildProcess &&) = delete;
  ~ChildProcess();

  pid_t pid() const noexcept { return pid_; }
  /// Readable once it has ended.
  int fd() const noexcept { return fd_.get(); }
  void kill() const noexcept;
  /// How it ended; nothing while it runs. Never blocks.
  std::optional<Ending> ended();
  /// Waits at most `limit`.
  std::optional<Ending> wait(std::chrono::milliseconds limit);

private:
  ChildProcess(pid_t pid, FileDescriptor fd) : pid_(pid), fd_(std::move(fd)) {}

  pid_t pid_;
  FileDescriptor fd_;
  std::optional<Ending> ending_;
};

} // namespace matrixos::isolation
