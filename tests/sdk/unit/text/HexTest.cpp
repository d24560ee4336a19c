#include <matrixos/text/hex.hpp>

#include <doctest/doctest.h>

using namespace matrixos;

TEST_CASE("hex: bytes are two digits each") {
  CHECK(toHex("") == "");
  CHECK(toHex("foobar") == "666f6f626172");
  CHECK(toHex(std::string("\x00\x7f\x80\xff", 4)) == "007f80ff");
}

TEST_CASE("hex: a number keeps its last digits and gets zeros in front") {
  const auto written = [](std::uint64_t value, std::size_t digits) {
    std::string out = "x";
    appendHex(out, value, digits);
    return out;
  };
  CHECK(written(0, 0) == "x");
  CHECK(written(0, 1) == "x0");
  CHECK(written(0xABCD, 4) == "xabcd");
  CHECK(written(0xABCD, 2) == "xcd");
  CHECK(written(0xABCD, 6) == "x00abcd");
  CHECK(written(UINT64_MAX, 16) == "xffffffffffffffff");
  CHECK(written(UINT64_MAX, 18) == "x00ffffffffffffffff");
}

TEST_CASE("hex: digits of both cases have a value, nothing else has") {
  const std::string lower = "0123456789abcdef";
  const std::string upper = "0123456789ABCDEF";
  for (int c = -128; c < 256; ++c) {
    const auto at = std::min(lower.find(static_cast<char>(c)), upper.find(static_cast<char>(c)));
    CAPTURE(c);
    CHECK(hexValue(static_cast<char>(c)) == (at == std::string::npos ? -1 : static_cast<int>(at)));
  }
}
