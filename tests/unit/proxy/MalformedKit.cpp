#include "MalformedKit.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

namespace kit {

using edgetest::kHost;

namespace {

std::string targetOf(const std::string &head) {
  const std::size_t from = head.find(' ') + 1;
  return head.substr(from, head.find(' ', from) - from);
}

std::string answerWith(const std::string &text, bool toHead = false) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + (toHead ? "" : text);
}

/// Where the next answer begins whose status starts with that text; no error's sentence is taken for one.
std::size_t findAnswer(std::string_view text, std::string_view status, std::size_t from) {
  const std::string line = "HTTP/1.1 " + std::string(status);
  for (std::size_t at = text.find(line, from); at != std::string_view::npos; at = text.find(line, at + 1)) {
    const std::size_t digit = at + 9;
    if (digit < text.size() && text[digit] >= '1' && text[digit] <= '5') return at;
  }
  return std::string_view::npos;
}

bool readable(const Conn &conn, int ms) {
  pollfd waiter{conn.fd(), POLLIN, 0};
  return ::poll(&waiter, 1, ms) > 0;
}

} // namespace

std::string getRequest(const std::string &path, const std::string &fields) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + kHost + "\r\n" + fields + "\r\n";
}

std::string hiddenRequest() {
  return getRequest("/hidden");
}

std::vector<Recorder::Served> Recorder::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(served_, {});
}

void Recorder::serve(Conn &conn) {
  for (;;) {
    const std::string head = conn.readHead();
    if (head.empty() || !skipBody(conn, head)) return;
    const Served request{head.substr(0, head.find(' ')), targetOf(head)};
    {
      const std::lock_guard lock(mutex_);
      served_.push_back(request);
    }
    if (!conn.send(answerWith(request.target, request.method == "HEAD"))) return;
  }
}

bool Recorder::skipBody(Conn &conn, const std::string &head) {
  const std::string length = fieldOf(head, "Content-Length");
  if (!length.empty()) return conn.readExactly(std::stoul(length)).size() == std::stoul(length);
  if (fieldOf(head, "Transfer-Encoding").empty()) return true;
  const auto readLine = [&conn](std::string &line) {
    line.clear();
    while (line.size() < 2 || line.substr(line.size() - 2) != "\r\n") {
      const std::string byte = conn.readExactly(1);
      if (byte.empty()) return false;
      line += byte;
    }
    return true;
  };
  std::string line;
  for (;;) {
    if (!readLine(line)) return false;
    const std::size_t size = std::stoul(line, nullptr, 16);
    if (size == 0) break;
    if (conn.readExactly(size + 2).size() != size + 2) return false;
  }
  do {
    if (!readLine(line)) return false;
  } while (line != "\r\n");
  return true;
}

void Liar::serve(Conn &conn) const {
  for (;;) {
    const std::string head = conn.readHead();
    if (head.empty()) return;
    const std::string target = targetOf(head);
    const bool row = target.size() > 1 && target.find_first_not_of("0123456789", 1) == std::string::npos;
    if (!row) {
      if (!conn.send(answerWith(target))) return;
      continue;
    }
    conn.send(rows_[std::stoul(target.substr(1))] + answerWith("hidden"));
    if (!readable(conn, 200)) return;
  }
}

std::size_t replay(std::uint16_t port, const std::string &text, Recorder &recorder) {
  CAPTURE(text);
  recorder.take();
  Conn conn = Conn::to(port);
  conn.send(text + hiddenRequest() + getRequest("/last", "Connection: close\r\n"));
  const std::string answers = conn.readAll();
  const auto served = recorder.take();
  CAPTURE(answers);
  std::size_t at = 0;
  for (const auto &request : served) {
    const std::size_t begin = findAnswer(answers, "200", at);
    REQUIRE(begin != std::string::npos);
    at = answers.find("\r\n\r\n", begin) + 4;
    if (request.method == "HEAD") continue;
    CHECK(answers.substr(at, request.target.size()) == request.target);
    at += request.target.size();
  }
  CHECK(findAnswer(answers, "200", at) == std::string::npos);
  return served.size();
}

std::string askAround(std::uint16_t port, const std::string &method, const std::string &path, std::string *first) {
  std::optional<Conn> conn(Conn::to(port));
  bool usable = false;
  try {
    conn->send(method + " " + path + " HTTP/1.1\r\nHost: " + kHost + "\r\n\r\n");
    for (;;) {
      const auto answer = conn->readResponse(method == "HEAD");
      *first += answer.head + answer.body;
      if (answer.status != 0 && answer.status < 200) continue;
      const std::string length = answer.field("Content-Length");
      usable = answer.status != 0 && answer.field("Connection") != "close" &&
               (!length.empty() || answer.field("Transfer-Encoding") == "chunked" || method == "HEAD" ||
                answer.status == 204 || answer.status == 304);
      break;
    }
  } catch (const std::exception &) {
    // It broke off.
  }
  if (!usable) conn.emplace(Conn::to(port));
  const std::string target = "/next" + path;
  if (!conn->send(getRequest(target, "Connection: close\r\n"))) return "the connection is not what it was said to be";
  const auto next = conn->readResponse();
  const std::string rest = conn->readAll();
  if (next.status != 200 || next.body != target) return "another answer than asked for: " + next.head + next.body;
  if (!rest.empty()) return "an answer that nobody asked for: " + rest;
  return {};
}

std::vector<std::string> forEachAtOnce(std::size_t count, const std::function<std::string(std::size_t)> &check) {
  std::mutex mutex;
  std::vector<std::string> wrong;
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (std::size_t index = next++; index < count; index = next++) {
        std::string problem;
        try {
          problem = check(index);
        } catch (const std::exception &e) {
          problem = e.what();
        }
        if (problem.empty()) continue;
        const std::lock_guard lock(mutex);
        wrong.push_back(std::to_string(index) + ": " + problem);
      }
    });
  }
  for (std::thread &thread : threads)
    thread.join();
  return wrong;
}

bool Neighbour::installed(const char *program) {
  if (::access(program, X_OK) == 0) return true;
  const char *ci = std::getenv("CI");
  CHECK_MESSAGE((ci == nullptr || std::string(ci) != "true"), std::string(program) << " is missing, and CI=true");
  MESSAGE("skipped: there is no " << std::string(program));
  return false;
}

Neighbour::Neighbour(Kind kind, std::uint16_t to) : port_(freePort()) {
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

std::string Neighbour::nginxConfig(const std::string &listen, const std::string &target) const {
  std::string temp;
  for (const char *kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    temp += std::string(kind) + "_temp_path " + (dir_ / kind).string() + ";\n";
  return "daemon off;\nmaster_process off;\npid " + (dir_ / "pid").string() +
         ";\nevents { worker_connections 512; }\nhttp {\naccess_log off;\n" + temp +
         "ignore_invalid_headers off;\nunderscores_in_headers on;\nclient_header_timeout 1s;\nclient_body_timeout "
         "1s;\nproxy_read_timeout 5s;\n"
         "upstream next { server " +
         target +
         "; keepalive 8; }\n"
         "server { listen " +
         listen +
         "; location / { proxy_pass http://next; proxy_http_version 1.1; proxy_request_buffering off;\n"
         "proxy_set_header Host $http_host; proxy_set_header Connection \"\"; proxy_next_upstream off; } } }\n";
}

std::string Neighbour::haproxyConfig(const std::string &listen, const std::string &target) {
  return "defaults\nmode http\ntimeout connect 2s\ntimeout client 1s\ntimeout server 5s\ntimeout http-request 1s\n"
         "retries 0\nhttp-reuse always\nfrontend world\nbind " +
         listen +
         "\noption accept-invalid-http-request\ndefault_backend next\nbackend next\n"
         "option accept-invalid-http-response\nserver one " +
         target + "\n";
}

} // namespace kit
