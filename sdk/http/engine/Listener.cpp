#include "Listener.h"

#include "Loop.h"

#include <matrixos/status.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace matrixos::http {

namespace {

constexpr int kBacklog = 4096;
constexpr int kMostAccepts = 64; // per turn
constexpr std::int64_t kRestMs = 100;
constexpr std::uint16_t kFirstFreePort = 1024; // without a privilege, ip(7)

std::string pathOf(const Address &address) {
  return address.text().substr(5); // behind "unix:"
}

[[noreturn]] void throwListen(const Address &address, int error) {
  const Status status = error == EADDRINUSE                 ? Status::AlreadyExists
                        : error == EACCES || error == EPERM ? Status::PermissionDenied
                                                            : Status::Unavailable;
  const bool low = status == Status::PermissionDenied && !address.isUnix() && address.port() < kFirstFreePort;
  throw Error(status,
              "cannot listen on " + address.text() + ": " + std::generic_category().message(error) +
                  (low ? "; ports below 1024 take CAP_NET_BIND_SERVICE, or a lower sysctl "
                         "net.ipv4.ip_unprivileged_port_start"
                       : ""),
              "LISTEN");
}

/// A socket file that nobody listens on is left over from a process that ended badly.
void removeStale(const Address &address) {
  const std::string path = pathOf(address);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) {
    throw Error(Status::FailedPrecondition, path + " exists and is no socket; remove it or choose another path",
                "LISTEN");
  }
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return;
  // Only this answer says that nobody is there; one whose backlog is full (EAGAIN) is alive.
  const bool dead = ::connect(probe, address.data(), address.size()) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  if (dead) ::unlink(path.c_str());
}

Address boundOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr *>(&bound), &size);
  return Address::fromSystem(reinterpret_cast<sockaddr *>(&bound), size);
}

} // namespace

Listener::Listener(Acceptor &acceptor, Loop &loop, const Address &asked, const Manner &manner,
                   const std::vector<int> &inherited)
    : acceptor_(acceptor), loop_(loop), asked_(asked), manner_(manner) {
  if (share(inherited)) return;
  if (asked_.isUnix()) removeStale(asked_);
  fd_ = ::socket(asked_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) throwListen(asked_, errno);
  try {
    bindAndListen();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

bool Listener::share(const std::vector<int> &inherited) {
  const auto matching = std::find_if(inherited.begin(), inherited.end(), [&](int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) return false;
    bound_ = boundOf(fd);
    return bound_ == asked_;
  });
  if (matching == inherited.end()) return false;
  fd_ = ::fcntl(*matching, F_DUPFD_CLOEXEC, 0);
  // The flag belongs to all who share the socket; nobody else accepts on it.
  if (fd_ < 0 || ::fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    throwListen(asked_, error);
  }
  return shared_ = true;
}

void Listener::bindAndListen() {
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (asked_.family() == AF_INET6) ::setsockopt(fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd_, asked_.data(), asked_.size()) != 0) throwListen(asked_, errno);
  if (asked_.isUnix()) {
    struct stat info {};
    // Nobody can connect before listen(), so there is no moment at which the umask's mode counts.
    const std::string path = pathOf(asked_);
    if (::chmod(path.c_str(), manner_.unixMode) != 0 || ::lstat(path.c_str(), &info) != 0) throwListen(asked_, errno);
    fileDevice_ = info.st_dev;
    fileNumber_ = info.st_ino;
  }
  if (::listen(fd_, kBacklog) != 0) {
    const int error = errno;
    removeFile();
    throwListen(asked_, error);
  }
  bound_ = boundOf(fd_);
}

Listener::~Listener() {
  close();
}

void Listener::wait() {
  loop_.reactor().add(fd_, EPOLLIN, *this);
  waiting_ = true;
}

void Listener::close() noexcept {
  if (fd_ < 0) return;
  if (std::exchange(waiting_, false)) {
    // What waits in the backlog would be reset.
    for (int turn = 0; !shared_ && turn < kBacklog / kMostAccepts && acceptSome(); ++turn) {
    }
    loop_.reactor().remove(fd_, *this);
    loop_.timers().cancel(*this);
  }
  removeFile();
  ::close(std::exchange(fd_, -1));
}

void Listener::change(const Manner &manner) noexcept {
  manner_ = manner;
  if (ownsFile()) ::chmod(pathOf(asked_).c_str(), manner_.unixMode);
}

bool Listener::ownsFile() const noexcept {
  struct stat info {};
  return fileNumber_ != 0 && ::lstat(pathOf(asked_).c_str(), &info) == 0 && info.st_dev == fileDevice_ &&
         info.st_ino == fileNumber_;
}

void Listener::removeFile() noexcept {
  if (ownsFile()) ::unlink(pathOf(asked_).c_str());
}

void Listener::accept() {
  if (acceptSome()) loop_.reactor().again(*this);
}

bool Listener::acceptSome() noexcept {
  for (int i = 0; i < kMostAccepts; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr *>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      acceptor_.accepted(fd, Address::fromSystem(reinterpret_cast<sockaddr *>(&peer), size), *this);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    // Out of descriptors or memory: the connection waits in the backlog. Trying at once again would spin.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      acceptor_.acceptFailed(errno);
      loop_.timers().set(*this, loop_.nowMs() + kRestMs);
      return false;
    }
  }
  return true;
}

} // namespace matrixos::http
