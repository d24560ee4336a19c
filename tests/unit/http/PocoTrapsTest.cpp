// Each case shows a trap on a stock Poco 1.11 server first, so that it is known to be one, and then that it is none
// here.
#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>
#include <Poco/ThreadPool.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

using Request = Poco::Net::HTTPServerRequest;
using Response = Poco::Net::HTTPServerResponse;
using Handle = std::function<void(Request &, Response &)>;

class Handler : public Poco::Net::HTTPRequestHandler {
public:
  explicit Handler(const Handle &handle) : handle_(handle) {}
  void handleRequest(Request &request, Response &response) override { handle_(request, response); }

private:
  const Handle &handle_;
};

class Factory : public Poco::Net::HTTPRequestHandlerFactory {
public:
  explicit Factory(Handle handle) : handle_(std::move(handle)) {}
  Poco::Net::HTTPRequestHandler *createRequestHandler(const Request &) override { return new Handler(handle_); }

private:
  Handle handle_;
};

/// Poco's server as it comes.
class Stock {
public:
  explicit Stock(Handle handle, int threads = 16, int queued = 100, const std::string &unixPath = {})
      : socket_(unixPath.empty() ? Poco::Net::SocketAddress("127.0.0.1:0")
                                 : Poco::Net::SocketAddress(Poco::Net::SocketAddress::UNIX_LOCAL, unixPath)),
        pool_(2, 64) {
    Poco::Net::HTTPServerParams::Ptr params = new Poco::Net::HTTPServerParams;
    params->setMaxThreads(threads);
    params->setMaxQueued(queued);
    params->setThreadIdleTime(Poco::Timespan(0, 100000));
    params->setTimeout(Poco::Timespan(5, 0));
    server_ = std::make_unique<Poco::Net::HTTPServer>(new Factory(std::move(handle)), pool_, socket_, params);
    server_->start();
  }
  ~Stock() {
    server_->stopAll(true);
    pool_.joinAll();
  }
  std::uint16_t port() const { return socket_.address().port(); }
  Poco::Net::HTTPServer &server() { return *server_; }

private:
  Poco::Net::ServerSocket socket_;
  Poco::ThreadPool pool_;
  std::unique_ptr<Poco::Net::HTTPServer> server_;
};

void answerOk(Response &response, const std::string &body = "ok") {
  response.setContentLength(static_cast<std::streamsize>(body.size()));
  response.send() << body;
}

/// A handler that counts hidden requests and reads no body.
Handle countingHidden(std::atomic<int> &hidden) {
  return [&](Request &request, Response &response) {
    if (request.getURI() == "/hidden") ++hidden;
    answerOk(response);
  };
}

std::vector<int> answersOf(std::uint16_t port, const std::string &bytes) {
  RawClient client(port);
  client.send(bytes);
  std::vector<int> statuses;
  for (Answer answer = client.next(false, 700ms); answer.status != 0; answer = client.next(false, 700ms)) {
    statuses.push_back(answer.status);
  }
  return statuses;
}

std::string post(const std::string &fields, const std::string &body) {
  return "POST /echo HTTP/1.1\r\nHost: api\r\n" + fields + "\r\n" + body;
}

} // namespace

TEST_CASE("trap: a body that the handler does not read is executed as the next request (poco#2977)") {
  const std::string body = get("/hidden");
  const std::string bytes =
      "POST /nobody HTTP/1.1\r\nHost: api\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  std::atomic<int> hidden{0};
  Stock stock(countingHidden(hidden));
  CHECK(answersOf(stock.port(), bytes).size() == 2);
  CHECK(hidden == 1);
  TestServer ours;
  CHECK(answersOf(ours.port(), bytes) == std::vector<int>{413});
  CHECK(ours.hidden == 0);
}

TEST_CASE("trap: contradictory framing and malformed fields get 200") {
  const std::string chunks = "2\r\nhi\r\n0\r\n\r\n";
  struct Case {
    const char *name;
    std::string bytes;
  };
  const Case cases[] = {
      {"two lengths", post("Content-Length: 2\r\nContent-Length: 0\r\n", "hi")},
      {"negative length", post("Content-Length: -1\r\n", "")},
      {"TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", chunks)},
      {"Host with space", "GET /hello HTTP/1.1\r\nHost : api\r\n\r\n"},
      {"no Host", "GET /hello HTTP/1.1\r\n\r\n"},
      {"gzip, chunked framed by length", post("Transfer-Encoding: gzip, chunked\r\nContent-Length: 2\r\n", "hi")}};
  Stock stock([](Request &, Response &response) {
    response.setKeepAlive(false);
    answerOk(response);
  });
  TestServer ours;
  for (const Case &item : cases) {
    CAPTURE(item.name);
    RawClient misled(stock.port());
    misled.send(item.bytes);
    CHECK(misled.next().status == 200);
    CHECK(answersOf(ours.port(), item.bytes) == std::vector<int>{400});
  }
  CHECK(ours.served == 0);
}

TEST_CASE("trap: a handler's std::exception drops the connection silently") {
  Stock stock([](Request &, Response &) { throw std::runtime_error("bug"); });
  CHECK(answersOf(stock.port(), get("/x")).empty());
  TestServer ours;
  ours.server().addRoutes(1, {route("GET", "/x", [](const auto &) { throw std::runtime_error("bug"); })});
  RawClient client(ours.port());
  client.send(get("/x") + get("/hello"));
  CHECK(client.next().status == 500);
  CHECK(client.next().status == 200);
  CHECK(ours.faults == 1);
}

TEST_CASE("trap: reading a chunked body past its end waits for more, or eats the next request (poco#3147)") {
  std::atomic<bool> readWhole{false};
  std::atomic<int> next{-2};
  Stock stock([&](Request &request, Response &response) {
    std::string body;
    Poco::StreamCopier::copyToString(request.stream(), body);
    request.stream().clear();
    readWhole = true;
    next = request.stream().get();
    answerOk(response);
  });
  RawClient misled(stock.port());
  misled.send(post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"));
  REQUIRE(eventually([&] { return readWhole.load(); }));
  misled.send("6\r\nstolen\r\n0\r\n\r\n"); // belongs to no request
  CHECK(eventually([&] { return next != -2; }));
  CHECK(next == 's');

  TestServer ours;
  RawClient client(ours.port());
  client.send(post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"));
  CHECK(client.next().body == "hi");
  client.send("6\r\nstolen\r\n0\r\n\r\n");
  CHECK(client.next().status == 400);
}

TEST_CASE("trap: idle connections hold all workers, and what overflows the queue is dropped without a word") {
  std::atomic<int> served{0};
  Stock stock(
      [&](Request &, Response &response) {
        ++served;
        answerOk(response);
      },
      2, 1);
  // One after the other: two that come at once overflow the queue of one already, although both threads are free.
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 2; ++i) {
    idle.push_back(std::make_unique<RawClient>(stock.port()));
    idle.back()->send(get("/hello"));
    CHECK(idle.back()->next().status == 200);
  }
  RawClient queued(stock.port());
  queued.send(get("/hello"));
  REQUIRE(eventually([&] { return stock.server().queuedConnections() == 1; }));
  RawClient dropped(stock.port());
  dropped.send(get("/hello"));
  CHECK(dropped.rest().empty());
  CHECK(served == 2);

  TestServer ours([](ApiServerOptions &options) {
    options.workers = 2;
    options.backlog = 1;
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(ours.port()));
    clients.back()->send(get("/hello"));
    CHECK(clients.back()->next().status == 200);
  }
}

TEST_CASE("trap: stopAll(false) waits for an open stream") {
  std::atomic<bool> streaming{false};
  std::atomic<bool> end{false};
  Stock stock([&](Request &, Response &response) {
    response.setChunkedTransferEncoding(true);
    std::ostream &out = response.send();
    out << "part" << std::flush;
    streaming = true;
    eventually([&] { return end.load(); });
  });
  RawClient client(stock.port());
  client.send(get("/stream"));
  REQUIRE(eventually([&] { return streaming.load(); }));
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    stock.server().stopAll(false);
    stopped = true;
  });
  CHECK_FALSE(eventually([&] { return stopped.load(); }, 500ms));
  end = true;
  stopper.join();

  std::shared_ptr<Exchange> open;
  std::atomic<bool> begun{false};
  TestServer ours;
  ours.server().addRoutes(1, {route("GET", "/stream", [&](const auto &x) {
                            x->begin(200, "text/plain", {});
                            open = x;
                            begun = true;
                          })});
  RawClient other(ours.port());
  other.send(get("/stream"));
  REQUIRE(eventually([&] { return begun.load(); }));
  CHECK(ours.server().stop(0ms)); // nobody ends the stream
  CHECK_FALSE(other.next().complete);
}

TEST_CASE("trap: encoded words are decoded on read, so that CR LF comes back on write") {
  const std::string field = "X-Thing: =?UTF-8?B?DQpYLUluamVjdGVkOiB5ZXM=?=\r\n"; // "\r\nX-Injected: yes"
  Stock stock([](Request &request, Response &response) {
    response.set("X-Echo", request.get("X-Thing", ""));
    answerOk(response);
  });
  RawClient misled(stock.port());
  misled.send(get("/x", field));
  CHECK(misled.next().field("X-Injected") == "yes");

  TestServer ours;
  ours.server().addRoutes(
      1, {route("GET", "/x",
                [](const auto &x) {
                  x->respond(200, "text/plain", {{"X-Echo", std::string(*x->header("X-Thing"))}}, "ok");
                }),
          route("GET", "/y", [](const auto &x) {
            x->respond(200, "text/plain", {{"X-Echo", "\r\nX-Injected: yes"}}, "ok");
          })});
  RawClient client(ours.port());
  client.send(get("/x", field));
  const Answer kept = client.next();
  CHECK(kept.field("X-Injected").empty());
  CHECK(kept.field("X-Echo") == "=?UTF-8?B?DQpYLUluamVjdGVkOiB5ZXM=?=");
  client.send(get("/y"));
  const Answer refused = client.next();
  CHECK(refused.status == 400); // what the handler did is an InvalidArgument, and nothing of it goes out
  CHECK(refused.field("X-Injected").empty());
}

TEST_CASE("trap: the client's session takes half a chunked body for a whole one (poco#5032)") {
  Stock stock([](Request &, Response &response) {
    response.setChunkedTransferEncoding(true);
    response.send() << "half" << std::flush;
    throw Poco::Exception("cut");
  });
  // What this server sends is complete, because Poco ends a stream even when its handler fails.
  RawClient raw(stock.port());
  raw.send(get("/x"));
  CHECK(raw.next().complete);

  TestServer ours;
  ours.server().addRoutes(1, {route("GET", "/x", [](const auto &x) {
                            x->begin(200, "text/plain", {});
                            x->write("half");
                            throw std::runtime_error("cut");
                          })});
  Poco::Net::HTTPClientSession session("127.0.0.1", ours.port());
  Poco::Net::HTTPRequest request("GET", "/x", "HTTP/1.1");
  session.sendRequest(request);
  Poco::Net::HTTPResponse response;
  std::string body;
  Poco::StreamCopier::copyToString(session.receiveResponse(response), body);
  CHECK(body == "half"); // no exception, no sign that it was cut; UnixHttpClient says DataLoss
  RawClient client(ours.port());
  client.send(get("/x"));
  CHECK_FALSE(client.next().complete);
}

TEST_CASE("trap: clientAddress() of a unix connection is garbage") {
  const TempDir dir;
  const std::string path = (dir.path() / "stock.sock").string();
  std::string address;
  std::atomic<bool> asked{false};
  Stock stock(
      [&](Request &request, Response &response) {
        try {
          address = request.clientAddress().toString();
        } catch (const std::exception &e) {
          address = e.what();
        }
        asked = true;
        answerOk(response);
      },
      4, 10, path);
  RawClient misled(path);
  misled.send(get("/x"));
  REQUIRE(eventually([&] { return asked.load(); }));
  // What stands there comes from memory that nobody filled, so there is nothing firm to compare it with.
  MESSAGE("Poco calls an unnamed unix client \"" << address << "\"");

  // Ours has no such call; what is known of a unix peer are its credentials.
  TestServer ours;
  RawClient client(ours.adminPath());
  client.send(get("/admin-only"));
  CHECK(client.next().body == "uid:" + std::to_string(::getuid()));
}
