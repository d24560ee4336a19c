// The load: held-load PORT HOST MILLISECONDS KEPT WEBSOCKETS SLOW. Asks at a fixed pace, half of the requests over a
// new connection each, half over kept ones; first alone, then while KEPT connections and WEBSOCKETS are held, each used
// now and then, then also with SLOW clients that send a header byte by byte and as many that hardly read. Prints for
// each of the three: its name, p50 and p99 of new and of kept connections in microseconds, how many are held, failures,
// and how many of those held were lost.
#include "bench/edge/AnswerReader.h"
#include "bench/edge/Net.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <list>
#include <string>
#include <utility>
#include <vector>

using namespace bench;

namespace {

using Clock = std::chrono::steady_clock;
using Ms = std::chrono::milliseconds;

constexpr Ms kPace{2};              // one request over a new connection, one over a kept one
constexpr std::size_t kAskers = 16; // kept connections that these go over
constexpr std::size_t kOpening = 64;
constexpr std::chrono::seconds kFramePause{10};   // of each WebSocket
constexpr std::chrono::seconds kRequestPause{25}; // of each held kept connection
constexpr std::chrono::seconds kSlowPause{5};     // of each slow client
constexpr std::string_view kPing{"\x89\x82\0\0\0\0hi", 8};
constexpr std::string_view kText{"\x81\x82\0\0\0\0hi", 8};

enum class Kind { Fresh, Asker, Kept, WebSocket, SlowHeader, SlowReader };

struct Conn {
  Kind kind;
  int fd = -1;
  std::string_view out;
  AnswerReader answer;
  std::string handshake; // of a WebSocket, until it is open
  bool open = false;     // it has had its first answer, or never gets one
  bool busy = false;
  Clock::time_point asked;
};

/// Calls for each of a group in turn, all of them once per pause.
class Turns {
public:
  explicit Turns(Clock::duration pause) : pause_(pause) {}

  template <typename Use>
  void go(std::list<Conn> &group, Clock::time_point now, Use &&use) {
    if (group.empty()) return;
    if (last_ == Clock::time_point{}) last_ = now;
    const auto step = pause_ / static_cast<long>(group.size());
    for (; last_ + step <= now; last_ += step) {
      if (at_ == std::list<Conn>::iterator{} || at_ == group.end()) at_ = group.begin();
      use(*at_++);
    }
  }

private:
  const Clock::duration pause_;
  Clock::time_point last_{};
  std::list<Conn>::iterator at_{};
};

class Held {
public:
  Held(std::uint16_t port, const std::string &host, Ms time)
      : port_(port), time_(time), request_(get("/small", host, "")),
        freshRequest_(get("/small", host, "Connection: close\r\n")), largeRequest_(get("/down", host, "")),
        upgradeRequest_(get("/ws", host,
                            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: " +
                                std::string(kWebSocketKey) + "\r\n")),
        slowRequest_(request_.substr(0, request_.size() - 2) + "X-Slow: ") {}

  void run(std::size_t kept, std::size_t webSockets, std::size_t slow) {
    hold(askers_, Kind::Asker, kAskers);
    measure("warm", time_ / 4);
    measure("idle", time_);
    hold(kept_, Kind::Kept, kept);
    hold(webSockets_, Kind::WebSocket, webSockets);
    measure("warm", time_ / 4);
    measure("held", time_);
    hold(slowHeaders_, Kind::SlowHeader, slow);
    hold(slowReaders_, Kind::SlowReader, slow);
    measure("warm", time_);
    measure("slow", time_);
  }

private:
  static std::string get(const std::string &path, const std::string &host, const std::string &fields) {
    return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: */*\r\n" + fields + "\r\n";
  }

  void hold(std::list<Conn> &group, Kind kind, std::size_t count) {
    const auto patience = Clock::now() + std::chrono::seconds(30);
    while (group.size() < count || opening_ != 0) {
      while (group.size() < count && opening_ < kOpening)
        open(group.emplace_back(Conn{kind}));
      if (Clock::now() > patience) throw std::runtime_error("not all connections could be opened");
      turn();
    }
  }

  /// Everything but the first word of the line counts from here on.
  void measure(const char *name, Ms time) {
    fresh_.clear();
    asked_.clear();
    failures_ = lost_ = 0;
    const auto end = Clock::now() + time;
    auto next = Clock::now();
    while (Clock::now() < end) {
      for (; next <= Clock::now(); next += kPace) {
        open(conns_.emplace_back(Conn{Kind::Fresh}));
        const auto idle =
            std::find_if(askers_.begin(), askers_.end(), [](const Conn &one) { return one.open && !one.busy; });
        if (idle == askers_.end())
          ++failures_; // none of the sixteen has been answered
        else
          ask(*idle, request_);
      }
      turn();
    }
    const auto patience = Clock::now() + std::chrono::seconds(5);
    while (!conns_.empty() && Clock::now() < patience)
      turn();
    failures_ += conns_.size();
    if (std::string_view(name) == "warm") return;
    std::printf("%s %u %u %u %u %zu %zu %zu\n", name, at(fresh_, 0.5), at(fresh_, 0.99), at(asked_, 0.5),
                at(asked_, 0.99), kept_.size() + webSockets_.size() + slowHeaders_.size() + slowReaders_.size(),
                failures_, lost_);
    std::fflush(stdout);
  }

  static unsigned at(std::vector<unsigned> &took, double part) {
    std::sort(took.begin(), took.end());
    return took.empty() ? 0 : took[static_cast<std::size_t>(part * static_cast<double>(took.size() - 1))];
  }

  void turn() {
    const auto now = Clock::now();
    keptTurns_.go(kept_, now, [this](Conn &one) {
      if (one.open && !one.busy) ask(one, request_);
    });
    frameTurns_.go(webSockets_, now, [this](Conn &one) {
      if (one.open) put(one, ++frames_ % 4 == 0 ? kText : kPing);
    });
    headerTurns_.go(slowHeaders_, now, [](Conn &one) {
      if (one.open) put(one, "s");
    });
    readerTurns_.go(slowReaders_, now, [this](Conn &one) {
      if (!one.open) return;
      const ssize_t got = ::recv(one.fd, block_.data(), 1024, 0);
      if (got == 0 || (got < 0 && !wouldBlock())) reopen(one);
    });
    poller_.wait(1, [this](void *user, unsigned events) { handle(*static_cast<Conn *>(user), events); });
    conns_.remove_if([](const Conn &one) { return one.fd < 0; });
  }

  void open(Conn &one) {
    one.fd = streamSocket();
    if (one.kind == Kind::SlowReader) {
      const int least = 1;
      ::setsockopt(one.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    }
    const sockaddr_in address = loopback(port_);
    if (::connect(one.fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0 && errno != EINPROGRESS)
      fail("connect");
    if (one.kind != Kind::Fresh) ++opening_;
    one.open = false;
    one.handshake.clear();
    one.out = first(one.kind);
    one.answer.reset();
    one.busy = true;
    one.asked = Clock::now();
    poller_.add(one.fd, EPOLLIN | EPOLLOUT, &one);
  }

  std::string_view first(Kind kind) const {
    switch (kind) {
    case Kind::Fresh:
      return freshRequest_;
    case Kind::WebSocket:
      return upgradeRequest_;
    case Kind::SlowHeader:
      return slowRequest_;
    case Kind::SlowReader:
      return largeRequest_;
    case Kind::Asker:
    case Kind::Kept:
      break;
    }
    return request_;
  }

  void ask(Conn &one, std::string_view request) {
    one.busy = true;
    one.answer.reset();
    one.asked = Clock::now();
    put(one, request);
  }

  static void put(Conn &one, std::string_view bytes) {
    // So little that the kernel takes it whole; what it does not take is noticed as a missing answer.
    [[maybe_unused]] const auto sent = ::send(one.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  void handle(Conn &one, unsigned events) {
    if (one.fd < 0) return;
    if ((events & EPOLLOUT) != 0 && !one.out.empty()) {
      put(one, std::exchange(one.out, {}));
      const bool reads = one.kind != Kind::SlowReader;
      poller_.change(one.fd, reads ? EPOLLIN : 0U, &one);
      if (!reads || one.kind == Kind::SlowHeader) opened(one);
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(one);
  }

  void opened(Conn &one) {
    if (std::exchange(one.open, true)) return;
    one.busy = false;
    --opening_;
  }

  void read(Conn &one) {
    const ssize_t got = ::recv(one.fd, block_.data(), block_.size(), 0);
    if (got < 0 && wouldBlock()) return;
    if (got <= 0) return ended(one);
    const std::string_view bytes(block_.data(), static_cast<std::size_t>(got));
    switch (one.kind) {
    case Kind::WebSocket:
      if (one.open) return;
      one.handshake += bytes;
      if (one.handshake.find("\r\n\r\n") != std::string::npos && one.handshake.compare(0, 12, "HTTP/1.1 101") == 0)
        opened(one);
      return;
    case Kind::SlowHeader: // 408
    case Kind::SlowReader:
      return;
    case Kind::Fresh:
    case Kind::Asker:
    case Kind::Kept:
      break;
    }
    one.answer.feed(bytes);
    if (one.answer.state() == AnswerReader::State::Failed) return ended(one);
    if (one.answer.state() != AnswerReader::State::Done || !one.busy) return;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - one.asked).count();
    one.busy = false;
    if (one.kind == Kind::Fresh) return fresh_.push_back(static_cast<unsigned>(took));
    if (!one.open) return opened(one);
    if (one.kind == Kind::Asker) asked_.push_back(static_cast<unsigned>(took));
  }

  void ended(Conn &one) {
    if (one.kind == Kind::Fresh) {
      if (one.busy) ++failures_;
      ::close(one.fd);
      one.fd = -1;
      return;
    }
    const bool slow = one.kind == Kind::SlowHeader || one.kind == Kind::SlowReader; // these may be cut off
    if (!slow) ++lost_;
    reopen(one);
  }

  void reopen(Conn &one) {
    if (!one.open) --opening_;
    ::close(one.fd);
    open(one);
  }

  Poller poller_;
  const std::uint16_t port_;
  const Ms time_;
  const std::string request_, freshRequest_, largeRequest_, upgradeRequest_, slowRequest_;
  std::list<Conn> conns_, askers_, kept_, webSockets_, slowHeaders_, slowReaders_;
  Turns keptTurns_{kRequestPause}, frameTurns_{kFramePause}, headerTurns_{kSlowPause}, readerTurns_{kSlowPause};
  std::vector<char> block_ = std::vector<char>(64 * 1024);
  std::vector<unsigned> fresh_, asked_;
  std::size_t opening_ = 0, failures_ = 0, lost_ = 0, frames_ = 0;
};

} // namespace

int main(int argc, char **argv) try {
  if (argc != 7) return std::fputs("held-load PORT HOST MILLISECONDS KEPT WEBSOCKETS SLOW\n", stderr), 2;
  const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
  Held(parsePort(argv[1]), argv[2], Ms(number(3))).run(number(4), number(5), number(6));
  return 0;
} catch (const std::exception &e) {
  std::fprintf(stderr, "held-load: %s\n", e.what());
  return 1;
}
