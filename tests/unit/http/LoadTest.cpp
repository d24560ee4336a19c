#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

ApiServerOptions listeningOn(const std::string &address, auth::ApiSocket socket) {
  ApiServerOptions options;
  options.listen = {{address, socket}};
  options.authenticator = std::make_shared<auth::Authenticator>(auth::Authenticator::Options{});
  return options;
}

/// A server that is bound, and serves nobody.
struct Bound {
  explicit Bound(const std::string &address, auth::ApiSocket socket = auth::ApiSocket::Api)
      : server(listeningOn(address, socket)) {}
  ApiServer server;
};

Status listenOutcome(const std::string &address) {
  try {
    const Bound listener(address);
    return Status::Ok;
  } catch (const Error &e) {
    return e.status();
  }
}

} // namespace

TEST_CASE("200 keep-alive clients are served by 64 workers, and idle ones hold none") {
  TestServer server([](ApiServerOptions &options) {
    options.workers = 64;
    options.backlog = 200;
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(i % 2 == 0 ? std::make_unique<RawClient>(server.port())
                                 : std::make_unique<RawClient>(server.apiPath()));
  }
  for (int round = 0; round < 5; ++round) {
    for (auto &client : clients)
      client->send(get("/hello"));
    for (auto &client : clients)
      CHECK(client->next().status == 200);
  }
  CHECK(server.served == 1000);
  CHECK(eventually([&] { return server.server().openRequests() == 0; }));
}

TEST_CASE("silent and slow clients cost no worker") {
  TestServer server([](ApiServerOptions &options) { options.workers = 2; });
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<RawClient>(server.apiPath()));
    if (i % 2 == 0) slow.back()->send("GET /hello HTTP/1.1\r\nHo");
  }
  RawClient quick(server.apiPath());
  for (int i = 0; i < 20; ++i) {
    quick.send(get("/hello"));
    CHECK(quick.next().status == 200);
  }
  for (int i = 0; i < 100; i += 2) {
    slow[static_cast<std::size_t>(i)]->send("st: api\r\n\r\n");
    CHECK(slow[static_cast<std::size_t>(i)]->next().status == 200);
  }
}

TEST_CASE("a head that does not arrive is 408, a silent connection is closed, a body that stalls is 408") {
  TestServer server([](ApiServerOptions &options) {
    options.headTimeout = 300ms;
    options.idleTimeout = 300ms;
    options.bodyTimeout = 300ms;
  });
  RawClient silent(server.port());
  RawClient half(server.port());
  half.send("GET /hello HTTP/1.1\r\n");
  RawClient body(server.port());
  body.send("POST /echo HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\n\r\nhel");
  CHECK(half.next().status == 408);
  CHECK(half.closed());
  CHECK(body.next().status == 408);
  CHECK(body.closed());
  CHECK(silent.rest().empty());
  // One byte now and then does not move the deadline of the whole head.
  RawClient drip(server.port());
  std::atomic<bool> answered{false};
  std::thread dripping([&] {
    while (!answered && drip.send("G"))
      std::this_thread::sleep_for(20ms);
  });
  CHECK(drip.next().status == 408);
  answered = true;
  dripping.join();
}

TEST_CASE("when all workers are busy and the queue is full, the answer is 503 with Retry-After") {
  std::atomic<bool> release{false};
  std::atomic<int> inside{0};
  TestServer server([](ApiServerOptions &options) {
    options.workers = 2;
    options.backlog = 1;
  });
  server.server().addRoutes(1, {route("GET", "/wait", [&](const auto &x) {
                              ++inside;
                              eventually([&] { return release.load(); });
                              x->respond(200, "", {}, "");
                            })});
  RawClient clients[] = {RawClient(server.port()), RawClient(server.port()), RawClient(server.port())};
  clients[0].send(get("/wait"));
  clients[1].send(get("/wait"));
  REQUIRE(eventually([&] { return inside == 2; }));
  clients[2].send(get("/wait"));
  REQUIRE(eventually([&] { return server.server().openRequests() == 3; }));
  RawClient late(server.port());
  late.send(get("/hello"));
  const Answer full = late.next();
  CHECK(full.status == 503);
  CHECK(full.field("Retry-After") == "1");
  CHECK(full.body.find("OVERLOADED") != std::string::npos);
  release = true;
  for (RawClient &client : clients)
    CHECK(client.next().status == 200);
  RawClient after(server.port());
  after.send(get("/hello"));
  CHECK(after.next().status == 200);
}

TEST_CASE("when connections run out, idle ones make room") {
  TestServer server([](ApiServerOptions &options) { options.maxConnections = 8; });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(get("/hello"));
    CHECK(clients.back()->next().status == 200);
  }
  // Which ones, and how many, depends on how soon workers hand connections back; the latest comer never goes.
  const auto closed = [&] {
    return std::count_if(clients.begin(), clients.end(), [](auto &client) { return client->closed(1ms); });
  };
  CHECK(eventually([&] { return closed() >= 1; }));
  CHECK_FALSE(clients.back()->closed(1ms));
}

TEST_CASE("clients that leave in the middle leave nothing behind") {
  TestServer server;
  for (int i = 0; i < 200; ++i) {
    RawClient client(server.apiPath());
    client.send(get("/hello").substr(0, static_cast<std::size_t>(i) % 36));
    if (i % 3 == 0) client.send(get("/hello") + get("/hello"));
  }
  CHECK(eventually([&] { return server.server().openRequests() == 0; }));
  RawClient client(server.apiPath());
  client.send(get("/hello"));
  CHECK(client.next().status == 200);
}

TEST_CASE("socket files have their modes, and only orphans are replaced") {
  const TempDir dir;
  const std::string path = (dir.path() / "x.sock").string();
  const auto modeOf = [&] {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0U;
  };
  {
    const Bound admin("unix:" + path, auth::ApiSocket::Admin);
    CHECK(modeOf() == 0600);
    CHECK(listenOutcome("unix:" + path) == Status::AlreadyExists);
    CHECK(modeOf() == 0600);
  }
  CHECK_FALSE(std::filesystem::exists(path));
  {
    // What a killed daemon leaves: a socket file that nobody listens on.
    matrixos::test::listenAt(path);
    auto api = std::make_unique<Bound>("unix:" + path);
    CHECK(modeOf() == 0660);
    // A successor's file in the same place is not ours to remove.
    std::filesystem::remove(path);
    const Bound successor("unix:" + path);
    api.reset();
    CHECK(std::filesystem::exists(path));
  }
  std::ofstream(path) << "a file";
  CHECK(listenOutcome("unix:" + path) == Status::FailedPrecondition);
  CHECK(std::filesystem::exists(path));
  CHECK(listenOutcome("unix:" + (dir.path() / std::string(120, 'a')).string()) == Status::InvalidArgument);
  CHECK(listenOutcome("unix:") == Status::InvalidArgument);
  CHECK(listenOutcome("unix:" + (dir.path() / "none" / "x.sock").string()) == Status::Unavailable);
  for (const char *address : {"", "9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", ":9000"}) {
    CAPTURE(address);
    CHECK(listenOutcome(address) == Status::InvalidArgument);
  }
  const Bound tcp("127.0.0.1:0");
  CHECK(tcp.server.port() != 0);
  const std::string address = tcp.server.addresses().front();
  CHECK(address == "127.0.0.1:" + std::to_string(tcp.server.port()));
  CHECK(listenOutcome(address) == Status::AlreadyExists);
}
