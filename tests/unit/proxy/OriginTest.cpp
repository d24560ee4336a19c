#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <http/codec/RequestParser.h>
#include <proxy/AllowedOrigins.h>

#include <string>

using namespace matrixos;

namespace {

bool admits(const proxy::AllowedOrigins &origins, const std::string &method, const std::string &fields, bool toApi,
            const std::string &host = "api.matrix.test", const std::string &scheme = "https") {
  const std::string text = method + " / HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n";
  http::RequestParser parser;
  http::RequestHead head;
  REQUIRE(parser.parse(text, http::HeadLimits{}, head) == http::ParseResult::Complete);
  return origins.admits(head, scheme, toApi);
}

const std::string kHandshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

} // namespace

TEST_CASE("a page of another site changes nothing through the API") {
  const proxy::AllowedOrigins origins({"https://app.example.com", "http://localhost:5173"});
  const std::string evil = "Origin: https://evil.example\r\n";
  for (const char *method : {"POST", "PUT", "DELETE", "PATCH", "POKE"}) {
    CAPTURE(method);
    CHECK_FALSE(admits(origins, method, evil, true));
    CHECK(admits(origins, method, "", true)); // no browser
    CHECK(admits(origins, method, "Origin: https://api.matrix.test\r\n", true));
    CHECK(admits(origins, method, "Origin: https://APP.example.com\r\n", true));
    CHECK(admits(origins, method, "Origin: http://localhost:5173\r\n", true));
  }
  for (const char *method : {"GET", "HEAD", "OPTIONS"})
    CHECK(admits(origins, method, evil, true));
  for (const char *foreign :
       {"null", "https://alice.matrix.test", "https://matrix.test", "https://api.matrix.test:8443", "api.matrix.test",
        "", "https://api.matrix.test.evil.example", "https://evil.example/https://api.matrix.test",
        "://api.matrix.test@evil", "http://localhost:51730", "https://app.example.com:444", "http://app.example.com"}) {
    CAPTURE(foreign);
    CHECK_FALSE(admits(origins, "POST", "Origin: " + std::string(foreign) + "\r\n", true));
  }
  CHECK_FALSE(admits(origins, "POST", "Origin: https://api.matrix.test\r\n" + evil, true));
  // Without an origin the browser's word on the two sites counts.
  CHECK_FALSE(admits(origins, "POST", "Sec-Fetch-Site: cross-site\r\n", true));
  CHECK_FALSE(admits(origins, "POST", "sec-fetch-site: same-site\r\n", true));
  CHECK(admits(origins, "POST", "Sec-Fetch-Site: same-origin\r\n", true));
  CHECK(admits(origins, "POST", "Sec-Fetch-Site: none\r\n", true));
}

TEST_CASE("the port that a scheme implies may stand in Host") {
  const proxy::AllowedOrigins origins({});
  CHECK(admits(origins, "POST", "Origin: https://api.matrix.test\r\n", true, "api.matrix.test:443"));
  CHECK(admits(origins, "POST", "Origin: http://api.matrix.test\r\n", true, "api.matrix.test:80", "http"));
  CHECK_FALSE(admits(origins, "POST", "Origin: http://api.matrix.test\r\n", true, "api.matrix.test:443"));
  CHECK(admits(origins, "POST", "Origin: https://api.matrix.test\r\n", true, "API.matrix.test.:"));
  CHECK(admits(origins, "POST", "Origin: http://127.0.0.1:9000\r\n", true, "127.0.0.1:9000", "http"));
  // Another scheme is another origin, whoever listens there.
  CHECK_FALSE(admits(origins, "POST", "Origin: https://127.0.0.1:9000\r\n", true, "127.0.0.1:9000", "http"));
  CHECK_FALSE(admits(origins, "POST", "Origin: http://api.matrix.test:443\r\n", true, "api.matrix.test"));
  CHECK_FALSE(admits(origins, "POST", "Origin: ftp://api.matrix.test\r\n", true, "api.matrix.test", "http"));
  CHECK_FALSE(admits(origins, "POST", "Origin: http://127.0.0.1:3000\r\n", true, "127.0.0.1:9000"));
}

TEST_CASE("a page of another site opens no WebSocket of an instance; its own requests are the instance's business") {
  const proxy::AllowedOrigins origins({});
  const std::string evil = "Origin: https://bob.matrix.test\r\n";
  CHECK_FALSE(admits(origins, "GET", kHandshake + evil, false, "alice.matrix.test"));
  CHECK(admits(origins, "GET", kHandshake, false, "alice.matrix.test"));
  CHECK(admits(origins, "GET", kHandshake + "Origin: https://alice.matrix.test\r\n", false, "alice.matrix.test"));
  CHECK(admits(origins, "POST", evil, false, "alice.matrix.test"));
}

TEST_CASE("what is no origin is named") {
  for (const char *bad : {"app.example.com", "https://", "https://app.example.com/", "://a", "https://a b", ""}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(proxy::AllowedOrigins({bad}), Error);
  }
}
