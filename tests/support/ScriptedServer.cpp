#include "support/ScriptedServer.h"

#include <sys/socket.h>

#include <array>

namespace matrixos::test {

void Peer::answer(const std::string &status, const std::string &type, const std::string &body) const {
  say("HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body);
}

std::string Peer::readRequest() const {
  std::string request;
  std::size_t need = std::string::npos;
  std::array<char, 4096> bytes{};
  while (request.size() < need) {
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (got <= 0) break;
    request.append(bytes.data(), static_cast<std::size_t>(got));
    const std::size_t end = request.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::size_t at = request.find("Content-Length: ");
    need = end + 4 + (at < end ? std::stoul(request.substr(at + 16)) : 0);
  }
  return request;
}

void Peer::finish() const {
  ::shutdown(fd_, SHUT_RDWR);
}

void Peer::hang() const {
  std::array<char, 4096> bytes{};
  while (::recv(fd_, bytes.data(), bytes.size(), 0) > 0) {
  }
}

ScriptedServer::ScriptedServer(Script script, std::uint16_t port, const std::string &address)
    : script_(std::move(script)), port_(std::in_place, port, address) {}

ScriptedServer::ScriptedServer(Script script, const std::filesystem::path &path)
    : script_(std::move(script)), unix_(listenAt(path)) {
  start();
}

void ScriptedServer::listen(int backlog) {
  port_->listen(backlog);
  start();
}

void ScriptedServer::start() {
  acceptor_ = std::thread([this] {
    for (;;) {
      FileDescriptor fd(::accept4(listener(), nullptr, nullptr, SOCK_CLOEXEC));
      const std::lock_guard lock(mutex_);
      if (!fd || stopping_) return;
      serve(std::move(fd));
    }
  });
}

void ScriptedServer::serve(FileDescriptor fd) {
  // Threads that have ended keep memory until they are joined.
  for (const auto &ended : ended_) {
    ended->join();
    threads_.erase(ended);
  }
  ended_.clear();
  open_.insert(fd.get());
  const auto self = threads_.emplace(threads_.end());
  *self = std::thread([this, self, number = ++connections_, connection = std::move(fd)]() mutable {
    script_(Peer(connection.get(), number, stopping_));
    const std::lock_guard lock(mutex_);
    open_.erase(connection.get());
    ended_.push_back(self);
    connection.reset();
  });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const int fd : open_)
      ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listener(), SHUT_RDWR);
  if (acceptor_.joinable()) acceptor_.join();
  for (std::thread &thread : threads_)
    thread.join();
}

} // namespace matrixos::test
