// The example of the engine's README is the one that is built, and it works.
#include <doctest/doctest.h>
#include <http/engine/Address.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string slurp(const char *file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string exchange(const matrixos::http::Address &server, const std::string &request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval most{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  std::string answer;
  if (::connect(fd, server.data(), server.size()) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char block[4096];
    for (ssize_t got = 0; (got = ::recv(fd, block, sizeof block, 0)) > 0;)
      answer.append(block, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return answer;
}

} // namespace

TEST_CASE("the README shows the example as it is") {
  CHECK(slurp(HTTP_DIR "/README.md").find("```cpp\n" + slurp(HTTP_DIR "/example/hello.cpp") + "```") !=
        std::string::npos);
}

TEST_CASE("the example greets, refuses and ends on SIGTERM") {
  int out[2];
  REQUIRE(::pipe(out) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(out[1], 1);
    ::execl(HTTP_EXAMPLE, HTTP_EXAMPLE, "127.0.0.1:0", nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  std::string line;
  for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';)
    line += c;
  REQUIRE_FALSE(line.empty());
  const auto server = matrixos::http::Address::parse(line);
  const std::string hello = exchange(server, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(hello.substr(0, 15) == "HTTP/1.1 200 OK");
  CHECK(hello.find("\r\n\r\nhello 127.0.0.1\n") != std::string::npos);
  CHECK(exchange(server, "GET /hello HTTP/1.1\n\n").substr(0, 12) == "HTTP/1.1 400");
  ::kill(child, SIGTERM);
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  ::close(out[0]);
}
