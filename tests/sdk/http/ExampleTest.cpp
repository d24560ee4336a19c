// The example of the engine's README is the one that is built, and it works.
#include "support/HttpClient.h"
#include "support/Process.h"
#include "support/TempDir.h"
#include "support/Wait.h"

#include <matrixos/address.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>

using namespace matrixos::test;

namespace {

std::string exchange(std::uint16_t port, const std::string &request) {
  RawConnection connection(port);
  connection.send(request);
  return connection.receive(std::string::npos);
}

} // namespace

TEST_CASE("the README shows the example as it is") {
  CHECK(readFile(HTTP_DIR "/README.md").find("```cpp\n" + readFile(HTTP_DIR "/example/hello.cpp") + "```") !=
        std::string::npos);
}

TEST_CASE("the example greets, refuses and ends on SIGTERM") {
  const TempDir dir;
  Process example({HTTP_EXAMPLE, "127.0.0.1:0"}, dir / "out");
  std::string line;
  REQUIRE(eventually([&] { return (line = readFile(dir / "out")).find('\n') != std::string::npos; }));
  const std::uint16_t port = matrixos::Address::parse(line.substr(0, line.find('\n'))).port();
  const std::string hello = exchange(port, "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(hello.substr(0, 15) == "HTTP/1.1 200 OK");
  CHECK(hello.find("\r\n\r\nhello 127.0.0.1\n") != std::string::npos);
  CHECK(exchange(port, "GET /hello HTTP/1.1\n\n").substr(0, 12) == "HTTP/1.1 400");
  example.signal(SIGTERM);
  CHECK(example.wait(kPatience) == 0);
}
