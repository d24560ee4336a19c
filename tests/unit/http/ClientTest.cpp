#include "http/UnixHttpClient.h"
#include "unit/http/HttpTestSupport.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

using namespace httptest;
using namespace matrixos;
using namespace matrixos::api;

namespace {

/// A server that says exactly this to one client, then closes.
class Liar {
public:
  explicit Liar(std::string answer) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr *>(&address), length) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, text = std::move(answer)] {
      const int client = ::accept(fd_, nullptr, nullptr);
      char buffer[4096];
      if (::recv(client, buffer, sizeof(buffer), 0) > 0) {
        if (text.empty())
          ::recv(client, buffer, sizeof(buffer), 0);
        else if (::send(client, text.data(), text.size(), MSG_NOSIGNAL) < 0)
          port_ = 0;
      }
      ::close(client);
    });
  }
  ~Liar() {
    ::shutdown(fd_, SHUT_RDWR); // for a client that never came
    thread_.join();
    ::close(fd_);
  }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }

private:
  int fd_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

template <typename Call>
Status statusOf(Call &&call) {
  try {
    call();
    return Status::Ok;
  } catch (const Error &e) {
    return e.status();
  }
}

UnixHttpClient::Request requestTo(const std::string &method, const std::string &path, const std::string &body = {}) {
  UnixHttpClient::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  return request;
}

Status outcomeOf(const std::string &answer) {
  const Liar liar(answer);
  const UnixHttpClient client(liar.endpoint());
  return statusOf([&] { client.request(requestTo("GET", "/")); });
}

} // namespace

TEST_CASE("the client speaks to the API over unix sockets and TCP") {
  TestServer server;
  for (const std::string &endpoint :
       {"unix:" + server.apiPath(), "http://127.0.0.1:" + std::to_string(server.port())}) {
    CAPTURE(endpoint);
    const UnixHttpClient client(endpoint);
    const auto hello = client.request(requestTo("GET", "/hello"));
    CHECK(hello.status == 200);
    CHECK(hello.body == "hello");
    CHECK(hello.find("content-type") == "text/plain");
    const std::string body(60000, 'x');
    CHECK(client.request(requestTo("POST", "/echo", body)).body == body);
    CHECK(client.request(requestTo("POST", "/nobody")).status == 204);
    CHECK(client.request(requestTo("HEAD", "/hello")).status == 200);
    const auto missing = client.request(requestTo("DELETE", "/none"));
    CHECK(missing.status == 404);
    CHECK(missing.body.find("NO_ROUTE") != std::string::npos);
    auto secret = requestTo("GET", "/admin-only");
    CHECK(client.request(secret).status == 401);
    secret.fields.push_back({"Authorization", std::string("Bearer ") + kSecret});
    CHECK(client.request(secret).body == "admin");
  }
}

TEST_CASE("the client hands over lines while the answer streams, and stops on demand") {
  TestServer server;
  std::atomic<bool> more{false};
  std::atomic<bool> cut{false};
  server.server().addRoutes(1, {route("GET", "/lines",
                                      [&](const auto &x) {
                                        x->begin(200, "text/plain", {});
                                        x->write("one\ntw");
                                        x->write("o\r\n");
                                        eventually([&] { return more.load(); });
                                        x->write("\nlast");
                                        x->end();
                                      }),
                                route("GET", "/endless", [&](const auto &x) {
                                  x->begin(200, "text/plain", {});
                                  try {
                                    for (;;)
                                      x->write("tick\n");
                                  } catch (const Error &) {
                                    cut = true;
                                  }
                                })});
  const UnixHttpClient client("unix:" + server.apiPath());
  std::vector<std::string> lines;
  const auto response = client.stream(requestTo("GET", "/lines"), [&](std::string_view line) {
    lines.emplace_back(line);
    if (lines.size() == 2) more = true;
    return true;
  });
  CHECK(response.status == 200);
  CHECK(lines == std::vector<std::string>{"one", "two", "", "last"});
  int ticks = 0;
  client.stream(requestTo("GET", "/endless"), [&](std::string_view) { return ++ticks < 3; });
  CHECK(ticks == 3);
  CHECK(eventually([&] { return cut.load(); }));
  lines.clear();
  const auto refused = client.stream(requestTo("GET", "/none"), [&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  });
  CHECK(refused.status == 404);
  CHECK(lines.empty());
  CHECK(refused.body.find("NO_ROUTE") != std::string::npos);
}

TEST_CASE("half an answer is no answer") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  CHECK(outcomeOf(ok + "Content-Length: 5\r\n\r\nhello") == Status::Ok);
  CHECK(outcomeOf(ok + "Content-Length: 5\r\n\r\nhel") == Status::DataLoss);
  CHECK(outcomeOf(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") == Status::Ok);
  CHECK(outcomeOf(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n") == Status::DataLoss);
  CHECK(outcomeOf(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel") == Status::DataLoss);
  CHECK(outcomeOf(ok + "\r\nhello") == Status::DataLoss);
  CHECK(outcomeOf(ok + "Content-") == Status::DataLoss);
}

TEST_CASE("the client's failures say what to do") {
  const TempDir dir;
  const auto to = [](const std::string &endpoint, UnixHttpClient::Request request) {
    return statusOf([&] { UnixHttpClient(endpoint).request(request); });
  };
  CHECK(to("unix:" + (dir.path() / "none.sock").string(), requestTo("GET", "/")) == Status::Unavailable);
  CHECK(to("ftp://x", requestTo("GET", "/")) == Status::InvalidArgument);
  CHECK(to("unix:", requestTo("GET", "/")) == Status::InvalidArgument);
  CHECK(to("unix:/" + std::string(200, 'a'), requestTo("GET", "/")) == Status::InvalidArgument);
  TestServer server;
  const std::string good = "unix:" + server.apiPath();
  CHECK(to(good, requestTo("G T", "/")) == Status::InvalidArgument);
  CHECK(to(good, requestTo("GET", "hello")) == Status::InvalidArgument);
  CHECK(to(good, requestTo("GET", "/a b")) == Status::InvalidArgument);
  auto injected = requestTo("GET", "/hello");
  injected.fields.push_back({"X-A", "b\r\nX-C: d"});
  CHECK(to(good, injected) == Status::InvalidArgument);
  auto tooLarge = requestTo("POST", "/echo", std::string(1000, 'x'));
  tooLarge.maxBody = 999;
  CHECK(to(good, tooLarge) == Status::ResourceExhausted);
  const Liar silent("");
  auto slow = requestTo("GET", "/");
  slow.timeout = std::chrono::milliseconds(200);
  CHECK(to(silent.endpoint(), slow) == Status::DeadlineExceeded);
  const Liar waiting("");
  auto cancelled = requestTo("GET", "/");
  cancelled.cancelled = [] { return true; };
  CHECK(to(waiting.endpoint(), cancelled) == Status::Cancelled);
}
