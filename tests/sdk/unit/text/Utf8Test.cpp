#include <matrixos/text/utf8.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace matrixos;

namespace {

/// The bytes of RFC 3629 §3, also for what is no character: surrogates and numbers up to 0x1FFFFF.
std::string encoded(std::uint32_t point) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  const auto tail = [&](unsigned shift) { return byte(0x80U | (point >> shift & 0x3FU)); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xC0U | point >> 6U), tail(0)};
  if (point < 0x10000) return {byte(0xE0U | point >> 12U), tail(6), tail(0)};
  return {byte(0xF0U | point >> 18U), tail(12), tail(6), tail(0)};
}

/// The same number one byte longer than it has to be.
std::string overlong(std::uint32_t point) {
  std::string text = encoded(point);
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  if (text.size() == 1) return {byte(0xC0U | point >> 6U), byte(0x80U | (point & 0x3FU))};
  if (text.size() == 2) return {'\xE0', byte(0x80U | point >> 6U), text[1]};
  return {'\xF0', byte(0x80U | point >> 12U), text[1], text[2]};
}

std::string anyText() {
  const auto points = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::suchThat(
      rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(0, 0x80), rc::gen::inRange<std::uint32_t>(0, 0x110000)),
      [](std::uint32_t point) { return point < 0xD800 || point > 0xDFFF; }));
  std::string text;
  for (const std::uint32_t point : points)
    text += encoded(point);
  return text;
}

} // namespace

TEST_CASE("UTF-8: exactly the characters are characters") {
  for (std::uint32_t point = 0; point < 0x200000; ++point) {
    const bool character = point < 0x110000 && (point < 0xD800 || point > 0xDFFF);
    const std::string bytes = encoded(point);
    if (characterLength(bytes) == (character ? bytes.size() : 0) && isUtf8(bytes) == character) continue;
    CAPTURE(point);
    CHECK(false);
  }
}

TEST_CASE("UTF-8: overlong, cut and stray bytes are none") {
  for (std::uint32_t point = 0; point < 0x10000; ++point) {
    if (characterLength(overlong(point)) == 0) continue;
    CAPTURE(point);
    CHECK(false);
  }
  for (const char *bytes : {"\x80", "\xBF", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xC3(", "\xE2\x98", "\xE2\x98(",
                            "\xE2(\x83", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xFF",
                            "\xFE", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80", "\xE0\x80\xAF", "\xF0\x80\x80\xAF"}) {
    CAPTURE(std::string(bytes));
    CHECK(characterLength(bytes) == 0);
    CHECK_FALSE(isUtf8(bytes));
    CHECK_FALSE(isUtf8("1234567 and more" + std::string(bytes)));
  }
  CHECK(characterLength("") == 0);
  CHECK(characterLength(std::string_view("\0", 1)) == 1);
  CHECK(isUtf8(""));
  CHECK(isUtf8(std::string_view("\0", 1)));
  CHECK_FALSE(isUtf8(std::string_view("\xE2\x98\x83", 2))); // never looks behind the end
}

TEST_CASE("UTF-8: characters are counted, not bytes") {
  CHECK(countCharacters("") == 0);
  CHECK(countCharacters("abc") == 3);
  CHECK(countCharacters("\xC3\xA4\xE2\x98\x83\xF0\x9F\x98\x80") == 3);
}

TEST_CASE("UTF-8: each stray byte becomes U+FFFD") {
  CHECK(cleanUtf8("") == "");
  CHECK(cleanUtf8("a\xED\xA0\x80z") == "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  CHECK(cleanUtf8("\xF0\x9F\x98\x80") == "\xF0\x9F\x98\x80");
  CHECK(cleanUtf8("a\xC3") == "a\xEF\xBF\xBD");
  CHECK(cleanUtf8("\xC3\xC3\xA4") == "\xEF\xBF\xBD\xC3\xA4");
}

TEST_CASE("UTF-8: a text is cut between characters") {
  CHECK(cutUtf8("abc", 5) == "abc");
  CHECK(cutUtf8("abc", 3) == "abc");
  CHECK(cutUtf8("abc", 2) == "ab");
  CHECK(cutUtf8("abc", 0) == "");
  CHECK(cutUtf8("\xC3\xA4\xC3\xA4", 3) == "\xC3\xA4");
  CHECK(cutUtf8("a\xE2\x98\x83", 3) == "a");
  CHECK(cutUtf8("a\xF0\x9F\x98\x80", 4) == "a");
  CHECK(cutUtf8("\xF0\x9F\x98\x80", 3) == "");
  CHECK(cutUtf8(std::string(9, '\x80'), 5).size() == 5); // no UTF-8: anywhere, and in no time
}

TEST_CASE("UTF-8: any text stays what it is, any bytes become a text") {
  CHECK(rc::check([] {
    const std::string text = anyText();
    RC_ASSERT(isUtf8(text));
    RC_ASSERT(cleanUtf8(text) == text);
  }));
  CHECK(rc::check([](const std::string &bytes) {
    const std::string clean = cleanUtf8(bytes);
    RC_ASSERT(isUtf8(clean));
    RC_ASSERT((clean == bytes) == isUtf8(bytes));
    RC_ASSERT(isUtf8(std::string_view(bytes).substr(0, utf8Prefix(bytes))));
  }));
}

TEST_CASE("UTF-8: a cut loses no more than the character it falls into") {
  CHECK(rc::check([] {
    const std::string text = anyText();
    const auto most = *rc::gen::inRange<std::size_t>(0, text.size() + 2);
    const std::string_view cut = cutUtf8(text, most);
    RC_ASSERT(isUtf8(cut));
    RC_ASSERT(text.compare(0, cut.size(), cut) == 0);
    RC_ASSERT(cut.size() <= most);
    RC_ASSERT(cut.size() == text.size() || cut.size() + 4 > most);
    if (cut.size() < text.size()) RC_ASSERT(cut.size() + characterLength(text.substr(cut.size())) > most);
  }));
}
