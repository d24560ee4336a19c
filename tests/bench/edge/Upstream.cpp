// An upstream that costs little: upstream PORT. GET /small, /down (1 MB) and /chunked (64 KB in chunks), POST /up, and
// a WebSocket that echoes short frames on /ws.
#include "Net.h"

#include <strings.h>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace bench;

namespace {

std::string withLength(std::string_view type, const std::string &body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string inChunks(std::size_t chunks, std::size_t size) {
  std::string out = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
  char start[20];
  std::snprintf(start, sizeof start, "%zx\r\n", size);
  for (std::size_t i = 0; i < chunks; ++i)
    out += start + std::string(size, 'c') + "\r\n";
  return out + "0\r\n\r\n";
}

const std::string kSmall = withLength("application/json", R"({"status":"ok","handle":"bench","items":[1,2,3],"at":0})");
const std::string kDown = withLength("application/octet-stream", std::string(1024 * 1024, 'd'));
const std::string kChunked = inChunks(16, 4096);
const std::string kNone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const std::string kUpgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                              "Sec-WebSocket-Accept: " +
                              std::string(kWebSocketAccept) + "\r\n\r\n";

/// The value of a field, compared without case; "" when it is absent.
std::string_view field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (::strncasecmp(line.data(), name.data(), name.size()) != 0) continue;
    std::string_view value = line.substr(name.size() + 1, line.find('\r') - name.size() - 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return value;
  }
  return {};
}

struct Conn {
  int fd = -1;
  std::string in;
  std::string_view out; // of one of the answers above
  std::string frame;
  std::size_t body = 0; // still to be read and forgotten
  bool webSocket = false;
  bool close = false;
  bool blocked = false;
};

class Upstream {
public:
  explicit Upstream(std::uint16_t port) : listener_(listenOn(port)) { poller_.add(listener_, EPOLLIN, nullptr); }

  [[noreturn]] void run() {
    for (;;) {
      poller_.wait(-1, [this](void *user, unsigned) {
        if (user == nullptr) return accept();
        auto *conn = static_cast<Conn *>(user);
        if (serve(*conn)) return;
        ::close(conn->fd);
        delete conn;
      });
    }
  }

private:
  void accept() {
    for (int fd = acceptOn(listener_); fd >= 0; fd = acceptOn(listener_)) {
      auto *conn = new Conn;
      conn->fd = fd;
      poller_.add(fd, EPOLLIN, conn);
    }
  }

  /// False when the connection has ended.
  bool serve(Conn &conn) {
    if (!flush(conn)) return false;
    if (conn.blocked) return true;
    const ssize_t got = ::recv(conn.fd, block_.data(), block_.size(), 0);
    if (got < 0) return wouldBlock();
    if (got == 0) return false;
    conn.in.append(block_.data(), static_cast<std::size_t>(got));
    while (!conn.in.empty() && conn.out.empty()) {
      if (conn.body != 0) {
        const std::size_t taken = std::min(conn.body, conn.in.size());
        conn.in.erase(0, taken);
        conn.body -= taken;
        if (conn.body == 0) conn.out = kSmall;
      } else if (!(conn.webSocket ? takeFrame(conn) : takeHead(conn))) {
        break;
      }
      if (conn.body == 0 && !flush(conn)) return false;
    }
    return true;
  }

  static bool takeHead(Conn &conn) {
    const std::size_t end = conn.in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head(conn.in.data(), end + 2);
    const std::string_view path =
        head.substr(head.find(' ') + 1, head.find(' ', head.find(' ') + 1) - head.find(' ') - 1);
    const std::string_view connection = field(head, "connection");
    conn.close = connection == "close" || connection == "Close";
    const std::string_view length = field(head, "content-length");
    if (!length.empty()) conn.body = std::strtoul(std::string(length).c_str(), nullptr, 10);
    conn.webSocket = path == "/ws";
    if (conn.webSocket)
      conn.out = kUpgraded;
    else if (conn.body == 0)
      conn.out = path == "/small" ? kSmall : path == "/down" ? kDown : path == "/chunked" ? kChunked : kNone;
    conn.in.erase(0, end + 4);
    return true;
  }

  /// Echoes a masked frame of fewer than 126 bytes.
  static bool takeFrame(Conn &conn) {
    if (conn.in.size() < 2) return false;
    const std::size_t size = static_cast<unsigned char>(conn.in[1]) & 0x7FU;
    if (conn.in.size() < 6 + size) return false;
    conn.frame = conn.in.substr(0, 1) + static_cast<char>(size);
    for (std::size_t i = 0; i < size; ++i)
      conn.frame += static_cast<char>(conn.in[6 + i] ^ conn.in[2 + i % 4]);
    conn.out = conn.frame;
    conn.in.erase(0, 6 + size);
    return true;
  }

  bool flush(Conn &conn) {
    const bool wasBlocked = conn.blocked;
    while (!conn.out.empty()) {
      const ssize_t put = ::send(conn.fd, conn.out.data(), conn.out.size(), MSG_NOSIGNAL);
      if (put < 0 && !wouldBlock()) return false;
      if (put < 0) break;
      conn.out.remove_prefix(static_cast<std::size_t>(put));
      if (conn.out.empty() && conn.close) return false;
    }
    conn.blocked = !conn.out.empty();
    if (conn.blocked != wasBlocked) poller_.change(conn.fd, conn.blocked ? EPOLLOUT : EPOLLIN, &conn);
    return true;
  }

  Poller poller_;
  int listener_;
  std::vector<char> block_ = std::vector<char>(256 * 1024);
};

} // namespace

int main(int argc, char **argv) try {
  if (argc != 2) return std::fputs("upstream PORT\n", stderr), 2;
  Upstream(parsePort(argv[1])).run();
} catch (const std::exception &e) {
  std::fprintf(stderr, "upstream: %s\n", e.what());
  return 1;
}
