#include <doctest/doctest.h>
#include <http/codec/ChunkedDecoder.h>
#include <http/codec/HeadWriter.h>
#include <http/codec/HopByHop.h>
#include <http/codec/RequestParser.h>
#include <http/codec/ResponseParser.h>

#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace matrixos::http;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs kept(const FieldList &fields) {
  Pairs out;
  for (const Field &field : fields) {
    if (!field.dropped) out.emplace_back(field.name, field.value);
  }
  return out;
}

std::string randomText(std::mt19937 &random, std::string_view alphabet, std::size_t least, std::size_t most) {
  std::string out(least + random() % (most - least + 1), ' ');
  for (char &c : out)
    c = alphabet[random() % alphabet.size()];
  return out;
}

} // namespace

TEST_CASE("what is written is read back the same") {
  constexpr std::string_view kToken = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view kVisible = "!\"$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~";
  constexpr std::string_view kValue = "abc XYZ\t019;,=\"\xc3\xa4";
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    const std::string method = randomText(random, kToken.substr(0, 20), 1, 20);
    const std::string target = "/" + randomText(random, kVisible, 0, 200);
    Pairs fields{{"Host", "h" + std::to_string(round)}};
    for (auto i = random() % 20; i > 0; --i) {
      std::string value = randomText(random, kValue, 0, 60);
      value = "<" + value + ">"; // blanks at the ends would be trimmed
      fields.emplace_back("x" + randomText(random, "abcdefgh0123-", 0, 30), value);
    }
    const BodyFraming framing{static_cast<BodyKind>(random() % 3), random() % 1000000};
    std::string text;
    HeadWriter writer(text);
    writer.requestLine(method, target);
    for (const auto &[name, value] : fields)
      writer.field(name, value);
    writer.framing(framing);
    writer.end();

    RequestParser parser;
    RequestHead head;
    CAPTURE(text);
    REQUIRE(parser.parse(text, HeadLimits{}, head) == ParseResult::Complete);
    REQUIRE(parser.size() == text.size());
    REQUIRE(head.method == method);
    REQUIRE(head.target == target);
    REQUIRE(head.body.kind == framing.kind);
    if (framing.kind == BodyKind::Length) REQUIRE(head.body.length == framing.length);
    dropHopByHop(head.fields);
    REQUIRE(kept(head.fields) == fields);
  }
}

TEST_CASE("a value cannot start another line") {
  std::string out;
  HeadWriter writer(out);
  CHECK_THROWS_AS(writer.field("X", "a\r\nY: b"), std::invalid_argument);
  CHECK_THROWS_AS(writer.field("X", "a\nb"), std::invalid_argument);
  CHECK_THROWS_AS(writer.field("X", std::string_view("a\0b", 3)), std::invalid_argument);
  CHECK_THROWS_AS(writer.field("X\r\nY", "b"), std::invalid_argument);
  CHECK_THROWS_AS(writer.field("", "b"), std::invalid_argument);
  CHECK_THROWS_AS(writer.requestLine("GET", "/a b"), std::invalid_argument);
  CHECK_THROWS_AS(writer.requestLine("GET", "/\r\n"), std::invalid_argument);
  CHECK_THROWS_AS(writer.requestLine("G T", "/"), std::invalid_argument);
  CHECK(out.empty());
  writer.field("X", "");
  CHECK(out == "X: \r\n");
}

TEST_CASE("fields of one connection end here") {
  RequestParser parser;
  RequestHead head;
  const std::string text =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret, host, X-Forwarded-For, x-forwarded-anything\r\n"
      "connection: Cookie\r\nX-Secret: 1\r\nx-secret: 2\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Anything: "
      "2\r\nCookie: c\r\n"
      "Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"
      "X_Forwarded_For: 9.9.9.9\r\nCONTENT_LENGTH: 5\r\nx_matrix_user: root\r\nX_Mine: fine\r\nX-Rest: r\r\n\r\n";
  REQUIRE(parser.parse(text, HeadLimits{}, head) == ParseResult::Complete);
  dropHopByHop(head.fields);
  CHECK(kept(head.fields) == Pairs{{"Host", "a"},
                                   {"X-Forwarded-For", "1.1.1.1"},
                                   {"X-Forwarded-Anything", "2"},
                                   {"X_Mine", "fine"},
                                   {"X-Rest", "r"}});
}

TEST_CASE("trailers that could change a message are not sent on") {
  ChunkedDecoder decoder;
  std::string wire =
      "0\r\nX-Sum: 1\r\nContent-Length: 5\r\nContent-Type: a/b\r\nHost: b\r\nSet-Cookie: c\r\nServer-Timing: t\r\n"
      "Transfer-Encoding: chunked\r\nAuthorization: x\r\nX-Forwarded-For: y\r\nX_Matrix_User: z\r\n\r\n";
  decoder.decode(wire.data(), wire.size());
  REQUIRE(decoder.done());
  dropUnsafeTrailers(decoder.trailers());
  std::string out;
  appendLastChunk(out, &decoder.trailers());
  CHECK(out == "0\r\nX-Sum: 1\r\nServer-Timing: t\r\n\r\n");
}

TEST_CASE("status lines carry our phrase") {
  std::string out;
  HeadWriter writer(out);
  writer.statusLine(418);
  writer.statusLine(503);
  appendChunkStart(out, 0xabc);
  CHECK(out == "HTTP/1.1 418 Status\r\nHTTP/1.1 503 Service Unavailable\r\nabc\r\n");
}

TEST_CASE("every known name is found in any case, and only those") {
  CHECK(findName("HOST") == Name::Host);
  CHECK(findName("transfer-Encoding") == Name::TransferEncoding);
  CHECK(findName("sec-websocket-version") == Name::SecWebSocketVersion);
  CHECK(findName("te") == Name::Te);
  CHECK(findName("x-forwarded-port") == Name::XForwardedOther);
  CHECK(findName("x-forwarded-") == Name::Other);
  CHECK(findName("hosts") == Name::Other);
  CHECK(findName("") == Name::Other);
  CHECK(findName(std::string(200, 'x')) == Name::Other);
  CHECK(imitatesKnownName("X_Forwarded_Whatever_" + std::string(60, 'x')));
  for (const char *name : {"X-Forwarded.For", "x_forwarded.for", "X-Real~IP", "Transfer.Encoding", "content!length"})
    CHECK(imitatesKnownName(name));
  CHECK_FALSE(imitatesKnownName("x-forwarded-for"));
  CHECK_FALSE(imitatesKnownName("my_header"));
}
