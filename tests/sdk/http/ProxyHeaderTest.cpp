#include <doctest/doctest.h>
#include <http/engine/ProxyHeader.h>

#include <string>
#include <vector>

using namespace matrixos::http;

namespace {

const std::string kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};

std::string binary(char command, char family, const std::string &rest) {
  return kSignature + command + family + static_cast<char>(rest.size() >> 8U) + static_cast<char>(rest.size()) + rest;
}

/// 192.0.2.1:56324 to 192.0.2.2:443.
const std::string kV4{"\xC0\x00\x02\x01\xC0\x00\x02\x02\xDC\x04\x01\xBB", 12};
/// [2001:db8::1]:56324 to [2001:db8::2]:443.
const std::string kV6 = std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16) +
                        std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02", 16) + "\xDC\x04\x01\xBB";

} // namespace

TEST_CASE("headers of both versions name the client, in any split") {
  struct Good {
    std::string text;
    std::string client; ///< "" for none
  };
  const std::vector<Good> good{
      {"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1:56324"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "[2001:db8::1]:56324"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
      {binary('\x21', '\x11', kV4), "192.0.2.1:56324"},
      {binary('\x21', '\x21', kV6), "[2001:db8::1]:56324"},
      {binary('\x21', '\x11', kV4 + std::string("\x04\x00\x01x", 4)), "192.0.2.1:56324"}, // with an extension
      {binary('\x20', '\0', ""), ""},
      {binary('\x20', '\x11', kV4), ""},
      {binary('\x21', '\x31', std::string(216, 'u')), ""},
      {binary('\x21', '\0', ""), ""},
  };
  for (const Good &row : good) {
    CAPTURE(row.text);
    const std::string text = row.text + "GET / HTTP/1.1\r\n";
    for (std::size_t size = 0; size <= text.size(); ++size) {
      ProxyHeader header;
      const ParseResult result = ProxyHeader::parse(std::string_view(text).substr(0, size), header);
      REQUIRE(result == (size < row.text.size() ? ParseResult::NeedMore : ParseResult::Complete));
      if (result == ParseResult::NeedMore) continue;
      CHECK(header.size == row.text.size());
      CHECK((header.client ? header.client->text() : "") == row.client);
    }
  }
}

TEST_CASE("what is no header is refused") {
  const std::vector<std::string> bad{
      "GET / HTTP/1.1\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 1\r\n",
      "PROXY TCP4 192.0.2.1  192.0.2.2 56324 443\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
      "PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 -1 443\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 056324 443\r\n",
      "PROXY TCP4 alice.localhost 192.0.2.2 1 443\r\n",
      "PROXY UDP4 192.0.2.1 192.0.2.2 1 443\r\n",
      "PROXY UNKNOWN \x01\r\n",
      "PROXY \r\n",
      "proxy TCP4 192.0.2.1 192.0.2.2 1 443\r\n",
      "PROXY TCP4 " + std::string(200, '1'),
      binary('\x11', '\x11', kV4),
      binary('\x22', '\x11', kV4),
      binary('\x21', '\x11', kV4.substr(1)),
      binary('\x21', '\x21', kV6.substr(1)),
      binary('\x21', '\x11', kV4 + std::string(ProxyHeader::kMost, 'x')),
  };
  for (const std::string &text : bad) {
    CAPTURE(text);
    ProxyHeader header;
    CHECK(ProxyHeader::parse(text, header) == ParseResult::Failed);
  }
}
