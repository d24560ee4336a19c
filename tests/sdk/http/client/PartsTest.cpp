#include <matrixos/address.hpp>

#include <doctest/doctest.h>
#include <http/client/BaseUrl.h>
#include <http/client/ClientError.h>
#include <http/client/LineCutter.h>
#include <http/client/PercentEncoding.h>
#include <http/client/PublicAddress.h>
#include <http/client/Url.h>

#include <vector>

using namespace matrixos;
using namespace matrixos::http;

TEST_CASE("base URLs: what is read, and as what") {
  const BaseUrl plain = BaseUrl::parse("http://proxy:8080");
  CHECK(plain.origin() == "http://proxy:8080");
  CHECK(plain.prefix().empty());
  CHECK_FALSE(plain.isTls());
  const BaseUrl based = BaseUrl::parse("https://[::1]:8443/base/v1//");
  CHECK(based.origin() == "https://[::1]:8443");
  CHECK(based.prefix() == "/base/v1");
  CHECK(based.text() == "https://[::1]:8443/base/v1");
  CHECK(based.isTls());
  const BaseUrl socket = BaseUrl::parse("unix:/run/a b%20?#.sock");
  CHECK(socket.socketPath() == "/run/a b%20?#.sock");
  CHECK(socket.origin() == "http://localhost");
  CHECK(BaseUrl::unixSocket("/x", "engine").origin() == "http://engine");
  for (const char *good : {"http://10.0.0.1", "https://api.example.com", "http://[::1]", "http://h:65535/"}) {
    CAPTURE(good);
    CHECK_NOTHROW(BaseUrl::parse(good));
  }
}

TEST_CASE("base URLs: what is refused") {
  for (const std::string &bad : {std::string("proxy:8080"),
                                 std::string(),
                                 std::string("http://"),
                                 std::string("http:///x"),
                                 std::string("http://u:p@proxy"),
                                 std::string("http://proxy?x=1"),
                                 std::string("http://proxy/a?x=1"),
                                 std::string("http://proxy#x"),
                                 std::string("http://pro xy"),
                                 std::string("http://proxy/a b"),
                                 std::string("http://proxy:0"),
                                 std::string("http://proxy:65536"),
                                 std::string("http://proxy:"),
                                 std::string("http://proxy/\r\nX: y"),
                                 std::string("file:///etc"),
                                 std::string("ftp://127.0.0.1"),
                                 std::string("gopher://127.0.0.1"),
                                 std::string("HTTP://proxy"),
                                 std::string("unix:"),
                                 "unix:/" + std::string(107, 'a'),
                                 std::string("unix:/a\0b", 9)}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(BaseUrl::parse(bad), Error);
  }
  CHECK_NOTHROW(BaseUrl::parse("unix:/" + std::string(106, 'a')));
}

TEST_CASE("percent-encoding leaves nothing that ends a segment or a value") {
  CHECK(percentEncode("a/b:c d") == "a%2Fb%3Ac%20d");
  CHECK(percentEncode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percentEncode("?&=#%+") == "%3F%26%3D%23%25%2B");
  CHECK(percentEncode(std::string("\0\xff\n", 3)) == "%00%FF%0A");
}

TEST_CASE("lines arrive whole however the stream is cut") {
  const std::string text = "{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    std::vector<std::string> lines;
    LineCutter cutter([&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    });
    CHECK(cutter.feed(text.substr(0, cut)));
    CHECK(cutter.feed(text.substr(cut)));
    CHECK(cutter.finish());
    CHECK(lines == std::vector<std::string>{"{\"a\":1}", "", "  ", "{\"b\":2}", "{\"c\":3}"});
  }
}

TEST_CASE("lines: a receiver stops, a line has a limit") {
  LineCutter stopping([](std::string_view) { return false; });
  CHECK_FALSE(stopping.feed("{}\n{}\n"));
  CHECK_FALSE(LineCutter([](std::string_view) { return false; }).feed("\n"));
  LineCutter limited([](std::string_view) { return true; });
  CHECK(limited.feed(std::string(LineCutter::kMaxLine, 'x')));
  CHECK_THROWS_AS(limited.feed("x"), ClientError);
  LineCutter atOnce([](std::string_view) { return true; });
  CHECK_THROWS_AS(atOnce.feed(std::string(LineCutter::kMaxLine + 1, 'x') + "\n"), ClientError);
}

TEST_CASE("URLs: origin and target, and where a redirect leads") {
  const Url url = Url::parse("HTTPS://Example.ORG:443/a/b?c=d#e");
  CHECK(url.origin == "https://example.org");
  CHECK(url.target == "/a/b?c=d");
  CHECK(url.isTls());
  CHECK(Url::parse("http://[2001:db8::1]:81").origin == "http://[2001:db8::1]:81");
  CHECK(Url::parse("http://h?x=/../y").target == "/?x=/../y");
  CHECK(Url::parse("http://h/a/../%2e/").target == "/a/../%2e/");
  struct Row {
    const char *location, *origin, *target;
  };
  for (const Row &row : {Row{"/x", "https://example.org", "/x"},
                         {"x?y", "https://example.org", "/a/x?y"},
                         {"../x", "https://example.org", "/x"},
                         {"?q", "https://example.org", "/a/b?q"},
                         {"//other:81/x", "https://other:81", "/x"},
                         {"http://other", "http://other", "/"}}) {
    CAPTURE(row.location);
    const Url next = url.resolve(row.location);
    CHECK(next.origin == row.origin);
    CHECK(next.target == row.target);
  }
  for (const char *bad : {"mailto:a@b", "javascript:x", "http://a:b@c/", "/x\r\ny", "/a b", "//a\\b/"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(url.resolve(bad), Error);
  }
}

TEST_CASE("addresses: what is public") {
  for (const char *ip :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1", "128.0.0.1",
        "169.253.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255",
        "2606:4700::1", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"}) {
    CAPTURE(ip);
    CHECK(isPublicAddress(Address::fromIp(ip, 80).data()));
  }
  for (const char *ip : {"0.0.0.0",
                         "0.1.2.3",
                         "10.0.0.1",
                         "100.64.0.1",
                         "100.127.255.255",
                         "127.0.0.1",
                         "127.255.255.255",
                         "169.254.169.254",
                         "172.16.0.1",
                         "172.31.255.255",
                         "192.0.0.1",
                         "192.0.2.1",
                         "192.168.1.1",
                         "198.18.0.1",
                         "198.19.255.255",
                         "198.51.100.1",
                         "203.0.113.1",
                         "224.0.0.1",
                         "240.0.0.1",
                         "255.255.255.255",
                         "::",
                         "::1",
                         "::ffff:127.0.0.1",
                         "::ffff:169.254.169.254",
                         "::127.0.0.1",
                         "64:ff9b::7f00:1",
                         "64:ff9b:1::1",
                         "100::1",
                         "2001::1",
                         "2001:20::1",
                         "2001:db8::1",
                         "2002:7f00:1::1",
                         "3fff::1",
                         "4000::1",
                         "fc00::1",
                         "fd00:ec2::254",
                         "fe80::1",
                         "fec0::1",
                         "ff02::1"}) {
    CAPTURE(ip);
    CHECK_FALSE(isPublicAddress(Address::fromIp(ip, 80).data()));
  }
  CHECK_FALSE(isPublicAddress(Address::parse("unix:/run/x.sock").data()));
}
