// The load: load KIND PORT HOST CONNECTIONS MILLISECONDS [COOKIE]. KIND is small, down, up, chunked or connect: each
// connection asks again as soon as it is answered. Prints: answers, microseconds, p50 and p99 in microseconds,
// failures. websockets opens that many, sends one frame over each, prints "open COUNT" and holds them until its input
// ends.
#include "AnswerReader.h"
#include "Net.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <list>
#include <string>
#include <vector>

using namespace bench;

namespace {

using Clock = std::chrono::steady_clock;

struct Conn {
  int fd = -1;
  std::string_view out;
  AnswerReader answer;
  Clock::time_point asked;
};

class Load {
public:
  /// `more`: fields of each request.
  Load(const std::string &kind, std::uint16_t port, const std::string &host, const std::string &more)
      : port_(port), again_(kind != "connect") {
    request_ = (kind == "up" ? "POST /up" : "GET /" + (again_ ? kind : "small")) + " HTTP/1.1\r\nHost: " + host +
               "\r\nUser-Agent: bench\r\nAccept: */*\r\n" + more;
    if (!again_) request_ += "Connection: close\r\n";
    if (kind == "up") request_ += "Content-Type: application/octet-stream\r\nContent-Length: 1048576\r\n";
    request_ += "\r\n";
    if (kind == "up") request_.append(1024 * 1024, 'u');
  }

  void run(std::size_t connections, std::chrono::milliseconds time) {
    started_ = Clock::now();
    const auto end = started_ + time;
    for (std::size_t i = 0; i < connections; ++i)
      open(conns_.emplace_back());
    const auto patience = end + std::chrono::seconds(10); // for the first answer, on a machine that is very busy
    while (Clock::now() < end || (took_.empty() && Clock::now() < patience)) {
      poller_.wait(100, [this](void *user, unsigned events) { handle(*static_cast<Conn *>(user), events); });
    }
    report(Clock::now() - started_);
  }

private:
  void open(Conn &conn) {
    conn.fd = connectTo(port_);
    ask(conn);
    poller_.add(conn.fd, EPOLLIN | EPOLLOUT, &conn);
  }

  void ask(Conn &conn) {
    conn.out = request_;
    conn.answer.reset();
    conn.asked = Clock::now();
  }

  void handle(Conn &conn, unsigned events) {
    if ((events & EPOLLOUT) != 0 && !write(conn)) return again(conn, true);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(conn);
  }

  bool write(Conn &conn) {
    if (conn.out.empty()) return true;
    const ssize_t put = ::send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
    if (put < 0) return wouldBlock();
    conn.out.remove_prefix(static_cast<std::size_t>(put));
    if (conn.out.empty()) poller_.change(conn.fd, EPOLLIN, &conn);
    return true;
  }

  void read(Conn &conn) {
    const ssize_t got = ::recv(conn.fd, block_.data(), block_.size(), 0);
    if (got < 0 && wouldBlock()) return;
    const bool whole = conn.answer.state() == AnswerReader::State::Done;
    if (got <= 0) return again(conn, again_ || !whole);
    if (whole) return again(conn, true);
    conn.answer.feed({block_.data(), static_cast<std::size_t>(got)});
    if (conn.answer.state() == AnswerReader::State::Failed) return again(conn, true);
    if (conn.answer.state() != AnswerReader::State::Done) return;
    note(conn);
    if (!again_) return; // until the proxy closes
    ask(conn);
    const ssize_t put = ::send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
    if (put > 0) conn.out.remove_prefix(static_cast<std::size_t>(put));
    if (!conn.out.empty()) poller_.change(conn.fd, EPOLLIN | EPOLLOUT, &conn);
  }

  void note(Conn &conn) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - conn.asked).count();
    took_.push_back(static_cast<std::uint32_t>(took));
  }

  void again(Conn &conn, bool failed) {
    if (failed) ++failures_;
    ::close(conn.fd);
    open(conn);
  }

  void report(Clock::duration took) {
    std::sort(took_.begin(), took_.end());
    const auto at = [this](double part) {
      return took_.empty() ? 0U : took_[static_cast<std::size_t>(part * static_cast<double>(took_.size() - 1))];
    };
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    std::printf("%zu %lld %u %u %zu\n", took_.size(), static_cast<long long>(micros), at(0.5), at(0.99), failures_);
  }

  Poller poller_;
  std::uint16_t port_;
  bool again_;
  std::string request_;
  std::list<Conn> conns_;
  std::vector<char> block_ = std::vector<char>(256 * 1024);
  std::vector<std::uint32_t> took_;
  std::size_t failures_ = 0;
  Clock::time_point started_;
};

/// A blocking connection of its own; false when the handshake or the echo did not come.
bool openWebSocket(int fd, const std::string &host, const std::string &more) {
  const std::string hello = "GET /ws HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + std::string(kWebSocketKey) + "\r\n" +
                            more + "\r\n";
  constexpr std::string_view kFrame{"\x81\x82\0\0\0\0hi", 8};
  constexpr std::string_view kEcho{"\x81\x02hi", 4};
  std::string got;
  const auto await = [&](const auto &complete) {
    char block[1024];
    while (!complete()) {
      const ssize_t size = ::recv(fd, block, sizeof block, 0);
      if (size <= 0) return false;
      got.append(block, static_cast<std::size_t>(size));
    }
    return true;
  };
  if (::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) return false;
  if (!await([&] { return got.find("\r\n\r\n") != std::string::npos; })) return false;
  if (got.compare(0, 12, "HTTP/1.1 101") != 0) return false;
  got.clear();
  if (::send(fd, kFrame.data(), kFrame.size(), MSG_NOSIGNAL) < 0) return false;
  return await([&] { return got.size() >= kEcho.size(); }) && got == kEcho;
}

int holdWebSockets(std::uint16_t port, const std::string &host, std::size_t count, const std::string &more) {
  std::size_t open = 0;
  const timeval patience{10, 0};
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const sockaddr_in address = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) break;
    if (!openWebSocket(fd, host, more)) break;
    ++open;
  }
  std::printf("open %zu\n", open);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return open == count ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) try {
  if (argc != 6 && argc != 7) return std::fputs("load KIND PORT HOST CONNECTIONS MILLISECONDS [COOKIE]\n", stderr), 2;
  const std::string kind = argv[1];
  const std::size_t connections = std::strtoul(argv[4], nullptr, 10);
  const std::string cookie = argc == 7 ? argv[6] : "";
  const std::string more = cookie.empty() ? cookie : "Cookie: " + cookie + "\r\n";
  if (kind == "websockets") return holdWebSockets(parsePort(argv[2]), argv[3], connections, more);
  Load(kind, parsePort(argv[2]), argv[3], more)
      .run(connections, std::chrono::milliseconds(std::strtol(argv[5], nullptr, 10)));
  return 0;
} catch (const std::exception &e) {
  std::fprintf(stderr, "load: %s\n", e.what());
  return 1;
}
