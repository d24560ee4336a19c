/// matrixos/file_descriptor.hpp: an owned file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace matrixos {
inline namespace v1 {

/// Owns a file descriptor and closes it at the end of its life. Not thread-safe, like any plain value.
class FileDescriptor {
public:
  FileDescriptor() = default;
  /// Takes ownership; -1 means none.
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor &&other) noexcept : fd_(other.release()) {}
  FileDescriptor &operator=(FileDescriptor &&other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor up without closing it.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the present descriptor and owns `fd` from now on.
  void reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    // close() is not repeated on EINTR: on Linux the descriptor is gone either way (close(2)).
    if (old >= 0) ::close(old);
  }

private:
  int fd_ = -1;
};

} // namespace v1
} // namespace matrixos
