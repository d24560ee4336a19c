#pragma once

#include <matrixos/file_descriptor.hpp>

namespace matrixos::daemon {

/// `--daemon`: the daemon in a session of its own, in the folder /, without a terminal. The process that was started
/// waits until the daemon serves, or has failed, and ends with what became of it; until then both write to the same
/// standard error.
class Background {
public:
  /// Returns in the new process alone. Signals that would end the one that waits go to the new one. To be called while
  /// there is one thread, with SignalThread's signals blocked. Throws Error when the system refuses.
  static Background enter();

  /// The daemon serves: the process that waits ends with 0, and standard output and error with it.
  void ready() noexcept;

private:
  explicit Background(FileDescriptor word) : word_(std::move(word)) {}

  FileDescriptor word_; ///< the end of a pipe; closed without a word when this process ends
};

} // namespace matrixos::daemon
