#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// Another process of this program, connected by a socket that carries lines both ways. Killed with the object, and
/// with this process, whatever ends it.
class Child {
public:
  /// Throws std::runtime_error.
  explicit Child(const std::vector<std::string> &arguments);
  ~Child();
  Child(const Child &) = delete;
  Child &operator=(const Child &) = delete;

  /// False when nobody reads any more.
  bool send(const std::string &line);
  /// The next line; nothing at the end of the connection or after `limit`, see ended().
  std::optional<std::string> receive(std::chrono::milliseconds limit);
  /// The connection has ended.
  bool ended() const noexcept { return ended_; }
  void signal(int number) const;
  /// Waits for its end, kills it after `limit`. "exit status 1", "signal 11 (Segmentation fault)".
  std::string wait(std::chrono::milliseconds limit);
  /// After wait(): it ended with exit status 0.
  bool clean() const noexcept { return status_ == 0; }

  /// In the child: its end of the socket.
  static constexpr int kSocket = 3;

private:
  pid_t pid_ = -1;
  int fd_ = -1;
  int status_ = -1;
  std::string buffer_;
  bool ended_ = false;
};

/// In the child: the same conversation from the other side.
bool sendLine(int fd, const std::string &line);
std::optional<std::string> receiveLine(int fd, std::string &buffer);

} // namespace matrixos::conformance
