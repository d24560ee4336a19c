/// matrixos/file_descriptor.hpp: an owned file descriptor, and writing to one.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string_view>
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

/// Writes all of the bytes to a descriptor that blocks. 0, or what stopped it: ENOSPC where a write took nothing.
inline int writeAll(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

} // namespace v1
} // namespace matrixos
