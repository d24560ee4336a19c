#include "Fixture.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

EngineRequest get(const std::string &path) {
  EngineRequest request;
  request.method = "GET";
  request.target = path;
  return request;
}

} // namespace

TEST_CASE("endpoints: what is accepted and what is refused") {
  CHECK(EngineEndpoint::parse("unix:/var/run/docker.sock").socketPath == "/var/run/docker.sock");
  CHECK(EngineEndpoint::parse("unix:///var/run/docker.sock").socketPath == "/var/run/docker.sock");
  CHECK(EngineEndpoint::parse("tcp://127.0.0.1:2375").text() == "tcp://127.0.0.1:2375");
  for (const char *bad :
       {"", "docker.sock", "unix:", "unix:relative", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:99999",
        "tcp://10.0.0.1:2375", "tcp://127.0.0.1:2375/x", "http://127.0.0.1:1"}) {
    CAPTURE(bad);
    CHECK(failure([&] { EngineEndpoint::parse(bad); }).status() == Status::InvalidArgument);
  }
}

TEST_CASE("requests are written as they should be, on one kept connection") {
  Fixture f;
  const CallScope scope(std::chrono::seconds{20});
  f.engine.on("POST", "/x", [](const FakeRequest &request) { return answer(200, request.body); });
  EngineRequest post = get("/v1.41/x?a=b");
  post.method = "POST";
  post.body = "{\"k\":\"v\"}";
  post.fields = {{"X-Registry-Auth", "secret"}};
  for (int i = 0; i < 5; ++i)
    CHECK(f.http.send(Call(scope.abi()), post).body == post.body);
  post.body.clear();
  CHECK(f.http.send(Call(scope.abi()), post).status == 200);
  CHECK(f.engine.connections() == 1);
  const FakeRequest request = f.engine.requests().front();
  CHECK(contains(request.head, "POST /v1.41/x?a=b HTTP/1.1\r\n"));
  CHECK(contains(request.head, "Host: engine\r\n"));
  CHECK(contains(request.head, "Content-Type: application/json\r\n"));
  CHECK(contains(request.head, "X-Registry-Auth: secret\r\n"));
  CHECK_FALSE(contains(request.head, "Expect"));
}

TEST_CASE("proxies of the environment are not asked") {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  Fixture f;
  const CallScope scope(std::chrono::seconds{20});
  CHECK(f.http.send(Call(scope.abi()), get("/version")).status == 200);
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
}

TEST_CASE("a redirect is an answer, not an instruction") {
  Fixture f;
  FakeAnswer redirect = answer(302, "");
  redirect.bytes.insert(redirect.bytes.find("\r\n") + 2, "Location: /version\r\n");
  f.engine.on("GET", "/moved", redirect);
  const CallScope scope(std::chrono::seconds{20});
  CHECK(f.http.send(Call(scope.abi()), get("/moved")).status == 302);
  CHECK(f.engine.count("GET", "/version") == 0);
}

TEST_CASE("an engine that restarted is talked to again") {
  Fixture f;
  const CallScope scope(std::chrono::seconds{20});
  f.http.send(Call(scope.abi()), get("/version"));
  f.engine.dropConnections();
  CHECK(f.http.send(Call(scope.abi()), get("/version")).status == 200);
}

TEST_CASE("cancellation ends a silent exchange") {
  Fixture f;
  f.engine.on("GET", "/slow", hang());
  CallScope scope(std::chrono::milliseconds::max());
  std::thread canceller([&] {
    while (f.engine.count("GET", "/slow") == 0)
      std::this_thread::yield();
    scope.cancel();
  });
  Status status = Status::Ok;
  SUBCASE("by its descriptor") {
    status = failure([&] { f.http.send(Call(scope.abi()), get("/slow")); }).status();
  }
  SUBCASE("without a descriptor") {
    mos_call call = *scope.abi();
    call.cancel_fd = -1;
    status = failure([&] { f.http.send(Call(&call), get("/slow")); }).status();
  }
  canceller.join();
  CHECK(status == Status::Cancelled);
  // The cut exchange leaves nothing behind for the next one.
  const CallScope next(std::chrono::seconds{20});
  CHECK(f.http.send(Call(next.abi()), get("/version")).status == 200);
}

TEST_CASE("a call that is over does not reach the engine") {
  Fixture f;
  CallScope scope(std::chrono::seconds{20});
  scope.cancel();
  CHECK(failure([&] { f.http.send(Call(scope.abi()), get("/version")); }).status() == Status::Cancelled);
  const CallScope late(std::chrono::milliseconds{-5});
  CHECK(failure([&] { f.http.send(Call(late.abi()), get("/version")); }).status() == Status::DeadlineExceeded);
  CHECK(f.engine.requests().empty());
}

TEST_CASE("limits of its own: the time for an answer, and silence in a stream") {
  Fixture f;
  f.engine.on("GET", "/slow", hang());
  f.engine.on("GET", "/stream", stalled(200, "a"));
  EngineRequest slow = get("/slow");
  slow.timeout = std::chrono::milliseconds{30};
  const Error error = failure([&] { f.http.send(Call(nullptr), slow); });
  CHECK(error.status() == Status::Unavailable);
  CHECK(error.reason() == MOS_REASON_ENGINE_UNREACHABLE);
  EngineRequest stream = get("/stream");
  stream.timeout = std::chrono::milliseconds{0};
  stream.maxSilence = std::chrono::milliseconds{1000}; // enough for the first byte on a busy machine
  std::string got;
  const Error silent = failure([&] {
    f.http.stream(Call(nullptr), stream, [&](std::string_view bytes) {
      got += bytes;
      return true;
    });
  });
  CHECK(got == "a");
  CHECK(contains(silent.what(), "fell silent"));
}

TEST_CASE("shutdown ends what runs and what comes") {
  Fixture f;
  f.engine.on("GET", "/slow", hang());
  std::thread stopper([&] {
    while (f.engine.count("GET", "/slow") == 0)
      std::this_thread::yield();
    f.http.shutdown();
  });
  CHECK(failure([&] { f.http.send(Call(nullptr), get("/slow")); }).reason() == "STOPPING");
  stopper.join();
  CHECK(failure([&] { f.http.send(Call(nullptr), get("/slow")); }).reason() == "STOPPING");
}

TEST_CASE("a receiver may stop a stream, or throw") {
  Fixture f;
  f.engine.on("GET", "/stream", stalled(200, "part"));
  CHECK(f.http.stream(Call(nullptr), get("/stream"), [](std::string_view) { return false; }).stopped);
  const Error thrown = failure([&] {
    f.http.stream(Call(nullptr), get("/stream"),
                  [](std::string_view) -> bool { throw Error(Status::DataLoss, "from inside"); });
  });
  CHECK(thrown.status() == Status::DataLoss);
}

TEST_CASE("lines of a stream arrive whole however they are cut, blank ones not at all") {
  Fixture f;
  const std::string text = "{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    f.engine.on("GET", "/stream", chunked(200, {text.substr(0, cut), text.substr(cut)}));
    std::vector<std::string> lines;
    const http::ClientResponse response = f.http.streamLines(Call(nullptr), get("/stream"), [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
    CHECK_FALSE(response.stopped);
    CHECK(lines == std::vector<std::string>{"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"});
  }
  f.engine.on("GET", "/stream", chunked(200, {std::string(http::LineCutter::kMaxLine + 1, 'x')}));
  const Error tooLong =
      failure([&] { f.http.streamLines(Call(nullptr), get("/stream"), [](std::string_view) { return true; }); });
  CHECK(tooLong.reason() == MOS_REASON_ENGINE_REPLY);
}

TEST_CASE("an error's body is not streamed, and only its start is read") {
  Fixture f;
  f.engine.on("GET", "/stream", flood(500, 10U << 20U));
  bool called = false;
  const http::ClientResponse response = f.http.stream(Call(nullptr), get("/stream"), [&](std::string_view) {
    called = true;
    return true;
  });
  CHECK_FALSE(called);
  CHECK(response.status == 500);
  CHECK(response.body.size() == 64 * 1024);
}

TEST_CASE("no engine: each cause has its sentence") {
  TempDir directory;
  const std::string path = directory.path() / "engine.sock";
  EngineHttp http(EngineEndpoint::parse("unix:" + path));
  const Error missing = failure([&] { http.send(Call(nullptr), get("/version")); });
  CHECK(missing.status() == Status::Unavailable);
  CHECK(missing.reason() == MOS_REASON_ENGINE_UNREACHABLE);
  CHECK(contains(missing.what(), "there is no engine socket at " + path));
  CHECK(missing.retryAfterMs() > 0);

  // A socket that nobody listens on any more.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0);
  ::close(fd);
  const Error dead = failure([&] { http.send(Call(nullptr), get("/version")); });
  CHECK(dead.reason() == MOS_REASON_ENGINE_UNREACHABLE);
  CHECK(contains(dead.what(), "nobody listens"));

  EngineHttp tcp(EngineEndpoint::parse("tcp://127.0.0.1:1"));
  CHECK(failure([&] { tcp.send(Call(nullptr), get("/version")); }).reason() == MOS_REASON_ENGINE_UNREACHABLE);
}

TEST_CASE("a socket without permission: ENGINE_DENIED names the group and the command") {
  Fixture f;
  REQUIRE(::chmod(f.engine.socketPath().c_str(), 0600) == 0);
  std::filesystem::permissions(f.directory.path(), std::filesystem::perms(0755));
  // Root passes every permission, so another user asks.
  const bool root = ::geteuid() == 0;
  if (root)
    REQUIRE(::seteuid(65534) == 0);
  else
    REQUIRE(::chmod(f.engine.socketPath().c_str(), 0) == 0);
  const Error error = failure([&] { f.http.send(Call(nullptr), get("/version")); });
  if (root) REQUIRE(::seteuid(0) == 0);
  CHECK(error.status() == Status::PermissionDenied);
  CHECK(error.reason() == MOS_REASON_ENGINE_DENIED);
  CHECK(contains(error.what(), "usermod -aG "));
}

TEST_CASE("many threads share the client") {
  Fixture f;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 25; ++round) {
        const CallScope scope(std::chrono::seconds{30});
        if (f.http.send(Call(scope.abi()), get("/version")).status == 200) ++good;
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  CHECK(good == 200);
  CHECK(f.engine.connections() <= 20);
}

TEST_CASE("each exchange is reported with its outcome") {
  TempDir directory;
  FakeEngine engine(directory.path());
  std::vector<std::string> outcomes;
  EngineHttp http(EngineEndpoint::parse(engine.endpoint()), [&](double seconds, const char *outcome) {
    CHECK(seconds >= 0);
    outcomes.emplace_back(outcome);
  });
  engine.on("GET", "/cut", hangUp());
  engine.on("GET", "/short", truncated(200, "x"));
  for (const char *path : {"/version", "/unknown", "/cut", "/short"}) {
    guarded(nullptr, [&] { http.send(Call(nullptr), get(path)); });
  }
  CHECK(outcomes == std::vector<std::string>{"ok", "refused", "unreachable", "reply"});
}
