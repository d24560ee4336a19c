#include "support/Sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

namespace matrixos::test {

namespace {

[[noreturn]] void fail(const std::string &what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in ipAddress(const std::string &text, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) throw std::invalid_argument("no address: " + text);
  return address;
}

sockaddr_un unixAddress(const std::filesystem::path &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) throw std::length_error("too long for a unix socket: " + text);
  text.copy(address.sun_path, text.size());
  return address;
}

FileDescriptor streamSocket(int family) {
  FileDescriptor fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) fail("socket");
  return fd;
}

template <typename Address>
const sockaddr *generic(const Address &address) {
  return reinterpret_cast<const sockaddr *>(&address);
}

template <typename Address>
FileDescriptor connected(int family, const Address &address) {
  FileDescriptor fd = streamSocket(family);
  if (::connect(fd.get(), generic(address), sizeof address) != 0) fail("connect");
  return fd;
}

} // namespace

LoopbackPort::LoopbackPort(std::uint16_t port, const std::string &address) : fd_(streamSocket(AF_INET)) {
  const int on = 1; // connections of an earlier test may still linger on a port that is asked for
  if (port != 0) ::setsockopt(fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in bound = ipAddress(address, port);
  socklen_t size = sizeof bound;
  if (::bind(fd(), generic(bound), size) != 0) fail("bind");
  if (::getsockname(fd(), reinterpret_cast<sockaddr *>(&bound), &size) != 0) fail("getsockname");
  port_ = ntohs(bound.sin_port);
}

void LoopbackPort::listen(int backlog) const {
  if (::listen(fd(), backlog) != 0) fail("listen");
}

FileDescriptor LoopbackPort::accept() const {
  return FileDescriptor(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC));
}

void LoopbackPort::setNonBlocking() const {
  if (::fcntl(fd(), F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
}

FileDescriptor listenAt(const std::filesystem::path &path) {
  FileDescriptor fd = streamSocket(AF_UNIX);
  const sockaddr_un address = unixAddress(path);
  if (::bind(fd.get(), generic(address), sizeof address) != 0) fail("bind");
  if (::listen(fd.get(), 1024) != 0) fail("listen");
  return fd;
}

FileDescriptor connectTo(const std::string &address, std::uint16_t port) {
  return connected(AF_INET, ipAddress(address, port));
}

FileDescriptor connectTo(std::uint16_t port) {
  return connectTo("127.0.0.1", port);
}

FileDescriptor connectTo(const std::filesystem::path &path) {
  return connected(AF_UNIX, unixAddress(path));
}

FileDescriptor beginConnection(std::uint16_t port) {
  FileDescriptor fd = streamSocket(AF_INET);
  const sockaddr_in address = ipAddress("127.0.0.1", port);
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
  if (::connect(fd.get(), generic(address), sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
  return fd;
}

bool sendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

void resetOnClose(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

std::uint16_t freePort() {
  static std::mt19937 random{std::random_device{}()};
  std::uniform_int_distribution<int> range{12000, 31000};
  for (;;) {
    const auto port = static_cast<std::uint16_t>(range(random));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    const bool free = ::bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
    ::close(fd);
    if (free) return port;
  }
}

} // namespace matrixos::test
