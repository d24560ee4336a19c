/// The tables of malformed messages against the whole listener, alone and with Debian's nginx and HAProxy as
/// neighbours: nothing is accepted wrongly, nothing hidden is executed, and there are as many answers as requests were
/// served.
#include "Kit.h"

#include <doctest/doctest.h>
#include <support/Process.h>
#include <support/TempDir.h>
#include <unistd.h>
#include <unit/edge/MalformedMessages.h>

#include <cstdlib>
#include <optional>
#include <utility>

using namespace kit;
using edgetest::kHost;
using matrixos::test::Process;
using matrixos::test::TempDir;

namespace {

std::string get(const std::string &path, const std::string &fields = {}) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + kHost + "\r\n" + fields + "\r\n";
}

/// What would be executed if a message were thought to end where it does not.
const std::string kHidden = get("/hidden");
const std::string kLast = get("/last", "Connection: close\r\n");

/// An upstream that notes each whole request and answers 200 with its target.
class Recorder {
public:
  Recorder() : upstream_([this](Conn &conn) { serve(conn); }) {}

  std::uint16_t port() const { return upstream_.port(); }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(targets_, {});
  }

private:
  void serve(Conn &conn) {
    for (;;) {
      const std::string head = conn.readHead();
      if (head.empty() || !skipBody(conn, head)) return;
      const std::size_t from = head.find(' ') + 1;
      const std::string target = head.substr(from, head.find(' ', from) - from);
      {
        const std::lock_guard lock(mutex_);
        targets_.push_back(target);
      }
      if (!conn.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(target.size()) + "\r\n\r\n" + target))
        return;
    }
  }

  static bool skipBody(Conn &conn, const std::string &head) {
    const std::string length = fieldOf(head, "Content-Length");
    if (!length.empty()) return conn.readExactly(std::stoul(length)).size() == std::stoul(length);
    if (fieldOf(head, "Transfer-Encoding").empty()) return true;
    for (;;) {
      std::string line;
      while (line.find("\r\n") == std::string::npos) {
        const std::string byte = conn.readExactly(1);
        if (byte.empty()) return false;
        line += byte;
      }
      const std::size_t size = std::stoul(line, nullptr, 16);
      if (size != 0 && conn.readExactly(size + 2).size() != size + 2) return false;
      if (size == 0) break;
    }
    std::string trailers = conn.readExactly(2);
    while (trailers.size() >= 2 && trailers.substr(trailers.size() - 2) != "\r\n")
      trailers += conn.readExactly(1);
    while (trailers != "\r\n" && trailers.find("\r\n\r\n") == std::string::npos) {
      const std::string byte = conn.readExactly(1);
      if (byte.empty()) return false;
      trailers += byte;
    }
    return true;
  }

  std::mutex mutex_;
  std::vector<std::string> targets_;
  Upstream upstream_;
};

/// How many answers there are whose status starts with that text.
std::size_t answersIn(std::string_view text, std::string_view status) {
  std::size_t count = 0;
  const std::string line = "HTTP/1.1 " + std::string(status);
  for (std::size_t at = text.find(line); at != std::string_view::npos; at = text.find(line, at + 1)) {
    const std::size_t digit = at + 9;
    if (digit < text.size() && text[digit] >= '1' && text[digit] <= '5') ++count; // and no error's sentence
  }
  return count;
}

/// Unusual, and right.
std::vector<std::string> unusualRequests() {
  const std::string post = "POST /post HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n";
  const std::string old = "GET /old HTTP/1.0\r\nHost: " + std::string(kHost) + "\r\n";
  return {
      "\r\n" + get("/after-empty-line"),
      get("/", "x-empty:\r\nX-Blank: \t v \t\r\nX-Colon: a:b:c\r\n"),
      get("//a//../b?c=d&e=%00"),
      get("/", "Connection: x-a, keep-alive\r\nX-A: 1\r\n"),
      get("/", "Content-Length: 0\r\n"),
      get("/", "TE: trailers, deflate;q=0.5\r\n"),
      get("/", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
      "OPTIONS * HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\n\r\n",
      "GET http://" + std::string(kHost) + "/absolute HTTP/1.1\r\nHost: " + kHost + "\r\n\r\n",
      post + "Content-Length: 0005\r\n\r\nhello",
      post + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
      post + "Content-Length: " + std::to_string(kHidden.size()) + "\r\n\r\n" + kHidden,
      chunked + "\r\n0\r\n\r\n",
      chunked + "\r\n5\r\nhello\r\n0\r\n\r\n",
      chunked + "\r\n5;name=value\r\nhello\r\n00;x=\"y\"\r\n\r\n",
      chunked + "Trailer: X-T\r\n\r\n0005\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
      "POST /post HTTP/1.1\r\nHost: " + std::string(kHost) +
          "\r\ntransfer-ENCODING:Chunked\r\n\r\n1\r\n\r\r\n0\r\n\r\n",
      old + "\r\n",
      old + "Connection: keep-alive\r\n\r\n",
  };
}

/// Sends a message, a request behind it and a last one, and compares what was answered with what was served: so many
/// requests.
std::size_t replay(std::uint16_t port, const std::string &text, Recorder &recorder) {
  CAPTURE(text);
  recorder.take();
  Conn conn = Conn::to(port);
  conn.send(text + kHidden + kLast);
  const std::string answers = conn.readAll();
  const std::vector<std::string> served = recorder.take();
  CAPTURE(answers);
  CHECK(answersIn(answers, "200") == served.size());
  return served.size();
}

bool installed(const char *program) {
  if (::access(program, X_OK) == 0) return true;
  const char *ci = std::getenv("CI");
  CHECK_MESSAGE((ci == nullptr || std::string(ci) != "true"), std::string(program) << " is missing, and CI=true");
  MESSAGE("skipped: there is no " << std::string(program));
  return false;
}

/// A neighbour that is as lenient as it can be told to be, so that it passes on what it can.
class Neighbour {
public:
  enum class Kind { Nginx, HAProxy };

  Neighbour(Kind kind, std::uint16_t to) : port_(freePort()) {
    const std::string listen = "127.0.0.1:" + std::to_string(port_);
    const std::string target = "127.0.0.1:" + std::to_string(to);
    std::vector<std::string> command;
    if (kind == Kind::Nginx) {
      matrixos::test::writeFile(dir_ / "nginx.conf", nginxConfig(listen, target));
      command = {"/usr/sbin/nginx", "-c", (dir_ / "nginx.conf").string(), "-e", (dir_ / "error").string()};
    } else {
      matrixos::test::writeFile(dir_ / "haproxy.cfg", haproxyConfig(listen, target));
      command = {"/usr/sbin/haproxy", "-db", "-q", "-f", (dir_ / "haproxy.cfg").string()};
    }
    process_.emplace(command, dir_ / "log");
    const bool serves = eventually([this] {
      try {
        Conn::to(port_);
        return true;
      } catch (const std::exception &) {
        return false;
      }
    });
    REQUIRE_MESSAGE(serves, matrixos::test::readFile(dir_ / "log"));
  }

  std::uint16_t port() const { return port_; }

private:
  std::string nginxConfig(const std::string &listen, const std::string &target) const {
    std::string temp;
    for (const char *kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      temp += std::string(kind) + "_temp_path " + (dir_ / kind).string() + ";\n";
    return "daemon off;\nmaster_process off;\npid " + (dir_ / "pid").string() +
           ";\nevents { worker_connections 512; }\nhttp {\naccess_log off;\n" + temp +
           "ignore_invalid_headers off;\nunderscores_in_headers on;\nclient_header_timeout 1s;\nclient_body_timeout "
           "1s;\n"
           "upstream next { server " +
           target +
           "; keepalive 8; }\n"
           "server { listen " +
           listen +
           "; location / { proxy_pass http://next; proxy_http_version 1.1; proxy_request_buffering off;\n"
           "proxy_set_header Host $http_host; proxy_set_header Connection \"\"; proxy_next_upstream off; } } }\n";
  }

  static std::string haproxyConfig(const std::string &listen, const std::string &target) {
    return "defaults\nmode http\ntimeout connect 2s\ntimeout client 1s\ntimeout server 5s\ntimeout http-request 1s\n"
           "retries 0\nhttp-reuse always\nfrontend world\nbind " +
           listen + "\noption accept-invalid-http-request\ndefault_backend next\nbackend next\nserver one " + target +
           "\n";
  }

  TempDir dir_;
  std::uint16_t port_;
  std::optional<Process> process_;
};

constexpr std::pair<Neighbour::Kind, const char *> kNeighbours[] = {{Neighbour::Kind::Nginx, "/usr/sbin/nginx"},
                                                                    {Neighbour::Kind::HAProxy, "/usr/sbin/haproxy"}};

} // namespace

TEST_CASE("malformed requests are refused, the connection ends, and nothing behind them is executed") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  const auto rows = edgetest::malformedRequests();
  for (const auto &row : rows) {
    CAPTURE(row.what);
    CAPTURE(row.text);
    Conn conn = f.connect();
    conn.send(row.text + kHidden);
    const auto answer = conn.readResponse();
    CHECK(answer.status == row.status);
    CHECK(answer.field("Connection") == "close");
    CHECK(conn.readAll().empty());
  }
  CHECK(recorder.take().empty());
  MESSAGE(rows.size() << " malformed requests, 0 accepted");
}

TEST_CASE("malformed chunked bodies are refused, and nothing behind them is executed") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  for (const std::string &body : edgetest::malformedChunks()) {
    CAPTURE(body);
    Conn conn = f.connect();
    conn.send("POST / HTTP/1.1\r\nHost: " + std::string(kHost) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body +
              kHidden);
    CHECK(conn.readResponse().status == 400);
    CHECK(conn.readAll().empty());
  }
  CHECK(recorder.take().empty());
}

TEST_CASE("malformed responses become 502, and nothing behind them answers another request") {
  const auto rows = edgetest::malformedResponses();
  Upstream raw([&rows](Conn &conn) {
    const std::string head = conn.readHead();
    if (head.empty()) return;
    conn.send(rows[std::stoul(head.substr(5))] + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhidden");
    conn.readAll();
  });
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", raw.port());
  f.instance("bob", "running", recorder.port());
  Conn conn = f.connect();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(rows[i]);
    CHECK(conn.get("/" + std::to_string(i), kHost).status == 502);
    const auto next = conn.get("/next", "bob.localhost");
    CHECK(next.status == 200);
    CHECK(next.body == "/next");
  }
  MESSAGE(rows.size() << " malformed responses, 0 accepted");
}

TEST_CASE("unusual requests are answered one by one") {
  Recorder recorder;
  ProxyFixture f;
  f.instance("alice", "running", recorder.port());
  for (const std::string &text : unusualRequests()) {
    // HTTP/1.0 ends with its first answer.
    CHECK(replay(f.port, text, recorder) == (text.find(" HTTP/1.0") == std::string::npos ? 3 : 1));
  }
}

TEST_CASE("with a lenient proxy in front, answers and requests stay in step") {
  for (const auto &[kind, program] : kNeighbours) {
    if (!installed(program)) continue;
    Recorder recorder;
    ProxyFixture f;
    f.instance("alice", "running", recorder.port());
    const Neighbour front(kind, f.port);
    std::size_t served = 0;
    for (const auto &row : edgetest::malformedRequests())
      served += replay(front.port(), row.text, recorder);
    for (const std::string &text : unusualRequests())
      served += replay(front.port(), text, recorder);
    CHECK(served > 40); // much of it did come through
    MESSAGE(std::string(program) << ": " << served << " requests served and answered");
  }
}

TEST_CASE("with a proxy behind, it sees nothing malformed, and answers and requests stay in step") {
  for (const auto &[kind, program] : kNeighbours) {
    if (!installed(program)) continue;
    Recorder recorder;
    const Neighbour behind(kind, recorder.port());
    ProxyFixture f;
    f.instance("alice", "running", behind.port());
    std::size_t served = 0;
    for (const auto &row : edgetest::malformedRequests())
      CHECK(replay(f.port, row.text, recorder) == 0);
    for (const std::string &text : unusualRequests())
      served += replay(f.port, text, recorder);
    CHECK(served > 40);
    MESSAGE(std::string(program) << ": " << served << " requests served and answered");
  }
}
