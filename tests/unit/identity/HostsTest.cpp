#include <doctest/doctest.h>
#include <identity/Hosts.h>

#include <string>

using namespace matrixos::identity;

namespace {

const Hosts kHosts("matrix.test");

OurHost console(const char *host = "console.matrix.test", const char *scheme = "https") {
  return kHosts.parse(host, scheme).value();
}

} // namespace

TEST_CASE("our hosts are one label below the domain, or below localhost") {
  CHECK(console("Console.Matrix.Test").label == "console");
  CHECK(console().origin("alice") == "https://alice.matrix.test");
  CHECK(console("console.matrix.test:443").origin("alice") == "https://alice.matrix.test");
  CHECK(console("console.matrix.test", "http").origin("alice") == "https://alice.matrix.test");
  CHECK(console("console.localhost:9000", "http").origin("alice") == "http://alice.localhost:9000");
  CHECK(console("console.localhost", "https").origin("alice") == "https://alice.localhost");
  for (const char *host :
       {"", "matrix.test", "localhost", "a.b.matrix.test", "alice.matrix.test.evil.test", "alicematrix.test",
        "alice.matrix.test@evil.test", "-a.matrix.test", "a_b.matrix.test", "127.0.0.1", "[::1]"})
    CHECK_MESSAGE(!kHosts.parse(host, "https"), host);
}

TEST_CASE("the console may be beside the domain, and stays what people are sent to") {
  for (const std::string at : {"start.matrix.test", "start.example.org"}) {
    const Hosts hosts("matrix.test", at);
    const OurHost alice = hosts.parse("alice.matrix.test:8443", "https").value();
    CHECK(alice.origin(kConsole) == "https://" + at + ":8443");
    const OurHost console = hosts.parse(at, "https").value();
    CHECK(console.label == kConsole);
    CHECK(console.origin(kConsole) == "https://" + at);
    CHECK(console.origin("alice") == "https://alice.matrix.test");
    for (const std::string &fine : {"https://" + at + "/auth", std::string("https://alice.matrix.test/")})
      CHECK(hosts.safeReturn(fine, console) == fine);
    for (const char *evil : {"https://console.matrix.test/", "https://example.org/", "https://alice.example.org/"})
      CHECK_MESSAGE(hosts.safeReturn(evil, console) == "/", evil);
    CHECK_FALSE(hosts.parse("console.matrix.test", "https"));
    CHECK(hosts.parse("alice.localhost:9000", "http").value().origin(kConsole) == "http://console.localhost:9000");
  }
}

TEST_CASE("cookies have the prefix that ties them to one host, but where browsers do not take it") {
  CHECK(matrixos::http::nameOf(CookieKind::App, false) == "__Host-matrixos-app");
  CHECK(matrixos::http::nameOf(CookieKind::Session, true) == "matrixos");
  CHECK(setCookie(CookieKind::Session, false, "x", 60) ==
        "__Host-matrixos=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
  CHECK(setCookie(CookieKind::App, true, "", 0) == "matrixos-app=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
  CHECK(!Hosts::isPlain("alice.matrix.test", "http"));
  CHECK(Hosts::isPlain("Alice.LocalHost:9000", "http"));
  CHECK(!Hosts::isPlain("alice.localhost", "https"));
}

TEST_CASE("a cookie is found by its whole name") {
  const auto find = [](std::string_view cookies) {
    std::string all;
    anyCookie(cookies, "sid", [&](std::string_view value) {
      all.append(value).append("|");
      return false;
    });
    return all;
  };
  CHECK(find("sid=1") == "1|");
  CHECK(find("a=b;  sid=1 ;sid=2; xsid=3; sidx=4; sid ; sid=") == "1|2||");
  CHECK(find("").empty());
}

TEST_CASE("people are sent back to paths and hosts of ours alone") {
  const OurHost at = console();
  for (const char *fine :
       {"/", "/auth", "/a?b=https://evil.test/", "https://alice.matrix.test/", "https://alice.matrix.test/a?b"})
    CHECK_MESSAGE(kHosts.safeReturn(fine, at) == fine, fine);
  CHECK(kHosts.safeReturn("https://alice.matrix.test", at) == "https://alice.matrix.test/");
  for (const char *evil : {"",
                           "//evil.test",
                           "/\\evil.test",
                           "\\\\evil.test",
                           "/\t/evil.test",
                           "/%09",
                           "https://evil.test/",
                           "https://alice.matrix.test.evil.test/",
                           "https://alice.matrix.test@evil.test/",
                           "https://evil.test#.matrix.test/",
                           "https://evil.test?.matrix.test/",
                           "https://evil.test\\.matrix.test/",
                           "http://alice.matrix.test/",
                           "https://alice.matrix.test:8443/",
                           "https://a.b.matrix.test/",
                           "https://matrix.test/",
                           "https://alice.localhost/",
                           "javascript:alert(1)",
                           "data:text/html,x",
                           "https:alice.matrix.test",
                           "https:///evil.test",
                           "HTTPS://alice.matrix.test/",
                           "https://ALICE.matrix.test/",
                           "https://alice.matrix.test./",
                           "https://alice.matrix.test//evil",
                           "/a\r\nSet-Cookie: x",
                           "https://xn--alice.matrix.test\u2044.evil.test/",
                           " https://alice.matrix.test/",
                           "relative"}) {
    const std::string to = kHosts.safeReturn(evil, at);
    CHECK_MESSAGE((to == "/" || to == std::string("/%09")), evil);
  }
}

TEST_CASE("the console's host by the way that a program came") {
  const Hosts hosts("matrix.test");
  const auto origin = [&](std::string_view host, std::string_view scheme = "https") {
    const auto at = hosts.consoleBy(host, scheme);
    return at ? at->origin(kConsole) : std::string();
  };
  CHECK(origin("api.matrix.test") == "https://console.matrix.test");
  CHECK(origin("matrix.test:8443") == "https://console.matrix.test:8443");
  CHECK(origin("Matrix.Test.") == "https://console.matrix.test");
  CHECK(origin("console.matrix.test") == "https://console.matrix.test");
  CHECK(origin("localhost:9000", "http") == "http://console.localhost:9000");
  CHECK(origin("127.0.0.1:9000", "http") == "http://console.localhost:9000");
  CHECK(origin("[::1]:9000", "http") == "http://console.localhost:9000");
  for (const char *foreign : {"evil.test", "evilmatrix.test", "a.b.matrix.test", "10.0.0.1", ""})
    CHECK_MESSAGE(origin(foreign).empty(), foreign);
}
