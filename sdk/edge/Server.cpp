#include "Server.h"

#include "Connection.h"
#include "Reactor.h"

#include <matrixos/status.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace matrixos::edge {

namespace {

constexpr int kBacklog = 4096;
constexpr int kMostAccepts = 64; // per turn
constexpr std::int64_t kRestMs = 100;
constexpr std::string_view kFull = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
                                   "Connection: close\r\n\r\n";

[[noreturn]] void throwListen(const Address &address) {
  const int error = errno;
  throw Error(error == EADDRINUSE ? Status::AlreadyExists : Status::Unavailable,
              "cannot listen on " + address.text() + ": " + std::generic_category().message(error), "LISTEN");
}

/// A socket file that nobody listens on is left over from a process that ended badly.
void removeStale(const Address &address) {
  const std::string path = address.text().substr(5);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return;
  const bool alive = ::connect(probe, address.data(), address.size()) == 0;
  ::close(probe);
  if (!alive) ::unlink(path.c_str());
}

int openListener(const Address &address) {
  if (address.isUnix()) removeStale(address);
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throwListen(address);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.family() == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd, address.data(), address.size()) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error = errno;
    ::close(fd);
    errno = error;
    throwListen(address);
  }
  return fd;
}

} // namespace

/// Accepts on the first loop's thread.
class Server::Listener final : public Pollable, public Timer {
public:
  Listener(Server &server, Loop &loop, int fd, bool encrypted)
      : server_(server), loop_(loop), fd_(fd), encrypted_(encrypted) {}
  ~Listener() { close(); }

  void wait() { loop_.reactor().add(fd_, EPOLLIN, *this); }
  void close() noexcept {
    if (fd_ < 0) return;
    loop_.reactor().remove(fd_, *this);
    loop_.timers().cancel(*this);
    ::close(std::exchange(fd_, -1));
  }
  int fd() const noexcept { return fd_; }

  void onEvents(unsigned) override { accept(); }
  void onTimer() override { accept(); }

private:
  void accept() {
    for (int i = 0; i < kMostAccepts; ++i) {
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int fd = ::accept4(fd_, reinterpret_cast<sockaddr *>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        server_.place(fd, Address::fromSystem(reinterpret_cast<sockaddr *>(&peer), size), encrypted_);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      // Out of descriptors or memory: the connection waits in the backlog. Trying at once again would spin.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return loop_.timers().set(*this, loop_.nowMs() + kRestMs);
      }
    }
    loop_.reactor().again(*this);
  }

  Server &server_;
  Loop &loop_;
  int fd_;
  const bool encrypted_;
};

Server::Server(const ServerOptions &options, SessionFactory &factory) : options_(options), factory_(factory) {
  const std::size_t largest = std::max(options_.request.bytes, options_.response.bytes);
  options_.bufferSize = std::max(options_.bufferSize, largest * 2);
  if (options_.loops == 0) options_.loops = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < options_.loops; ++i)
    loops_.push_back(std::make_shared<Loop>(i, options_));
  for (const std::string &text : options_.listen)
    listen(text, false);
  for (const std::string &text : options_.tlsListen)
    listen(text, true);
}

void Server::listen(const std::string &text, bool encrypted) {
  auto listener = std::make_shared<Listener>(*this, *loops_.front(), openListener(Address::parse(text)), encrypted);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  ::getsockname(listener->fd(), reinterpret_cast<sockaddr *>(&bound), &size);
  addresses_.push_back(Address::fromSystem(reinterpret_cast<sockaddr *>(&bound), size));
  listeners_.push_back(std::move(listener));
}

Server::~Server() {
  stop();
}

void Server::start() {
  started_ = true;
  for (const auto &loop : loops_)
    loop->start();
  loops_.front()->post([this] {
    for (const auto &listener : listeners_)
      listener->wait();
  });
}

void Server::place(int fd, const Address &peer, bool encrypted) {
  const auto fewer = [](const auto &a, const auto &b) { return a->connections().load() < b->connections().load(); };
  const auto &loop = *std::min_element(loops_.begin(), loops_.end(), fewer);
  if (connections() >= options_.maxConnections) {
    // A client that waits for a handshake would not understand it.
    if (!encrypted) [[maybe_unused]]
      const auto sent = ::send(fd, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
    return;
  }
  loop->connections().fetch_add(1);
  loop->post([this, &loop = *loop, fd, peer, encrypted] {
    if (loop.draining()) {
      ::close(fd);
      loop.connections().fetch_sub(1);
      return;
    }
    try {
      auto socket = Socket::adopt(loop, fd, encrypted ? options_.tls.get() : nullptr);
      loop.adopt(std::make_unique<Connection>(loop, std::move(socket), peer, factory_));
    } catch (const std::exception &) {
      loop.connections().fetch_sub(1); // out of memory or descriptors: this client is lost, the others are not
    }
  });
}

std::size_t Server::connections() const noexcept {
  std::size_t sum = 0;
  for (const auto &loop : loops_)
    sum += loop->connections().load();
  return sum;
}

bool Server::drain(std::chrono::milliseconds deadline) {
  if (!started_) return true;
  loops_.front()->post([this] {
    for (const auto &listener : listeners_)
      listener->close();
    // After the listeners, so that every accepted socket reaches its loop before that loop refuses new ones.
    for (const auto &loop : loops_)
      loop->post([&loop = *loop] { loop.drain(); });
  });
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (connections() != 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return connections() == 0;
}

void Server::stop() {
  if (!started_) return;
  started_ = false;
  // The acceptor first: it posts to the other loops.
  std::mutex mutex;
  std::condition_variable done;
  bool closed = false;
  loops_.front()->post([&] {
    for (const auto &listener : listeners_)
      listener->close();
    const std::lock_guard lock(mutex);
    closed = true;
    done.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return closed; });
  }
  for (auto loop = loops_.rbegin(); loop != loops_.rend(); ++loop)
    (*loop)->stop();
  listeners_.clear();
  for (const Address &address : addresses_) {
    if (address.isUnix()) ::unlink(address.text().substr(5).c_str());
  }
}

} // namespace matrixos::edge
