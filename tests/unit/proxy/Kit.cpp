#include "Kit.h"

#include <matrixos/address.hpp>

#include <arpa/inet.h>
#include <http/codec/Grammar.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace kit {

Conn Conn::to(std::uint16_t port) {
  return Conn(matrixos::test::connectTo(port).release());
}

bool Conn::send(std::string_view text) {
  return matrixos::test::sendAll(fd_, text);
}

bool Conn::more() {
  pollfd waiter{fd_, POLLIN, 0};
  if (::poll(&waiter, 1, 10'000) <= 0) return false;
  char block[65536];
  const ssize_t got = ::recv(fd_, block, sizeof block, 0);
  if (got <= 0) return false;
  rest_.append(block, static_cast<std::size_t>(got));
  return true;
}

std::string Conn::readHead() {
  for (;;) {
    const std::size_t end = rest_.find("\r\n\r\n");
    if (end != std::string::npos) {
      std::string head = rest_.substr(0, end + 4);
      rest_.erase(0, end + 4);
      return head;
    }
    if (!more()) return {};
  }
}

std::string Conn::readExactly(std::size_t size) {
  while (rest_.size() < size && more()) {
  }
  std::string out = rest_.substr(0, size);
  rest_.erase(0, out.size());
  return out;
}

std::string Conn::readAll(bool *reset) {
  errno = 0;
  while (more())
    errno = 0;
  if (reset != nullptr) *reset = errno == ECONNRESET;
  return std::exchange(rest_, {});
}

bool Conn::ends() {
  char byte = 0;
  return readAll().empty() && ::recv(fd_, &byte, 1, MSG_DONTWAIT) == 0;
}

std::string fieldOf(const std::string &head, const std::string &name) {
  std::string out;
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos) {
    const std::size_t end = head.find("\r\n", at + 2);
    if (end == std::string::npos) break;
    const std::string line = head.substr(at + 2, end - at - 2);
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && matrixos::http::sameText(line.substr(0, colon), name)) {
      if (!out.empty()) out += "|";
      out += std::string(matrixos::http::trim(std::string_view(line).substr(colon + 1)));
    }
    at = end;
  }
  return out;
}

std::string Conn::Response::field(const std::string &name) const {
  return fieldOf(head, name);
}

Conn::Response Conn::readResponse(bool toHead) {
  Response out;
  out.head = readHead();
  if (out.head.size() < 12) return out;
  out.status = std::stoi(out.head.substr(9, 3));
  if (toHead || out.status < 200 || out.status == 204 || out.status == 304) return out;
  if (out.field("Transfer-Encoding") == "chunked") {
    for (;;) {
      std::string line;
      while (line.size() < 2 || line.substr(line.size() - 2) != "\r\n") {
        const std::string byte = readExactly(1);
        if (byte.empty()) throw std::runtime_error("a chunked body that breaks off");
        line += byte;
      }
      const std::size_t size = std::stoul(line, nullptr, 16);
      if (size == 0) {
        readExactly(2);
        return out;
      }
      out.body += readExactly(size);
      readExactly(2);
    }
  }
  const std::string length = out.field("Content-Length");
  out.body = length.empty() ? readAll() : readExactly(std::stoul(length));
  return out;
}

Conn::Response Conn::get(const std::string &path, const std::string &host, const std::string &fields) {
  send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
  return readResponse();
}

void Conn::shutdownWrite() {
  ::shutdown(fd_, SHUT_WR);
}

void Conn::reset() {
  matrixos::test::resetOnClose(fd_);
  close();
}

void Conn::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace {

/// The connection belongs to the server; the script may end its own copy of it early.
matrixos::test::ScriptedServer::Script withConn(Upstream::Script script) {
  return [script = std::move(script)](const matrixos::test::Peer &peer) {
    Conn conn(::dup(peer.fd()));
    script(conn);
  };
}

} // namespace

Upstream::Upstream(Script script, std::uint16_t port) : server_(withConn(std::move(script)), port) {
  server_.listen();
}

Upstream::Upstream(Script script, const std::string &path)
    : server_(withConn(std::move(script)), std::filesystem::path(path)) {}

void Upstream::echo(Conn &conn) {
  for (;;) {
    std::string head = conn.readHead();
    if (head.empty()) return;
    const std::string length = fieldOf(head, "Content-Length");
    if (!length.empty()) head += conn.readExactly(std::stoul(length));
    const bool toHead = head.substr(0, 5) == "HEAD ";
    if (!conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(head.size()) +
                   "\r\n\r\n" + (toHead ? "" : head))) {
      return;
    }
  }
}

namespace {

/// Sockets that are in this state and connect to, or come from, a port of 127.0.0.1 (proc(5), /proc/net/tcp).
std::size_t countSockets(std::uint16_t remotePort, unsigned state) {
  std::ifstream lines("/proc/net/tcp");
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    unsigned slot = 0, local = 0, localPort = 0, remote = 0, port = 0, found = 0;
    if (std::sscanf(line.c_str(), "%u: %x:%x %x:%x %x", &slot, &local, &localPort, &remote, &port, &found) == 6 &&
        port == remotePort && found == state)
      ++count;
  }
  return count;
}

constexpr unsigned kSynSent = 2;

} // namespace

FullPort::FullPort() {
  port_.listen(0);
  // The first ones are taken; the first that is not shows that those behind it will not be either.
  while (countSockets(port(), kSynSent) == 0) {
    fillers_.push_back(matrixos::test::beginConnection(port()));
  }
  fillers_.pop_back();
}

bool FullPort::somebodyWaits() const {
  return countSockets(port(), kSynSent) != 0;
}

std::uint16_t FullPort::close() {
  fillers_.clear();
  port_.close();
  return port();
}

std::uint64_t FakeWaker::ensureRunning(std::string_view handle, std::string_view, std::chrono::milliseconds,
                                       Done done) {
  ++calls;
  if (instant) {
    done(instant(std::string(handle)));
    return 0;
  }
  const std::lock_guard lock(mutex_);
  pending_.emplace(++last_, std::move(done));
  return last_;
}

void FakeWaker::forget(std::uint64_t ticket) noexcept {
  ++forgotten;
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(ticket);
    if (found == pending_.end()) return;
    done = std::move(found->second);
    pending_.erase(found);
  }
  done({matrixos::Status::Cancelled, ""});
}

void FakeWaker::answer(const matrixos::proxy::WakeResult &result) {
  std::map<std::uint64_t, Done> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(pending_);
  }
  for (auto &[ticket, done] : all)
    done(result);
}

std::size_t FakeWaker::waiting() const {
  const std::lock_guard lock(mutex_);
  return pending_.size();
}

matrixos::InstanceRecord recordOf(const std::string &handle, const std::string &status, std::uint64_t rev) {
  matrixos::InstanceRecord record;
  record.id = "01J0000000000000000000" + handle;
  record.handle = handle;
  record.status = matrixos::instanceStatusOf(status);
  record.rev = rev;
  return record;
}

std::string wakeJson(const std::string &handle, std::uint16_t port, std::uint64_t rev) {
  matrixos::InstanceRecord record = recordOf(handle, "running", rev);
  record.endpoints = {{"shell", "127.0.0.1", port, "host", "e2"}, {"gateway", "127.0.0.1", port, "host", "e2"}};
  return R"({"instance":)" + record.toJson() + R"(,"phases":{"queueMs":1,"engineMs":230.4,"readyMs":40}})";
}

ProxyFixture::ProxyFixture(const std::function<void(matrixos::proxy::ProxyOptions &)> &change, bool withWaker) {
  options.domain = "matrix.test";
  options.server.listen = {"127.0.0.1:0"};
  options.server.loops = 2;
  if (change) change(options);
  routes.synced();
  proxy = std::make_unique<matrixos::proxy::Proxy>(options, routes, withWaker ? &waker : nullptr);
  port = proxy->addresses().front().port();
  proxy->start();
}

ProxyFixture::~ProxyFixture() {
  proxy->stop(0ms);
}

void ProxyFixture::reconfigure(const std::function<void(matrixos::proxy::ProxyOptions &)> &change) {
  matrixos::proxy::ProxyOptions next = options;
  change(next);
  proxy->reconfigure(next);
  options = std::move(next);
}

std::size_t ProxyFixture::inFlight(const std::string &handle) {
  matrixos::proxy::RouteCache cache(routes);
  const auto route = cache.find(handle);
  return route->activity->requests + route->activity->webSockets;
}

void ProxyFixture::instance(const std::string &handle, const std::string &status, std::uint16_t shell,
                            std::uint16_t gateway, std::uint64_t rev) {
  matrixos::InstanceRecord record = recordOf(handle, status, rev);
  if (shell != 0) record.endpoints.push_back({"shell", "127.0.0.1", shell, "host", "e1"});
  if (gateway != 0) record.endpoints.push_back({"gateway", "127.0.0.1", gateway, "host", "e1"});
  routes.apply(record);
}

} // namespace kit
