#include "http/HttpInterface.h"
#include "support/Errors.h"
#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <condition_variable>
#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;
using matrixos::test::statusOf;

namespace {

/// Exchanges that a handler left for later.
class Later {
public:
  auto handler() {
    return [this](const std::shared_ptr<ApiExchange> &exchange) {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(exchange);
    };
  }
  std::shared_ptr<ApiExchange> take() {
    std::shared_ptr<ApiExchange> exchange;
    REQUIRE(eventually([&] {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) return false;
      exchange = waiting_.front();
      waiting_.erase(waiting_.begin());
      return true;
    }));
    return exchange;
  }

private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<ApiExchange>> waiting_;
};

} // namespace

TEST_CASE("a handler answers later from another thread") {
  Later later;
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/later/:name", later.handler())});
  RawClient client(server.port());
  client.send(get("/later/a%20b?q=1%2B1&q=2", "X-Thing: =?UTF-8?B?DQpYOiB5?=\r\n"));
  auto exchange = later.take();
  CHECK(exchange->param("name") == "a b");
  CHECK_FALSE(exchange->param("other").has_value());
  CHECK(exchange->queryParam("q") == "1+1");
  CHECK(exchange->header("x-thing") == "=?UTF-8?B?DQpYOiB5?=");
  CHECK(exchange->data().path == "/later/a b");
  CHECK_FALSE(exchange->gone());
  std::thread([&] {
    exchange->respond(201, "text/plain", {{"X-One", "1"}, {"Set-Cookie", "a"}, {"Set-Cookie", "b"}}, "late");
  }).join();
  const Answer answer = client.next();
  CHECK(answer.status == 201);
  CHECK(answer.body == "late");
  CHECK(answer.head.find("Set-Cookie: a\r\nSet-Cookie: b\r\n") != std::string::npos);
  CHECK(statusOf([&] { exchange->respond(200, "", {}, ""); }) == Status::NotFound);
  CHECK(statusOf([&] { exchange->fail(Error(Status::Internal, "x")); }) == Status::NotFound);
  client.send(get("/hello"));
  CHECK(client.next().status == 200);
}

TEST_CASE("what would break a response is refused, and the exchange still waits") {
  Later later;
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/later", later.handler())});
  RawClient client(server.port());
  client.send(get("/later"));
  auto exchange = later.take();
  const auto with = [&](const std::string &name, const std::string &value) {
    return statusOf([&] { exchange->respond(200, "text/plain", {{name, value}}, "x"); });
  };
  CHECK(with("X-A", "a\r\nX-B: b") == Status::InvalidArgument);
  CHECK(with("X-A", "a\nb") == Status::InvalidArgument);
  CHECK(with("X-A", std::string("a\0b", 3)) == Status::InvalidArgument);
  CHECK(with("X-A: b\r\nX", "c") == Status::InvalidArgument);
  CHECK(with("", "c") == Status::InvalidArgument);
  for (const char *name :
       {"content-length", "Transfer-Encoding", "Connection", "X-Request-Id", "Date", "Content-Type"}) {
    CHECK(with(name, "1") == Status::InvalidArgument);
  }
  CHECK(statusOf([&] { exchange->respond(200, "text/plain\r\nX: y", {}, ""); }) == Status::InvalidArgument);
  for (const int status : {0, 99, 100, 101, 199, 600, 1000}) {
    CHECK(statusOf([&] { exchange->respond(status, "", {}, ""); }) == Status::InvalidArgument);
  }
  CHECK(statusOf([&] { exchange->respond(204, "", {}, "body"); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { exchange->write("x"); }) == Status::FailedPrecondition);
  CHECK(statusOf([&] { exchange->end(); }) == Status::FailedPrecondition);
  exchange->respond(200, "text/plain", {{"X-Ok", "\xC3\xA9\t!"}, {"Cache-Control", "max-age=1"}}, "fine");
  const Answer answer = client.next();
  CHECK(answer.body == "fine");
  CHECK(answer.field("Cache-Control") == "max-age=1");
}

TEST_CASE("a streamed answer arrives part by part, and the connection is kept") {
  Later later;
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/stream", later.handler())});
  RawClient client(server.apiPath());
  client.send(get("/stream"));
  auto exchange = later.take();
  exchange->begin(200, "text/plain", {});
  CHECK(eventually([&] { return client.some().find("\r\n\r\n") != std::string::npos; }));
  exchange->write("first\n");
  CHECK(client.some() == "6\r\nfirst\n\r\n");
  exchange->write("");
  exchange->write("second\n");
  CHECK(client.some() == "7\r\nsecond\n\r\n");
  exchange->end();
  CHECK(client.some() == "0\r\n\r\n");
  CHECK(statusOf([&] { exchange->write("x"); }) == Status::NotFound);
  CHECK(statusOf([&] { exchange->end(); }) == Status::NotFound);
  client.send(get("/hello"));
  CHECK(client.next().status == 200);

  client.send("HEAD /stream HTTP/1.1\r\nHost: api\r\n\r\n");
  exchange = later.take();
  exchange->begin(200, "text/plain", {});
  exchange->write("unseen");
  exchange->end();
  client.send(get("/hello"));
  CHECK(client.next(true).status == 200);
  CHECK(client.next().body == "hello");

  RawClient old(server.port());
  old.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  exchange = later.take();
  exchange->begin(200, "text/plain", {});
  exchange->write("raw ");
  exchange->write("bytes");
  exchange->end();
  const std::string all = old.rest();
  CHECK(all.find("chunked") == std::string::npos);
  CHECK(all.find("Connection: close") != std::string::npos);
  CHECK(all.substr(all.size() - 9) == "raw bytes");
}

TEST_CASE("writing waits for a slow client, and gives up on one that takes nothing") {
  Later later;
  TestServer server([](ApiServerOptions &options) { options.sendTimeout = 400ms; });
  server.server().addRoutes(1, {route("GET", "/stream", later.handler())});
  const std::string part(64 * 1024, 'x');
  RawClient slow(server.apiPath());
  slow.send(get("/stream"));
  auto exchange = later.take();
  exchange->begin(200, "text/plain", {});
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int i = 0; i < 64; ++i) {
      exchange->write(part);
      ++written;
    }
    exchange->end();
  });
  CHECK(eventually([&] { return written > 0; }));
  CHECK(written < 64); // 4 MB do not fit into the socket's buffers
  const Answer answer = slow.next();
  writer.join();
  CHECK(answer.complete);
  CHECK(answer.body.size() == 64 * part.size());

  RawClient stuck(server.apiPath());
  stuck.send(get("/stream"));
  exchange = later.take();
  exchange->begin(200, "text/plain", {});
  CHECK(statusOf([&] {
          for (;;)
            exchange->write(part);
        }) == Status::Cancelled);
  CHECK(exchange->gone());
}

TEST_CASE("a client that goes away is noticed while the handler waits and while it streams") {
  Later later;
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/later", later.handler())});
  for (const bool unixSocket : {false, true}) {
    CAPTURE(unixSocket);
    auto client =
        unixSocket ? std::make_unique<RawClient>(server.apiPath()) : std::make_unique<RawClient>(server.port());
    client->send(get("/later"));
    auto waiting = later.take();
    CHECK_FALSE(waiting->gone());
    client->close();
    CHECK(eventually([&] { return waiting->gone(); }));
    CHECK(eventually([&] { return server.server().openRequests() == 0; }));
    CHECK(statusOf([&] { waiting->respond(200, "", {}, ""); }) == Status::NotFound);

    client = unixSocket ? std::make_unique<RawClient>(server.apiPath()) : std::make_unique<RawClient>(server.port());
    client->send(get("/later"));
    auto streaming = later.take();
    streaming->begin(200, "text/plain", {});
    client->close();
    // The worker leaves although nobody writes.
    CHECK(eventually([&] { return server.server().openRequests() == 0; }));
    CHECK(statusOf([&] { streaming->write("x"); }) == Status::Cancelled);
    CHECK(statusOf([&] { streaming->end(); }) == Status::Cancelled);
  }
}

TEST_CASE("streams have a budget below the workers, so that others are still served") {
  Later later;
  TestServer server([](ApiServerOptions &options) {
    options.workers = 4;
    options.maxStreams = 2;
  });
  server.server().addRoutes(1, {route("GET", "/stream", later.handler())});
  RawClient clients[] = {RawClient(server.port()), RawClient(server.port()), RawClient(server.port())};
  std::vector<std::shared_ptr<ApiExchange>> open;
  for (RawClient &client : clients) {
    client.send(get("/stream"));
    open.push_back(later.take());
  }
  open[0]->begin(200, "text/plain", {});
  open[1]->begin(200, "text/plain", {});
  try {
    open[2]->begin(200, "text/plain", {});
    FAIL("a third stream began");
  } catch (const Error &e) {
    CHECK(e.status() == Status::ResourceExhausted);
    open[2]->fail(e);
  }
  const Answer refused = clients[2].next();
  CHECK(refused.status == 503);
  CHECK(refused.field("Retry-After") == "1");
  RawClient other(server.port());
  other.send(get("/hello"));
  CHECK(other.next().status == 200);
  open[0]->end();
  open[0].reset();
  CHECK(clients[0].next().complete);
  clients[2].send(get("/stream"));
  open[0] = later.take();
  CHECK(eventually([&] { return statusOf([&] { open[0]->begin(200, "text/plain", {}); }) == Status::Ok; }));
  open[0]->end();
  open[1]->end();
}

TEST_CASE("a handler that never answers is answered for") {
  Later later;
  TestServer server([](ApiServerOptions &options) { options.exchangeTimeout = 200ms; });
  server.server().addRoutes(1, {route("GET", "/later", later.handler())});
  RawClient client(server.port());
  client.send(get("/later"));
  auto exchange = later.take();
  CHECK(client.next().status == 504);
  CHECK(exchange->gone());
  CHECK(statusOf([&] { exchange->respond(200, "", {}, ""); }) == Status::NotFound);
}

TEST_CASE("stopping waits for open exchanges, then answers 503 and cuts streams") {
  Later later;
  TestServer server;
  server.server().addRoutes(1, {route("GET", "/later", later.handler())});
  RawClient waiting(server.port());
  RawClient streaming(server.port());
  RawClient finishing(server.port());
  RawClient idle(server.port());
  RawClient half(server.port());
  idle.send(get("/hello"));
  CHECK(idle.next().status == 200);
  half.send("POST /echo HTTP/1.1\r\nHost: api\r\nContent-Length: 10\r\n\r\nhalf");
  waiting.send(get("/later"));
  auto first = later.take();
  streaming.send(get("/later"));
  auto second = later.take();
  second->begin(200, "text/plain", {});
  finishing.send(get("/later"));
  auto third = later.take();
  std::atomic<bool> clean{false};
  std::thread stopper([&] { clean = server.server().stop(500ms); });
  CHECK(idle.closed());
  third->respond(200, "text/plain", {}, "in time");
  const Answer inTime = finishing.next();
  CHECK(inTime.body == "in time");
  CHECK(inTime.field("Connection") == "close");
  const Answer refused = waiting.next();
  CHECK(refused.status == 503);
  CHECK(refused.body.find("STOPPING") != std::string::npos);
  const Answer cut = streaming.next();
  CHECK(cut.status == 200);
  CHECK_FALSE(cut.complete);
  CHECK(statusOf([&] { second->write("x"); }) == Status::Cancelled);
  CHECK(half.closed());
  stopper.join();
  CHECK(clean);
  CHECK_FALSE(std::filesystem::exists(server.apiPath()));
}

TEST_CASE("stopping does not wait for a handler that hangs, nor for a writer that is blocked") {
  std::mutex mutex;
  std::condition_variable wake;
  bool release = false;
  std::atomic<int> inside{0};
  std::atomic<bool> left{false};
  {
    TestServer server;
    server.server().addRoutes(1, {route("GET", "/hang",
                                        [&](const auto &x) {
                                          ++inside;
                                          {
                                            std::unique_lock lock(mutex);
                                            wake.wait(lock, [&] { return release; });
                                          }
                                          CHECK(statusOf([&] { x->respond(200, "", {}, ""); }) == Status::NotFound);
                                          left = true;
                                        }),
                                  route("GET", "/flood", [&](const auto &x) {
                                    ++inside;
                                    x->begin(200, "text/plain", {});
                                    for (;;)
                                      x->write(std::string(65536, 'x'));
                                  })});
    RawClient hung(server.port());
    hung.send(get("/hang"));
    RawClient flooded(server.port());
    flooded.send(get("/flood"));
    REQUIRE(eventually([&] { return inside == 2; }));
    CHECK_FALSE(server.server().stop(50ms));
    CHECK_FALSE(server.server().removeRoutes(1, 0ms));
  }
  {
    const std::lock_guard lock(mutex);
    release = true;
  }
  wake.notify_all();
  CHECK(eventually([&] { return left.load(); }));
}

TEST_CASE("an owner's routes are removed while requests run") {
  Later later;
  TestServer server;
  server.server().addRoutes(5, {route("GET", "/mine", later.handler())});
  RawClient finishing(server.port());
  RawClient waiting(server.port());
  finishing.send(get("/mine"));
  auto first = later.take();
  waiting.send(get("/mine"));
  auto second = later.take();
  std::atomic<bool> clean{false};
  std::thread remover([&] { clean = server.server().removeRoutes(5, 300ms); });
  CHECK(eventually([&] { return server.server().listRoutes().size() == 6; }));
  first->respond(200, "text/plain", {}, "done");
  CHECK(finishing.next().body == "done");
  const Answer refused = waiting.next();
  CHECK(refused.status == 503);
  CHECK(refused.body.find("ROUTE_REMOVED") != std::string::npos);
  remover.join();
  CHECK(clean);
  CHECK(statusOf([&] { second->respond(200, "", {}, ""); }) == Status::NotFound);
  finishing.send(get("/mine"));
  CHECK(finishing.next().status == 503);
  server.server().addRoutes(6, {route("GET", "/mine", [](const auto &x) { x->respond(200, "", {}, ""); })});
  finishing.send(get("/mine"));
  CHECK(finishing.next().status == 200);
}

TEST_CASE("an owner whose handlers hang holds its share of the workers, and everybody else is served") {
  TestServer server([](ApiServerOptions &options) {
    options.workers = 4;
    options.reserve = 2;
    options.perOwner = 3;
  });
  Later stuck;
  const auto hello = [](const std::shared_ptr<ApiExchange> &exchange) { exchange->respond(200, "", {}, ""); };
  server.server().addRoutes(0, {route("GET", "/own", hello)});
  server.server().addRoutes(1, {route("GET", "/stuck", stuck.handler())});
  server.server().addRoutes(2, {route("GET", "/other", hello)});
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<std::shared_ptr<ApiExchange>> hanging;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(get("/stuck"));
    hanging.push_back(stuck.take());
  }
  for (int i = 0; i < 5; ++i) {
    RawClient more(server.port());
    more.send(get("/stuck"));
    const Answer answer = more.next();
    CHECK(answer.status == 503);
    CHECK(answer.body.find("ROUTE_BUSY") != std::string::npos);
    more.send(get("/other"));
    CHECK(more.next().status == 200);
    more.send(get("/own"));
    CHECK(more.next().status == 200);
  }
  // Workers that wait for their turn get it as soon as one ends.
  hanging[0]->respond(200, "", {}, "");
  CHECK(clients[0]->next().status == 200);
  RawClient again(server.port());
  again.send(get("/stuck"));
  stuck.take()->respond(200, "", {}, "");
  CHECK(again.next().status == 200);
  for (std::size_t i = 1; i < 3; ++i)
    hanging[i]->respond(200, "", {}, "");
}
