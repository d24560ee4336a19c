#pragma once

#include <matrixos/file_descriptor.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace matrixos::test {

/// A TCP socket on 127.0.0.1, or on another address of the loopback. Until listen() its port is taken, but whoever
/// connects is refused.
class LoopbackPort {
public:
  /// 0: any free port. Throws std::system_error when another one is taken.
  explicit LoopbackPort(std::uint16_t port = 0, const std::string &address = "127.0.0.1");

  void listen(int backlog = 1024) const;
  std::uint16_t port() const noexcept { return port_; }
  int fd() const noexcept { return fd_.get(); }
  /// The next connection; empty once the socket is shut down, and when there is none now on a socket that does not
  /// block.
  FileDescriptor accept() const;
  void setNonBlocking() const;
  /// Gives the port back.
  void close() noexcept { fd_.reset(); }

private:
  FileDescriptor fd_;
  std::uint16_t port_ = 0;
};

/// A bound unix socket that listens. Its file stays when the descriptor is closed, as after a kill -9. Throws
/// std::system_error.
FileDescriptor listenAt(const std::filesystem::path &path);

/// A blocking connection, to an IPv4 address in numbers, 127.0.0.1, or a unix socket. Throws std::system_error.
FileDescriptor connectTo(const std::string &address, std::uint16_t port);
FileDescriptor connectTo(std::uint16_t port);
FileDescriptor connectTo(const std::filesystem::path &path);

/// Begins a connection to 127.0.0.1 that does not block, and does not wait for it.
FileDescriptor beginConnection(std::uint16_t port);

/// Sends all of it, blocking; false when the other side does not take it any more.
bool sendAll(int fd, std::string_view bytes);
/// Closing the socket will reset the connection instead of ending it in good order.
void resetOnClose(int fd);
/// A TCP port that was free a moment ago, from below the range the kernel picks from.
std::uint16_t freePort();

} // namespace matrixos::test
