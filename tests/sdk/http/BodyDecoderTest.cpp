#include <doctest/doctest.h>
#include <http/codec/BodyDecoder.h>
#include <sdk/http/MalformedMessages.h>

#include <string>
#include <vector>

using namespace matrixos::http;

namespace {

struct Decoded {
  std::string payload;
  std::size_t used = 0;
  bool done = false;
  bool failed = false;
  std::vector<std::string> trailers;
};

Decoded decodeAt(std::string_view wire, const std::vector<std::size_t> &cuts) {
  ChunkedDecoder decoder;
  Decoded out;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= cuts.size() && !decoder.done() && !decoder.failed(); ++i) {
    const std::size_t to = i < cuts.size() ? cuts[i] : wire.size();
    std::string piece(wire.substr(from, to - from));
    const auto step = decoder.decode(piece.data(), piece.size());
    out.payload.append(piece, 0, step.produced);
    out.used += step.consumed;
    from = to;
  }
  out.done = decoder.done();
  out.failed = decoder.failed();
  for (const Field &field : decoder.trailers())
    out.trailers.push_back(std::string(field.name) + "=" + std::string(field.value));
  return out;
}

} // namespace

TEST_CASE("a chunked body means the same however it is cut") {
  const std::string wire = "5\r\nhello\r\n1;ext=\"v\"\r\n,\r\n0006\r\n world\r\nA\r\n0123456789\r\n0;last\r\nX-Sum: "
                           "22\r\nY:\r\n\r\nGET / HT";
  const std::string payload = "hello, world0123456789";
  const std::size_t length = wire.size() - std::string("GET / HT").size();
  for (std::size_t a = 0; a <= wire.size(); ++a) {
    for (std::size_t b = a; b <= wire.size(); b += 3) {
      const Decoded got = decodeAt(wire, {a, b});
      REQUIRE(got.done);
      REQUIRE(got.payload == payload);
      REQUIRE(got.used == length);
      REQUIRE(got.trailers == std::vector<std::string>{"X-Sum=22", "Y="});
    }
  }
}

TEST_CASE("an incomplete chunked body is never done") {
  const std::string wire = "5\r\nhello\r\n0\r\nT: v\r\n\r\n";
  for (std::size_t cut = 0; cut < wire.size(); ++cut) {
    const Decoded got = decodeAt(wire.substr(0, cut), {});
    CHECK_FALSE(got.done);
    CHECK_FALSE(got.failed);
  }
}

TEST_CASE("bad chunk syntax is refused") {
  const std::vector<std::string> bad = edgetest::malformedChunks();
  for (const std::string &wire : bad) {
    CAPTURE(wire);
    const Decoded got = decodeAt(wire, {});
    CHECK(got.failed);
    CHECK_FALSE(got.done);
  }
  MESSAGE(bad.size() << " malformed chunked bodies refused");
}

TEST_CASE("a body with a length ends there, and one until close ends with its connection") {
  BodyDecoder length;
  length.start({BodyKind::Length, 4});
  std::string data = "ab";
  CHECK(length.decode(data.data(), 2).produced == 2);
  CHECK_FALSE(length.done());
  CHECK_FALSE(length.end());
  data = "cdGET";
  CHECK(length.decode(data.data(), 5).consumed == 2);
  CHECK(length.done());
  CHECK(length.decode(data.data(), 5).consumed == 0);

  BodyDecoder close;
  close.start({BodyKind::UntilClose, 0});
  CHECK(close.decode(data.data(), 5).produced == 5);
  CHECK_FALSE(close.done());
  CHECK(close.end());

  BodyDecoder none;
  none.start({});
  CHECK(none.done());
}
