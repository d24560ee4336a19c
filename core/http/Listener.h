#pragma once

#include "auth/Authenticator.h"

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

namespace matrixos::api {

class Connection;

/// A listening socket: `unix:<path>` or `host:port` (IPv6 hosts in brackets, port 0 for any free one).
///
/// A unix socket is created with its final mode (admin 0600, api 0660) before anybody can connect. A socket file that
/// is in the way is removed only if nobody listens on it; another kind of file never is. close() removes the file
/// again, unless another process has put its own in its place.
class Listener {
public:
  /// Binds and listens. Throws Error: InvalidArgument for a malformed address or a path longer than a socket address
  /// can hold (107 bytes), AlreadyExists when somebody listens there, FailedPrecondition when a foreign file is in
  /// the way, Unavailable for what else the kernel says.
  Listener(const std::string &address, auth::ApiSocket door);
  ~Listener();
  Listener(const Listener &) = delete;
  Listener &operator=(const Listener &) = delete;

  int fd() const { return fd_; }
  auth::ApiSocket door() const { return door_; }
  /// The address with the port that was bound, e.g. "127.0.0.1:40001".
  const std::string &address() const { return address_; }
  /// 0 for a unix socket.
  std::uint16_t port() const { return port_; }

  /// The next connection, or null when there is none right now. `error` gets the errno of a failure, else 0.
  std::unique_ptr<Connection> accept(int &error);

  /// Stops listening and removes the socket file. Called by the owner's thread only.
  void close() noexcept;

private:
  void bindUnix(const std::string &path);
  void bindTcp(const std::string &address);

  int fd_ = -1;
  auth::ApiSocket door_;
  std::string address_;
  std::uint16_t port_ = 0;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

} // namespace matrixos::api
