#include "http/Listener.h"

#include "http/Connection.h"

#include <matrixos/status.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace matrixos::api {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kBacklog = 512;
constexpr mode_t kAdminMode = 0600;
constexpr mode_t kApiMode = 0660;

Error systemError(const std::string &what, int code) {
  const Status status = code == EADDRINUSE ? Status::AlreadyExists : Status::Unavailable;
  return Error(status, what + ": " + std::strerror(code), "LISTEN");
}

sockaddr_un unixAddress(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    throw Error(Status::InvalidArgument,
                "the socket path \"" + path + "\" has to have 1 to " + std::to_string(sizeof(address.sun_path) - 1) +
                    " bytes; choose a shorter data directory",
                "LISTEN");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool somebodyListens(const sockaddr_un &address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return true;
  const int result = ::connect(probe, reinterpret_cast<const sockaddr *>(&address), sizeof(address));
  const int code = result == 0 ? 0 : errno;
  ::close(probe);
  // Only a refusal proves that the socket is orphaned; a full backlog (EAGAIN) or missing rights prove the contrary.
  return code != ECONNREFUSED;
}

/// Makes room for a new socket file, or throws.
void removeStale(const sockaddr_un &address, const std::string &path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) {
    throw Error(Status::FailedPrecondition, path + " exists and is no socket; remove it or choose another path",
                "LISTEN");
  }
  if (somebodyListens(address)) {
    throw Error(Status::AlreadyExists, "another process listens on " + path, "LISTEN");
  }
  ::unlink(path.c_str());
}

struct HostPort {
  std::string host;
  std::string port;
};

HostPort splitAddress(const std::string &address) {
  const std::size_t colon = address.rfind(':');
  HostPort parts;
  if (colon != std::string::npos) {
    parts.host = address.substr(0, colon);
    parts.port = address.substr(colon + 1);
  }
  if (parts.host.size() > 2 && parts.host.front() == '[' && parts.host.back() == ']') {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  const bool digits = !parts.port.empty() && parts.port.find_first_not_of("0123456789") == std::string::npos;
  if (parts.host.empty() || !digits || parts.port.size() > 5 || std::stoul(parts.port) > 65535) {
    throw Error(Status::InvalidArgument,
                "\"" + address + "\" is no listen address; write unix:/path or host:port, e.g. 127.0.0.1:9001",
                "LISTEN");
  }
  return parts;
}

std::uint16_t boundPort(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr *>(&storage), &length) != 0) return 0;
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6 *>(&storage)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in *>(&storage)->sin_port);
}

} // namespace

Listener::Listener(const std::string &address, auth::ApiSocket door) : door_(door), address_(address) {
  try {
    if (address.compare(0, kUnixPrefix.size(), kUnixPrefix) == 0)
      bindUnix(address.substr(kUnixPrefix.size()));
    else
      bindTcp(address);
    if (::listen(fd_, kBacklog) != 0) throw systemError("cannot listen on " + address, errno);
  } catch (...) {
    close();
    throw;
  }
}

Listener::~Listener() {
  close();
}

void Listener::bindUnix(const std::string &path) {
  const sockaddr_un target = unixAddress(path);
  removeStale(target, path);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) throw systemError("cannot make a socket", errno);
  if (::bind(fd_, reinterpret_cast<const sockaddr *>(&target), sizeof(target)) != 0) {
    throw systemError("cannot bind " + path, errno);
  }
  path_ = path;
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
  // Nobody can connect before listen(), so there is no moment at which the umask's mode counts.
  if (::chmod(path.c_str(), door_ == auth::ApiSocket::Admin ? kAdminMode : kApiMode) != 0) {
    throw systemError("cannot set the mode of " + path, errno);
  }
}

void Listener::bindTcp(const std::string &address) {
  const HostPort parts = splitAddress(address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo *found = nullptr;
  if (const int code = ::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found); code != 0) {
    throw Error(Status::InvalidArgument, "cannot resolve \"" + parts.host + "\": " + ::gai_strerror(code), "LISTEN");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo *)> owned(found, ::freeaddrinfo);
  fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) throw systemError("cannot make a socket", errno);
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(fd_, found->ai_addr, found->ai_addrlen) != 0) throw systemError("cannot bind " + address, errno);
  port_ = boundPort(fd_);
  address_ = address.substr(0, address.rfind(':') + 1) + std::to_string(port_);
}

std::unique_ptr<Connection> Listener::accept(int &error) {
  error = 0;
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    error = errno;
    return nullptr;
  }
  if (path_.empty()) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return std::make_unique<Connection>(fd, door_, false, std::nullopt);
  }
  ucred peer{};
  socklen_t length = sizeof(peer);
  std::optional<uid_t> uid;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0) uid = peer.uid;
  return std::make_unique<Connection>(fd, door_, true, uid);
}

void Listener::close() noexcept {
  if (!path_.empty()) {
    struct stat info {};
    if (::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) ::unlink(path_.c_str());
    path_.clear();
  }
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

} // namespace matrixos::api
