// The load: load KIND PORT KEY CONNECTIONS MILLISECONDS [AUTHORITY]. KIND is document or stream; each connection asks
// again as soon as it is answered. With an AUTHORITY's certificate it speaks TLS to localhost. The time begins when
// there were as many answers as connections. Prints: answers, microseconds, p50 and p99, p50 and p99 until the first event
// of a stream, all in microseconds, failures, and answers with those before. hold opens that many streams, prints "open
// COUNT" once each has brought its first event, and holds them until its input ends.
#include "Client.h"

#include <cstdio>
#include <list>
#include <vector>

using namespace bench;

namespace {

/// Times in microseconds, up to four seconds.
class Histogram {
public:
  void add(Client::Clock::duration took) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    ++counts_[std::min(static_cast<std::size_t>(micros), counts_.size() - 1)];
    ++total_;
  }
  std::size_t total() const noexcept { return total_; }
  std::size_t at(double part) const {
    const auto wanted = static_cast<std::size_t>(part * static_cast<double>(total_));
    std::size_t seen = 0, micros = 0;
    while (micros + 1 < counts_.size() && (seen += counts_[micros]) <= wanted)
      ++micros;
    return total_ == 0 ? 0 : micros;
  }

private:
  std::vector<std::uint32_t> counts_ = std::vector<std::uint32_t>(4'000'000);
  std::size_t total_ = 0;
};

/// A prompt of a kilobyte.
std::string requestFor(const std::string &kind, const std::string &key) {
  const bool hold = kind == "hold";
  const std::string words = hold ? "scenario: silence=100000000" : std::string(1000, 'w');
  const std::string body = R"({"model":"claude-haiku-5-5","max_tokens":256,"stream":)" +
                           std::string(kind == "document" ? "false" : "true") +
                           R"(,"messages":[{"role":"user","content":")" + words + "\"}]}";
  return "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAuthorization: Bearer " + key +
         "\r\nanthropic-version: 2023-06-01\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Load {
public:
  Load(Target target, std::string request) : target_(std::move(target)), request_(std::move(request)) {}

  void run(std::size_t connections, std::chrono::milliseconds time) {
    for (std::size_t i = 0; i < connections; ++i)
      clients_.emplace_back(poller_, target_, request_);
    const auto patience = Client::Clock::now() + std::chrono::seconds(30); // on a machine that is very busy
    turnUntil([&] { return took_.total() >= connections || Client::Clock::now() > patience; });
    const std::size_t before = took_.total();
    took_ = first_ = Histogram();
    const auto started = Client::Clock::now();
    turnUntil([&] { return Client::Clock::now() >= started + time; });
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(Client::Clock::now() - started).count();
    std::printf("%zu %lld %zu %zu %zu %zu %zu %zu\n", took_.total(), static_cast<long long>(micros), took_.at(0.5),
                took_.at(0.99), first_.at(0.5), first_.at(0.99), failures_, before + took_.total());
  }

  int hold(std::size_t connections) {
    for (std::size_t i = 0; i < connections && failures_ == 0; ++i) {
      clients_.emplace_back(poller_, target_, request_);
      const auto patience = Client::Clock::now() + std::chrono::seconds(10);
      turnUntil([&] { return first_.total() > i || failures_ != 0 || Client::Clock::now() > patience; });
    }
    std::printf("open %zu\n", first_.total());
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
    return first_.total() == connections ? 0 : 1;
  }

private:
  template <typename Condition>
  void turnUntil(Condition &&condition) {
    while (!condition())
      poller_.wait(100, [this](void *user, unsigned) { handle(*static_cast<Client *>(user)); });
  }

  void handle(Client &client) {
    client.onEvent();
    for (;;) {
      const Client::Turn turn = client.go();
      const auto took = Client::Clock::now() - client.asked();
      if (turn == Client::Turn::Waits) return;
      if (turn == Client::Turn::Started) {
        first_.add(took);
        continue;
      }
      if (turn == Client::Turn::Done) {
        took_.add(took);
        return client.ask();
      }
      ++failures_;
      clients_.remove_if([&client](const Client &one) { return &one == &client; });
      clients_.emplace_back(poller_, target_, request_);
      return;
    }
  }

  Poller poller_;
  const Target target_;
  const std::string request_;
  std::list<Client> clients_;
  Histogram took_, first_;
  std::size_t failures_ = 0;
};

} // namespace

int main(int argc, char **argv) try {
  if (argc != 6 && argc != 7) return std::fputs("load KIND PORT KEY CONNECTIONS MILLISECONDS [AUTHORITY]\n", stderr), 2;
  const std::string kind = argv[1];
  const std::size_t connections = std::strtoul(argv[4], nullptr, 10);
  Target target{parsePort(argv[2]), nullptr};
  if (argc == 7) target.tls = matrixos::http::TlsClientContext::create({false, argv[6]})->peer("localhost");
  Load load(target, requestFor(kind, argv[3]));
  if (kind == "hold") return load.hold(connections);
  load.run(connections, std::chrono::milliseconds(std::strtol(argv[5], nullptr, 10)));
  return 0;
} catch (const std::exception &e) {
  std::fprintf(stderr, "load: %s\n", e.what());
  return 1;
}
