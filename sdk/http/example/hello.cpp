#include <http/engine/Server.h>

#include <csignal>
#include <cstdio>

using namespace matrixos::http;

/// Greets on /hello and passes everything else on to 127.0.0.1:3000.
struct Hello : Session {
  explicit Hello(std::shared_ptr<const Upstream> to) : upstream(std::move(to)) {}
  void onRequest(ClientExchange &exchange) override {
    if (exchange.request().path() != "/hello") return exchange.forward(upstream);
    exchange.respond({200, "text/plain", "hello " + exchange.peer().ip() + "\n", {}});
  }
  std::shared_ptr<const Upstream> upstream;
};

struct Factory : SessionFactory {
  std::unique_ptr<Session> makeSession(Loop &, const Address &) override { return std::make_unique<Hello>(upstream); }
  std::shared_ptr<const Upstream> upstream =
      std::make_shared<Upstream>(Upstream{{{Address::parse("127.0.0.1:3000"), 1}}, true});
};

int main(int argc, char **argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr); // before any thread: the loops inherit it
  ServerOptions options;
  options.listen = {argc > 1 ? argv[1] : "127.0.0.1:8080"};
  Factory factory;
  Server server(options, factory);
  server.start();
  std::printf("%s\n", server.addresses().front().text().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server.drain(std::chrono::seconds(5));
}
