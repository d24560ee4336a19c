#include <doctest/doctest.h>
#include <http/codec/WebSocket.h>

#include <set>
#include <string>
#include <vector>

using namespace matrixos::http;

namespace {

std::string frame(unsigned opcode, std::size_t size, bool masked) {
  std::string out;
  out += static_cast<char>(0x80U | opcode);
  const unsigned mask = masked ? 0x80 : 0;
  if (size < 126) {
    out += static_cast<char>(mask | size);
  } else if (size < 65536) {
    out += static_cast<char>(mask | 126U);
    out += static_cast<char>(size >> 8U);
    out += static_cast<char>(size);
  } else {
    out += static_cast<char>(mask | 127U);
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>(size >> static_cast<unsigned>(shift));
  }
  if (masked) out += "mask";
  return out.append(size, '\x81');
}

} // namespace

TEST_CASE("the accept value of the RFC's example") {
  CHECK(webSocketAccept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("data frames count, control frames do not, in any split") {
  std::string wire;
  std::uint64_t expected = 0;
  for (const bool masked : {false, true}) {
    for (const std::size_t size : {0U, 1U, 125U, 126U, 300U, 65535U, 65536U, 70000U}) {
      for (const unsigned opcode : {0U, 1U, 2U}) {
        wire += frame(opcode, size, masked);
        ++expected;
      }
      if (size <= 125) wire += frame(8, size, masked) + frame(9, size, masked) + frame(10, size, masked);
    }
  }
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, wire.size()}) {
    FrameCounter counter;
    std::uint64_t count = 0;
    for (std::size_t at = 0; at < wire.size(); at += step)
      count += counter.feed(std::string_view(wire).substr(at, step));
    CHECK(count == expected);
    CHECK_FALSE(counter.lost());
  }
}

TEST_CASE("a header that makes no sense ends the counting") {
  for (const std::string &bad : std::vector<std::string>{std::string("\x83\x00", 2), std::string("\x8b\x00", 2),
                                                         std::string("\x89\x7e\x00\x80", 4),
                                                         std::string("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10)}) {
    FrameCounter counter;
    CHECK(counter.feed(bad + frame(1, 1, false)) == 0);
    CHECK(counter.lost());
  }
}

TEST_CASE("the boundary between two frames is found in any split") {
  const std::string frames = std::string("\x81\x85\0\0\0\0hello", 11) + std::string("\x89\0", 2) +
                             std::string("\x82\x7E\0\x80", 4) + std::string(128, 'x') +
                             std::string("\x88\x02\x03\xE8", 4);
  const std::set<std::size_t> boundaries{0, 11, 13, 145, 149};
  FrameCounter bytewise;
  for (std::size_t i = 0; i <= frames.size(); ++i) {
    CAPTURE(i);
    CHECK(bytewise.atBoundary() == (boundaries.count(i) != 0));
    FrameCounter counter;
    counter.feed(frames.substr(0, i));
    CHECK(counter.closed() == (i >= 147));
    // No further than the end of the frame under way.
    CHECK(i + counter.feedToBoundary(frames.substr(i)) == *boundaries.lower_bound(i));
    CHECK(counter.atBoundary());
    if (i < frames.size()) bytewise.feed(frames.substr(i, 1));
  }
  FrameCounter lost;
  lost.feed(std::string("\x83\x01", 2));
  CHECK(lost.lost());
  CHECK_FALSE(lost.atBoundary());
  CHECK(lost.feedToBoundary("more") == 0);
}

TEST_CASE("a close frame of ours is one to the counter, too") {
  CHECK(webSocketClose(1001, false) == std::string("\x88\x02\x03\xE9", 4));
  const std::string masked = webSocketClose(1001, true);
  REQUIRE(masked.size() == 8);
  CHECK(masked.substr(0, 2) == "\x88\x82");
  CHECK((masked[6] ^ masked[2]) == 0x03);
  CHECK(static_cast<unsigned char>(masked[7] ^ masked[3]) == 0xE9);
  FrameCounter counter;
  CHECK(counter.feed(masked) == 0);
  CHECK(counter.closed());
  CHECK(counter.atBoundary());
}
