#include "log/LineBuilder.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::log;

namespace {

std::string line(Format format, std::string_view message, std::vector<Field> fields = {},
                 std::vector<std::string> secrets = {}, std::string_view requestId = {}) {
  LogEntry entry;
  entry.level = Level::Warning;
  entry.timeMs = 1'767'323'045'067; // 2026-01-02T03:04:05.067Z
  entry.logger = "core.test";
  entry.message = message;
  entry.requestId = requestId;
  entry.fields = fields;
  return buildLine(entry, format, secrets);
}

json::Object::Ptr parsed(const std::string &text) {
  REQUIRE(text.back() == '\n');
  REQUIRE(text.find('\n') == text.size() - 1);
  return json::parseObject(std::string_view(text).substr(0, text.size() - 1));
}

} // namespace

TEST_CASE("a JSON line has the members in a fixed order and the types of the fields") {
  CHECK(line(Format::Json, "hello", {{"n", -5}, {"big", std::uint64_t{1} << 63U}, {"x", 0.1}, {"ok", true}, {"s", "t"}},
             {}, "req-1") ==
        "{\"time\":\"2026-01-02T03:04:05.067Z\",\"level\":\"warning\",\"logger\":\"core.test\",\"message\":\"hello\","
        "\"requestId\":\"req-1\",\"n\":-5,\"big\":9223372036854775808,\"x\":0.1,\"ok\":true,\"s\":\"t\"}\n");
}

TEST_CASE("a field called requestId is the line's own, unless it has one") {
  CHECK(line(Format::Json, "m", {{"a", 1}, {"requestId", "req-2"}, {"b", 2}})
            .find(R"("message":"m","requestId":"req-2","a":1,"b":2})") != std::string::npos);
  CHECK(line(Format::Json, "m", {{"requestId", "req-2"}}, {}, "req-1")
            .find(R"("requestId":"req-1","requestId_":"req-2"})") != std::string::npos);
}

TEST_CASE("a line for people is aligned and quotes what needs it") {
  CHECK(line(Format::Human, "hello", {{"n", 5}, {"s", "two words"}, {"e", ""}, {"p", "plain"}}) ==
        "2026-01-02T03:04:05.067Z warning core.test        hello n=5 s=\"two words\" e=\"\" p=plain\n");
}

TEST_CASE("nothing that is put in forges a line, a member or a terminal command") {
  const std::string evil = "a\nb\r\"c\\d\t\x1b[31m\x7f\xc2\x9b\x80\xff\xed\xa0\x80 ü €";
  const auto object = parsed(line(Format::Json, evil, {{evil, evil}}));
  const std::string clean =
      "a\nb\r\"c\\d\t\x1b[31m\x7f\xc2\x9b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ü €";
  CHECK(json::getString(*object, "message") == clean);
  CHECK(json::getString(*object, clean) == clean);
  for (const Format format : {Format::Json, Format::Human}) {
    const std::string text = line(format, evil, {{evil, evil}});
    for (const char c : text.substr(0, text.size() - 1))
      CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    CHECK(text.find("\xc2\x9b") == std::string::npos);
  }
}

TEST_CASE("fields cannot replace what a line says of itself, and numbers that JSON lacks are null") {
  const auto object = parsed(line(Format::Json, "real",
                                  {{"message", "fake"},
                                   {"level", 1},
                                   {"nan", std::numeric_limits<double>::quiet_NaN()},
                                   {"inf", std::numeric_limits<double>::infinity()}}));
  CHECK(json::getString(*object, "message") == "real");
  CHECK(json::getString(*object, "message_") == "fake");
  CHECK(json::getInt(*object, "level_", 0) == 1);
  CHECK(object->isNull("nan"));
  CHECK(object->isNull("inf"));
}

TEST_CASE("secrets are taken out of messages and fields before anything is cut") {
  const std::vector<std::string> secrets{"hunter22-long", "hunter22"};
  for (const Format format : {Format::Json, Format::Human}) {
    const std::string text =
        line(format, "Bearer hunter22 and hunter22hunter22", {{"auth", "x=hunter22-long;"}}, secrets);
    CHECK(text.find("hunter22") == std::string::npos);
    CHECK(text.find("Bearer [redacted] and [redacted][redacted]") != std::string::npos);
    CHECK(text.find("x=[redacted];") != std::string::npos);
    // At the very place where a message is cut.
    for (std::size_t pad = 8100; pad < 8200; ++pad) {
      const std::string cut = line(format, std::string(pad, 'x') + "hunter22", {}, secrets);
      CHECK(cut.find("hunt") == std::string::npos);
    }
  }
}

TEST_CASE("lines are bounded and stay well-formed") {
  const std::string huge(100'000, 'x');
  const std::string nasty(100'000, '\x01');
  for (const std::string &text : {huge, nasty}) {
    const std::string json = line(Format::Json, text, {{"a", text}, {"b", 1}, {text, "c"}}, {}, text);
    CHECK(json.size() <= kLongestLine);
    const auto object = parsed(json);
    CHECK(json::getBool(*object, "truncated", false));
    CHECK(json::getString(*object, "message").size() > 1000);
    const std::string human = line(Format::Human, text, {{"a", text}, {"b", 1}});
    CHECK(human.size() <= kLongestLine);
    CHECK(human.find("[truncated]\n") != std::string::npos);
  }
  std::vector<Field> many(5000, Field("key", 1));
  CHECK(json::getBool(*parsed(line(Format::Json, "m", many)), "truncated", false));
  CHECK(line(Format::Human, "m", many).size() <= kLongestLine);
}

TEST_CASE("random bytes always give one valid line") {
  std::mt19937 random(42);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 60, '\0');
    for (char &c : bytes)
      c = static_cast<char>(random());
    CHECK_NOTHROW(parsed(line(Format::Json, bytes, {{bytes, bytes}, {"n", 1}})));
  }
}
