#include "StampedInstance.h"

#include "Stamp.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

namespace matrixos::test {

namespace {

constexpr const char *kEndpoints[2] = {"shell", "gateway"};

/// The value of a field as the proxy writes it; "" when it is absent.
std::string field(const std::string &head, const std::string &name) {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const std::size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

/// Takes a chunked body, once it is whole, out of the text that it begins at `at` of; false before.
bool takeChunks(const std::string &text, std::size_t at, std::string &body, std::size_t &end) {
  for (;;) {
    const std::size_t line = text.find("\r\n", at);
    if (line == std::string::npos) return false;
    const std::size_t size = std::stoul(text.substr(at, line - at), nullptr, 16);
    end = line + 2 + size + 2;
    if (text.size() < end) return false;
    if (size == 0) return true;
    body.append(text, line + 2, size);
    at = end;
  }
}

} // namespace

StampedInstance::StampedInstance(std::string handle)
    : handle_(std::move(handle)), bornNs_(std::chrono::system_clock::now().time_since_epoch().count()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  poller_.add(wake_, EPOLLIN, &wake_);
  thread_ = std::thread([this] { run(); });
}

StampedInstance::~StampedInstance() {
  leavePorts();
  hangUp();
  command([this] { stopping_ = true; });
  thread_.join();
  ::close(wake_);
}

void StampedInstance::command(const std::function<void()> &what) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return command_ == nullptr; });
  command_ = &what;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  done_.wait(lock, [this, &what] { return command_ != &what; });
}

void StampedInstance::listen(std::uint16_t shell, std::uint16_t gateway) {
  leavePorts();
  command([&] {
    ports_[0] = shell;
    ports_[1] = gateway;
    for (int i = 0; i < 2; ++i) {
      listeners_[i] = bench::listenOn(ports_[i]);
      poller_.add(listeners_[i], EPOLLIN, &listeners_[i]);
    }
  });
}

void StampedInstance::leavePorts() {
  command([this] {
    for (int &listener : listeners_) {
      if (listener >= 0) ::close(std::exchange(listener, -1));
    }
  });
}

void StampedInstance::hangUp() {
  command([this] {
    ++boots_;
    for (Conn &conn : conns_)
      close(conn, true);
  });
}

std::string StampedInstance::foreign() const {
  const std::lock_guard lock(mutex_);
  return foreign_;
}

void StampedInstance::note(const std::string &what) {
  const std::lock_guard lock(mutex_);
  if (foreign_.empty()) foreign_ = what;
}

void StampedInstance::run() {
  while (!stopping_) {
    poller_.wait(-1, [this](void *user, unsigned) {
      if (user == &wake_) return;
      for (int i = 0; i < 2; ++i) {
        if (user == &listeners_[i]) return accept(i);
      }
      if (auto *conn = static_cast<Conn *>(user); conn->fd >= 0) advance(*conn);
    });
    conns_.remove_if([](const Conn &conn) { return conn.fd < 0; });
    const std::lock_guard lock(mutex_);
    if (command_ == nullptr) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
    (*command_)();
    command_ = nullptr;
    done_.notify_all();
  }
}

void StampedInstance::accept(int endpoint) {
  for (int fd = bench::acceptOn(listeners_[endpoint]); fd >= 0; fd = bench::acceptOn(listeners_[endpoint])) {
    Conn &conn = conns_.emplace_back();
    conn.fd = fd;
    conn.endpoint = endpoint;
    poller_.add(fd, EPOLLIN | EPOLLOUT | EPOLLET, &conn);
  }
}

void StampedInstance::close(Conn &conn, bool reset) {
  if (conn.fd < 0) return;
  const linger now{1, 0};
  if (reset) ::setsockopt(conn.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(std::exchange(conn.fd, -1));
}

void StampedInstance::advance(Conn &conn) {
  char block[16384];
  for (;;) {
    const ssize_t got = ::recv(conn.fd, block, sizeof block, 0);
    if (got < 0 && bench::wouldBlock()) break;
    if (got <= 0) return close(conn, false);
    conn.in.append(block, static_cast<std::size_t>(got));
  }
  while (!conn.lastAnswer && (conn.webSocket ? takeFrame(conn) : takeRequest(conn))) {
  }
  flush(conn);
}

bool StampedInstance::takeRequest(Conn &conn) {
  std::size_t end = conn.in.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  end += 4;
  const std::string head = conn.in.substr(0, end);
  std::string body;
  if (field(head, "Transfer-Encoding") == "chunked") {
    if (!takeChunks(conn.in, end, body, end)) return false;
  } else if (const std::string length = field(head, "Content-Length"); !length.empty()) {
    if (conn.in.size() < end + std::stoul(length)) return false;
    body = conn.in.substr(end, std::stoul(length));
    end += body.size();
  }
  conn.in.erase(0, end);
  answer(conn, head, body);
  return true;
}

void StampedInstance::answer(Conn &conn, const std::string &head, const std::string &body) {
  if (field(head, "User-Agent") == "matrixos-readiness") {
    conn.out += "HTTP/1.1 204 No Content\r\n\r\n";
    return;
  }
  ++answered_;
  const std::string nonce = field(head, "X-Nonce");
  if (field(head, "X-For") != handle_ || !isStampedWith(body, handle_ + " " + nonce))
    note(handle_ + " got:\n" + head + body.substr(0, 200));
  else if (!field(head, "X-Exit").empty())
    ::_exit(3);
  const std::string stamp = handle_ + "/" + kEndpoints[conn.endpoint] + " " + nonce;
  if (!field(head, "Upgrade").empty()) {
    conn.webSocket = true;
    conn.out += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Stamp: " + stamp +
                "\r\nSec-WebSocket-Accept: " + std::string(bench::kWebSocketAccept) + "\r\n\r\n";
    return;
  }
  const std::string lines = field(head, "X-Lines"), framing = field(head, "X-Framing");
  const std::string text = stamped(stamp, lines.empty() ? 1 : std::stoul(lines));
  conn.out += "HTTP/1.1 200 OK\r\nX-Stamp: " + stamp + "\r\nX-Boot: " + std::to_string(bornNs_) + "." +
              std::to_string(boots_) + "\r\n";
  if (framing == "chunked") {
    conn.out += "Transfer-Encoding: chunked\r\n\r\n" + inChunks(text, 5000);
  } else if (framing == "close") {
    conn.lastAnswer = true;
    conn.out += "\r\n" + text;
  } else {
    conn.out += "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }
}

bool StampedInstance::takeFrame(Conn &conn) {
  if (conn.in.size() < 6) return false;
  const std::size_t size = static_cast<unsigned char>(conn.in[1]) & 0x7FU;
  if (conn.in.size() < 6 + size) return false;
  if (conn.in[0] == '\x88') { // a close frame, which is answered with the same
    conn.lastAnswer = true;
    conn.out += std::string("\x88\x00", 2);
    return true;
  }
  std::string text;
  for (std::size_t i = 0; i < size; ++i)
    text += static_cast<char>(conn.in[6 + i] ^ conn.in[2 + i % 4]);
  conn.in.erase(0, 6 + size);
  if (!text.starts_with(handle_ + " ")) note(handle_ + " got the frame " + text);
  text = std::string(kEndpoints[conn.endpoint]) + " " + text;
  conn.out.append(1, '\x81').append(1, static_cast<char>(text.size())).append(text);
  ++answered_;
  return true;
}

void StampedInstance::flush(Conn &conn) {
  while (!conn.out.empty()) {
    const ssize_t put = ::send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
    if (put < 0 && bench::wouldBlock()) return;
    if (put <= 0) return close(conn, false);
    conn.out.erase(0, static_cast<std::size_t>(put));
  }
  if (conn.lastAnswer) close(conn, false);
}

} // namespace matrixos::test
