#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace matrixos;

namespace {

bool refused(std::string_view text) {
  try {
    json::parse(text);
    return false;
  } catch (const Error &error) {
    CHECK(error.status() == Status::InvalidArgument);
    CHECK(error.reason() == "BAD_JSON");
    return true;
  }
}

template <typename Get>
bool badField(Get &&get) {
  try {
    get();
    return false;
  } catch (const Error &error) {
    return error.status() == Status::InvalidArgument && error.reason() == "BAD_FIELD";
  }
}

std::string nested(std::size_t depth, const std::string &open, const std::string &close) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i)
    text += open;
  for (std::size_t i = 0; i < depth; ++i)
    text += close;
  return text;
}

} // namespace

TEST_CASE("what is no JSON is refused") {
  for (const char *text : {"",
                           " ",
                           "{",
                           "]",
                           "{} x",
                           "{}{}",
                           "[1,]",
                           "{\"a\":1,}",
                           "{'a':1}",
                           "{a:1}",
                           "[01]",
                           "[+1]",
                           "[.5]",
                           "[1.]",
                           "[NaN]",
                           "[Infinity]",
                           "nan",
                           "// c\n{}",
                           "/* c */ {}",
                           "[\"\t\"]",
                           "[\"\\x\"]",
                           "[\"\\ud800\"]",
                           "[1 2]",
                           "{\"a\" 1}",
                           "[tru]",
                           "[1e999]",
                           "[123456789012345678901234567890]",
                           "\xEF\xBB\xBF{}"})
    CHECK_MESSAGE(refused(text), text);
  CHECK(refused(std::string_view("\0{}", 3)));
  CHECK(refused(std::string_view("{}\0", 3)));
}

TEST_CASE("a lone value is no document") {
  for (const char *text : {"5", "\"x\"", "null", "true"})
    CHECK_MESSAGE(refused(text), text);
}

TEST_CASE("depth is bounded") {
  CHECK_FALSE(refused(nested(json::kMaxDepth, "[", "]")));
  CHECK(refused(nested(json::kMaxDepth + 1, "[", "]")));
  CHECK(refused(nested(1'000'000, "[", "]")));
  CHECK(refused(nested(1'000'000, "{\"a\":", "}")));
  CHECK(refused(std::string(1'000'000, '[')));
}

TEST_CASE("text has to be UTF-8") {
  for (const char *bytes : {"\x80", "\xC0\xAF", "\xC3", "\xE2\x98", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF",
                            "\xF8\x88\x80\x80\x80", "\xE0\x80\xAF"})
    CHECK(refused("[\"" + std::string(bytes) + "\"]"));
  for (const char *bytes : {"\xC3\xA4", "\xE2\x98\x83", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"})
    CHECK_FALSE(refused("[\"" + std::string(bytes) + "\"]"));
  CHECK_FALSE(isUtf8("\xE2\x98")); // cut at the end of the text
}

TEST_CASE("members have exactly their type") {
  const auto object = json::parseObject(
      R"({"s":"x","i":5,"n":1.5,"b":true,"o":{},"a":[],"z":null,"digits":"5","big":9223372036854775807})");
  CHECK(json::getString(*object, "s") == "x");
  CHECK(json::getInt(*object, "i", 0) == 5);
  CHECK(json::getInt(*object, "big", 0) == INT64_MAX);
  CHECK(json::getNumber(*object, "n", 0) == 1.5);
  CHECK(json::getNumber(*object, "i", 0) == 5);
  CHECK(json::getBool(*object, "b", false));
  CHECK(json::findObject(*object, "o"));
  CHECK(json::findArray(*object, "a"));

  for (const char *absent : {"z", "none"}) {
    CHECK_FALSE(json::findString(*object, absent).has_value());
    CHECK(json::getInt(*object, absent, 7) == 7);
    CHECK(json::getBool(*object, absent, true));
    CHECK_FALSE(json::findObject(*object, absent));
    CHECK_FALSE(json::findArray(*object, absent));
    CHECK(badField([&] { json::getString(*object, absent); }));
  }
  for (const char *other : {"i", "n", "b", "o", "a"})
    CHECK_MESSAGE(badField([&] { json::findString(*object, other); }), other);
  for (const char *other : {"s", "n", "b", "o", "a", "digits"})
    CHECK_MESSAGE(badField([&] { json::getInt(*object, other, 0); }), other);
  for (const char *other : {"s", "b", "o", "a", "digits"})
    CHECK_MESSAGE(badField([&] { json::getNumber(*object, other, 0); }), other);
  for (const char *other : {"s", "i", "n", "o", "a"})
    CHECK_MESSAGE(badField([&] { json::getBool(*object, other, false); }), other);
  for (const char *other : {"s", "i", "a", "b"})
    CHECK_MESSAGE(badField([&] { json::findObject(*object, other); }), other);
  for (const char *other : {"s", "i", "o", "b"})
    CHECK_MESSAGE(badField([&] { json::findArray(*object, other); }), other);
}

TEST_CASE("a number too large for a whole number is refused, not wrapped") {
  const auto object = json::parseObject(R"({"n":18446744073709551615})");
  CHECK_THROWS(json::getInt(*object, "n", 0));
}

TEST_CASE("the document has to be an object where one is asked for") {
  CHECK_THROWS_AS(json::parseObject("[]"), Error);
  CHECK_THROWS_AS(json::parseObject("[{}]"), Error);
  for (const char *scalar : {"\"x\"", "5", "true", "null", " null", "x"})
    CHECK_THROWS_WITH_AS(json::parseObject(scalar), "the JSON document has to be an object, like {\"key\": …}", Error);
  CHECK_THROWS_WITH_AS(json::parseObject(""), "malformed JSON: unexpected end of text", Error);
}

TEST_CASE("what is written reads back") {
  json::Object object;
  const std::string odd = std::string("\0\x01\x1f \"\\/", 7) + "\xE2\x80\xA8\xF0\x9F\x98\x80\x7F";
  const std::string name = odd.substr(1);
  object.set(name, odd);
  const auto back = json::parseObject(json::dump(object));
  CHECK(json::getString(*back, name) == odd);
}

TEST_CASE("a NUL in a member's name ends the name") {
  // Poco reads names as C strings. Harmless as long as documents are never compared by their bytes: like a repeated
  // name, the last one counts.
  const auto object = json::parseObject(R"({"name":"first","name\u0000x":"second"})");
  CHECK(object->size() == 1);
  CHECK(json::getString(*object, "name") == "second");
}

TEST_CASE("damaged documents are read or refused, nothing else") {
  std::mt19937 random(7);
  const std::string whole =
      R"({"text":"a\u2603\n","from":{"handle":"alice","n":[1,-2.5e3,true,null,{"x":"y"}]},"k":"\ud83d\ude00"})";
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = whole;
    const std::size_t edits = 1 + random() % 3;
    for (std::size_t e = 0; e < edits && !text.empty(); ++e) {
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, 1 + random() % 5);
      else
        text[at] = static_cast<char>(random() % 256);
    }
    try {
      json::parseObject(text);
      ++good;
    } catch (const Error &error) {
      REQUIRE(error.status() == Status::InvalidArgument);
    }
  }
  CHECK(good > 0);
  CHECK(good < 20'000);
}
