#pragma once

#include "support/Sockets.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::test {

/// An answer; names of fields in lower case, repeated ones joined with ", ".
struct Response {
  int status = 0; ///< 0: no complete answer came
  std::map<std::string, std::string> headers;
  std::string body;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A blocking connection that sends exactly what it is told. Throws std::runtime_error when it cannot connect. Every
/// read ends at a deadline.
class RawConnection {
public:
  explicit RawConnection(FileDescriptor fd) : fd_(std::move(fd)) {}
  explicit RawConnection(std::uint16_t port) : RawConnection(connectTo(port)) {}
  explicit RawConnection(const std::filesystem::path &socket) : RawConnection(connectTo(socket)) {}

  void send(const std::string &bytes);
  void shutdownWrite();
  /// What comes until `count` bytes are there, the peer closes, or `limit` passes.
  std::string receive(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds{30});
  /// One response, framed by Content-Length, chunks or the end of the connection.
  Response receiveResponse(bool toHead = false, std::chrono::milliseconds limit = std::chrono::seconds{120});
  int fd() const noexcept { return fd_.get(); }

private:
  bool fill(std::chrono::steady_clock::time_point end);
  std::string takeLine(std::chrono::steady_clock::time_point end);
  std::string takeBytes(std::size_t count, std::chrono::steady_clock::time_point end);

  FileDescriptor fd_;
  std::string buffer_;
  bool closed_ = false;
};

/// The bytes of a request after whose answer the connection closes. `target` stands there as it is.
std::string requestText(const std::string &method, const std::string &target, const Headers &headers = {},
                        const std::string &body = {});
/// One request on a connection of its own. `target` is sent as it stands.
Response request(std::uint16_t port, const std::string &method, const std::string &target, const Headers &headers = {},
                 const std::string &body = {});
Response request(const std::filesystem::path &socket, const std::string &method, const std::string &target,
                 const Headers &headers = {}, const std::string &body = {});

/// Upgrades on the connection and sends `text` as one masked frame; gives the echoed text, or "" with the answer's
/// status in `status` (101 when the upgrade went well).
std::string webSocketEcho(std::uint16_t port, const std::string &host, const std::string &path, const std::string &text,
                          int &status);

} // namespace matrixos::test
