#include "unit/http/HttpTestSupport.h"

#include <doctest/doctest.h>
#include <http/codec/Grammar.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace httptest {

using namespace matrixos;
using namespace matrixos::api;

std::string Answer::field(const std::string &name) const {
  for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
    const std::size_t colon = head.find(':', at + 2);
    if (colon == std::string::npos) break;
    if (!http::sameText(std::string_view(head).substr(at + 2, colon - at - 2), name)) continue;
    return head.substr(colon + 2, head.find("\r\n", colon) - colon - 2);
  }
  return {};
}

void RawClient::smallWindow() {
  const int size = 2048;
  ::setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

void RawClient::finishSending() {
  ::shutdown(fd(), SHUT_WR);
}

bool RawClient::fill(std::chrono::milliseconds patience) {
  pollfd waiting{fd(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return false;
  char buffer[16384];
  const ssize_t got = ::recv(fd(), buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  input_.append(buffer, static_cast<std::size_t>(got));
  return true;
}

std::string RawClient::some(std::chrono::milliseconds patience) {
  if (input_.empty()) fill(patience);
  return std::exchange(input_, {});
}

bool RawClient::closed(std::chrono::milliseconds patience) {
  const auto end = Clock::now() + patience;
  while (Clock::now() < end) {
    pollfd waiting{fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 50) <= 0) continue;
    char buffer[4096];
    const ssize_t got = ::recv(fd(), buffer, sizeof(buffer), 0);
    if (got <= 0) return true;
    input_.append(buffer, static_cast<std::size_t>(got));
  }
  return false;
}

std::string RawClient::rest(std::chrono::milliseconds patience) {
  while (fill(patience)) {
  }
  return std::exchange(input_, {});
}

Answer RawClient::next(bool head, std::chrono::milliseconds patience) {
  Answer answer;
  std::size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill(patience)) return answer;
  }
  answer.head = input_.substr(0, end + 2);
  input_.erase(0, end + 4);
  answer.status = std::atoi(answer.head.c_str() + 9);
  if (!head && answer.field("Transfer-Encoding") == "chunked") {
    for (;;) {
      std::size_t line = 0;
      while ((line = input_.find("\r\n")) == std::string::npos) {
        if (!fill(patience)) return answer;
      }
      const std::size_t size = std::stoul(input_.substr(0, line), nullptr, 16);
      while (input_.size() < line + 2 + size + 2) {
        if (!fill(patience)) return answer;
      }
      answer.body += input_.substr(line + 2, size);
      input_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
  } else if (const std::string length = answer.field("Content-Length"); !head && !length.empty()) {
    const std::size_t size = std::stoul(length);
    while (input_.size() < size) {
      if (!fill(patience)) return answer;
    }
    answer.body = input_.substr(0, size);
    input_.erase(0, size);
  }
  answer.complete = true;
  return answer;
}

std::vector<int> statusesIn(const std::string &stream) {
  std::vector<int> statuses;
  for (std::size_t at = stream.find("HTTP/1.1 "); at != std::string::npos; at = stream.find("HTTP/1.1 ", at + 9)) {
    const int status = std::atoi(stream.c_str() + at + 9);
    if (status >= 200) statuses.push_back(status);
  }
  return statuses;
}

std::string get(const std::string &path, const std::string &extra) {
  return "GET " + path + " HTTP/1.1\r\nHost: api\r\n" + extra + "\r\n";
}

std::string bearer() {
  return std::string("Authorization: Bearer ") + kSecret + "\r\n";
}

Route route(const std::string &method, const std::string &pattern,
            std::function<void(const std::shared_ptr<ApiExchange> &)> handle, std::uint64_t maxBody,
            const std::string &permission) {
  return {method, pattern, permission, "test", maxBody, std::move(handle)};
}

TestServer::TestServer(std::function<void(ApiServerOptions &)> tune, bool start) {
  ApiServerOptions options;
  options.listen = {{"127.0.0.1:0", auth::ApiSocket::Api},
                    {"unix:" + apiPath(), auth::ApiSocket::Api},
                    {"unix:" + adminPath(), auth::ApiSocket::Admin}};
  auth::Authenticator::Options login;
  login.secret = kSecret;
  login.ownUid = ::getuid();
  options.authenticator = std::make_shared<auth::Authenticator>(login);
  options.workers = 8;
  options.onAccess = [this](const AccessRecord &record) {
    const std::lock_guard lock(mutex_);
    accesses_.push_back(record);
  };
  options.onFault = [this](const std::string &, const AccessRecord &) { ++faults; };
  if (tune) tune(options);
  server_ = std::make_unique<ApiServer>(std::move(options));
  server_->addRoutes(
      0, {route("GET", "/hello",
                [this](const auto &x) {
                  ++served;
                  x->respond(200, "text/plain", {}, "hello");
                }),
          route("POST", "/echo",
                [this](const auto &x) {
                  ++served;
                  x->respond(200, "text/plain", {}, x->data().body);
                }),
          route(
              "POST", "/nobody",
              [this](const auto &x) {
                ++served;
                x->respond(204, "", {}, "");
              },
              0),
          route("GET", "/hidden",
                [this](const auto &x) {
                  ++hidden;
                  x->respond(200, "text/plain", {}, "hidden");
                }),
          route("POST", "/hidden",
                [this](const auto &x) {
                  ++hidden;
                  x->respond(200, "text/plain", {}, "hidden");
                }),
          route(
              "GET", "/admin-only", [](const auto &x) { x->respond(200, "text/plain", {}, x->data().principal); },
              65536, "admin")});
  if (start) server_->start();
}

TestServer::~TestServer() {
  server_->stop(0ms);
}

std::vector<AccessRecord> TestServer::accesses() {
  const std::lock_guard lock(mutex_);
  return accesses_;
}

} // namespace httptest
