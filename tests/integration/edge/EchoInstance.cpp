#include "EchoInstance.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

namespace matrixos::test {

namespace {

const std::string kFiller(64 * 1024, 'f');

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return text;
}

/// The value of a field; "" when it is absent.
std::string field(const std::string &head, const std::string &name) {
  const std::size_t at = lower(head).find("\r\n" + name + ":");
  if (at == std::string::npos) return {};
  const std::size_t begin = head.find_first_not_of(' ', at + name.size() + 3);
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

} // namespace

EchoInstance::EchoInstance(bool open, int backlog)
    : listener_(bench::listenOn(0)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), open_(open) {
  ::listen(listener_, backlog);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size);
  port_ = ntohs(address.sin_port);
  poller_.add(listener_, EPOLLIN, &listener_);
  poller_.add(wake_, EPOLLIN, &wake_);
  thread_ = std::thread([this] { run(); });
}

EchoInstance::~EchoInstance() {
  stopping_ = true;
  wakeUp();
  thread_.join();
  for (const Conn &conn : conns_) {
    if (conn.fd >= 0) ::close(conn.fd);
  }
  ::close(wake_);
  ::close(listener_);
}

void EchoInstance::open() {
  open_ = true;
  wakeUp();
}

void EchoInstance::wakeUp() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void EchoInstance::run() {
  while (!stopping_) {
    poller_.wait(-1, [this](void *user, unsigned) {
      if (user == &listener_) return accept();
      if (user != &wake_) {
        auto *conn = static_cast<Conn *>(user);
        if (!serve(*conn)) end(*conn);
        return;
      }
      std::uint64_t drained = 0;
      [[maybe_unused]] const auto got = ::read(wake_, &drained, sizeof drained);
      for (Conn &conn : conns_) {
        if (conn.fd < 0) continue;
        takeInput(conn);
        if (!flush(conn)) end(conn);
      }
    });
    if (std::exchange(someEnded_, false)) conns_.remove_if([](const Conn &conn) { return conn.fd < 0; });
  }
}

void EchoInstance::accept() {
  for (int fd = bench::acceptOn(listener_); fd >= 0; fd = bench::acceptOn(listener_)) {
    Conn &conn = conns_.emplace_back();
    conn.fd = fd;
    poller_.add(fd, EPOLLIN, &conn);
    ++connections_;
  }
}

void EchoInstance::end(Conn &conn) {
  ::close(conn.fd);
  conn.fd = -1;
  someEnded_ = true;
  --connections_;
}

/// False when the connection has ended.
bool EchoInstance::serve(Conn &conn) {
  if (conn.fd < 0 || conn.writing) return conn.fd < 0 || flush(conn);
  std::array<char, 64 * 1024> block; // NOLINT(cppcoreguidelines-pro-type-member-init): only written to
  const ssize_t got = ::recv(conn.fd, block.data(), block.size(), 0);
  if (got < 0) return bench::wouldBlock();
  if (got == 0) return false;
  conn.in.append(block.data(), static_cast<std::size_t>(got));
  takeInput(conn);
  return flush(conn);
}

void EchoInstance::takeInput(Conn &conn) {
  while (open_) {
    const std::size_t taken = std::min(conn.body, conn.in.size());
    conn.in.erase(0, taken);
    conn.body -= taken;
    if (conn.body != 0) return;
    conn.out += std::exchange(conn.reply, {});
    if (!(conn.webSocket ? takeFrame(conn) : takeHead(conn))) return;
  }
}

bool EchoInstance::takeHead(Conn &conn) {
  const std::size_t end = conn.in.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string head = conn.in.substr(0, end + 2);
  conn.in.erase(0, end + 4);
  const std::string nonce = field(head, "x-nonce");
  const std::string length = field(head, "content-length");
  if (!length.empty()) conn.body = std::stoul(length);
  if (field(head, "user-agent") != "matrixos-readiness") ++answered_;
  if (field(head, "upgrade") == "websocket") {
    conn.webSocket = true;
    conn.out += "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Nonce: " + nonce +
                "\r\nSec-WebSocket-Accept: " + std::string(bench::kWebSocketAccept) + "\r\n\r\n";
    return true;
  }
  const bool large = head.compare(0, 11, "GET /large ") == 0;
  const std::string body = large ? "" : nonce + " for " + field(head, "host");
  if (large) conn.filler = kLarge; // nobody asks for more before it has gone
  conn.reply = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large ? kLarge : body.size()) + "\r\n\r\n" + body;
  return true;
}

bool EchoInstance::takeFrame(Conn &conn) {
  if (conn.in.size() < 2) return false;
  const std::size_t size = static_cast<unsigned char>(conn.in[1]) & 0x7FU;
  if (conn.in.size() < 6 + size) return false;
  conn.out += conn.in[0];
  conn.out += static_cast<char>(size);
  for (std::size_t i = 0; i < size; ++i)
    conn.out += static_cast<char>(conn.in[6 + i] ^ conn.in[2 + i % 4]);
  conn.in.erase(0, 6 + size);
  return true;
}

bool EchoInstance::flush(Conn &conn) {
  const bool wasWriting = conn.writing;
  conn.writing = false;
  while (!conn.out.empty() || conn.filler != 0) {
    const bool own = !conn.out.empty();
    const std::string_view text = own ? conn.out : std::string_view(kFiller).substr(0, conn.filler);
    const ssize_t put = ::send(conn.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (put < 0 && !bench::wouldBlock()) return false;
    conn.writing = put < 0;
    if (conn.writing) break;
    if (own)
      conn.out.erase(0, static_cast<std::size_t>(put));
    else
      conn.filler -= static_cast<std::size_t>(put);
  }
  if (conn.writing != wasWriting) poller_.change(conn.fd, conn.writing ? EPOLLOUT : EPOLLIN, &conn);
  return true;
}

} // namespace matrixos::test
