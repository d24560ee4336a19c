// A blind byte relay: relay LISTEN-PORT UPSTREAM-PORT. What any proxy of this shape has to cost: two sockets, one read
// and one write per direction and message, nothing looked at.
#include "Net.h"

#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

using namespace bench;

namespace {

constexpr std::size_t kBlock = 64 * 1024;
constexpr unsigned kRead = EPOLLIN | EPOLLRDHUP;

struct Pair;

/// One side of a relayed connection, and what waits to be written to it.
struct Side {
  Pair *pair = nullptr;
  Side *other = nullptr;
  int fd = -1;
  std::string waiting;
};

struct Pair {
  Side client, upstream;
  bool ended = false;
};

class Relay {
public:
  Relay(std::uint16_t port, std::uint16_t upstream) : listener_(listenOn(port)), upstream_(upstream) {
    poller_.add(listener_, EPOLLIN, nullptr);
  }

  [[noreturn]] void run() {
    for (;;) {
      poller_.wait(-1, [this](void *user, unsigned events) {
        if (user == nullptr)
          accept();
        else
          handle(*static_cast<Side *>(user), events);
      });
      // Only now: another event of the same round may have been for the other side.
      for (Pair *pair : ended_)
        delete pair;
      ended_.clear();
    }
  }

private:
  void accept() {
    for (int fd = acceptOn(listener_); fd >= 0; fd = acceptOn(listener_)) {
      auto *pair = new Pair;
      pair->client = {pair, &pair->upstream, fd, {}};
      pair->upstream = {pair, &pair->client, connectTo(upstream_), {}};
      poller_.add(pair->client.fd, kRead, &pair->client);
      poller_.add(pair->upstream.fd, kRead, &pair->upstream);
    }
  }

  void handle(Side &side, unsigned events) {
    if (side.pair->ended) return;
    if ((events & EPOLLOUT) != 0 && !write(side, {})) return end(*side.pair);
    if ((events & ~static_cast<unsigned>(EPOLLOUT)) != 0) read(side);
  }

  void read(Side &side) {
    if (!side.other->waiting.empty()) return;
    const ssize_t got = ::recv(side.fd, block_.data(), block_.size(), 0);
    if (got < 0 && wouldBlock()) return;
    if (got <= 0 || !write(*side.other, {block_.data(), static_cast<std::size_t>(got)})) end(*side.pair);
  }

  /// Writes what waits, or else `bytes`; what does not fit waits, and its source is not read meanwhile.
  bool write(Side &to, std::string_view bytes) {
    const bool blocked = !to.waiting.empty();
    const std::string_view all = blocked ? std::string_view(to.waiting) : bytes;
    ssize_t put = ::send(to.fd, all.data(), all.size(), MSG_NOSIGNAL);
    if (put < 0 && !wouldBlock() && errno != ENOTCONN) return false;
    put = std::max<ssize_t>(put, 0);
    std::string rest(all.substr(static_cast<std::size_t>(put)));
    to.waiting.swap(rest);
    if (blocked == to.waiting.empty()) {
      poller_.change(to.fd, to.waiting.empty() ? kRead : kRead | EPOLLOUT, &to);
      poller_.change(to.other->fd, to.waiting.empty() ? kRead : 0U, to.other);
    }
    return true;
  }

  void end(Pair &pair) {
    pair.ended = true;
    ::close(pair.client.fd);
    ::close(pair.upstream.fd);
    ended_.push_back(&pair);
  }

  Poller poller_;
  int listener_;
  std::uint16_t upstream_;
  std::vector<char> block_ = std::vector<char>(kBlock);
  std::vector<Pair *> ended_;
};

} // namespace

int main(int argc, char **argv) try {
  if (argc != 3) return std::fputs("relay LISTEN-PORT UPSTREAM-PORT\n", stderr), 2;
  Relay(parsePort(argv[1]), parsePort(argv[2])).run();
} catch (const std::exception &e) {
  std::fprintf(stderr, "relay: %s\n", e.what());
  return 1;
}
