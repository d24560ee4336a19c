#include <matrixos/json.hpp>
#include <matrixos/text/json_quote.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace matrixos;

namespace {

std::string read(const std::string &json) {
  return json::parse("[" + json + "]").extract<json::Array::Ptr>()->getElement<std::string>(0);
}

} // namespace

TEST_CASE("JSON quoting: what has to be escaped is, the rest is not") {
  CHECK(jsonString("") == R"("")");
  CHECK(jsonString("plain text, /slashes/ and 'quotes'") == R"("plain text, /slashes/ and 'quotes'")");
  CHECK(jsonString(R"(a "quote" and a \)") == R"("a \"quote\" and a \\")");
  CHECK(jsonString("\n\r\t") == R"("\n\r\t")");
  CHECK(jsonString(std::string("\0\x01\x1f\x7f", 4)) == "\"\\u0000\\u0001\\u001f\\u007f\"");
  CHECK(jsonString("\xC2\x80\xC2\x9F") == "\"\\u0080\\u009f\""); // a terminal acts on these, too
  CHECK(jsonString("\xC2\xA0\xC3\xA4\xE2\x98\x83\xF0\x9F\x98\x80") ==
        "\"\xC2\xA0\xC3\xA4\xE2\x98\x83\xF0\x9F\x98\x80\"");
}

TEST_CASE("JSON quoting: bytes that are no character become U+FFFD") {
  CHECK(jsonString("a\xFFz") == "\"a\xEF\xBF\xBDz\"");
  CHECK(jsonString("\xC0\xAF") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(jsonString("\xED\xA0\x80") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(jsonString("cut \xE2\x98") == "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST_CASE("JSON quoting: a line takes what fits whole") {
  const auto upTo = [](std::string_view text, std::size_t limit, bool fits) {
    std::string line = "12";
    CHECK(appendJsonEscaped(line, text, limit) == fits);
    return line;
  };
  CHECK(upTo("abc", 5, true) == "12abc");
  CHECK(upTo("abc", 4, false) == "12ab");
  CHECK(upTo("abc", 1, false) == "12");
  CHECK(upTo("", 1, true) == "12");
  CHECK(upTo("ab\n", 6, true) == "12ab\\n");
  CHECK(upTo("ab\n", 5, false) == "12ab");
  CHECK(upTo("ab\x01", 9, false) == "12ab");
  CHECK(upTo("ab\x01z", 10, false) == "12ab\\u0001");
  CHECK(upTo("\xE2\x98\x83", 4, false) == "12");
  CHECK(upTo("\xE2\x98\x83", 5, true) == "12\xE2\x98\x83");
  CHECK(upTo("\xFF", 4, false) == "12");
  CHECK(upTo("\xFF", 5, true) == "12\xEF\xBF\xBD");
}

TEST_CASE("JSON quoting: a parser reads back the text") {
  CHECK(rc::check([](const std::string &bytes) { RC_ASSERT(read(jsonString(bytes)) == cleanUtf8(bytes)); }));
  CHECK(rc::check([] {
    const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab\"\\\n\t\x7f/\xC2\x85\xE2")));
    RC_ASSERT(read(jsonString(text)) == cleanUtf8(text));
  }));
}

TEST_CASE("JSON quoting: what was cut is the beginning of the whole") {
  CHECK(rc::check([](const std::string &bytes) {
    const std::string whole = jsonString(bytes);
    const auto limit = *rc::gen::inRange<std::size_t>(0, whole.size() + 1);
    std::string line;
    const bool fits = appendJsonEscaped(line, bytes, limit);
    RC_ASSERT(line.size() <= limit);
    RC_ASSERT(whole.compare(1, line.size(), line) == 0);
    RC_ASSERT(fits == (line.size() == whole.size() - 2));
    read("\"" + line + "\"");
  }));
}
