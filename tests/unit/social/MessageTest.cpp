#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <social/Message.h>
#include <social/SocialApi.h>

#include <string>

using namespace matrixos::social;
using matrixos::Error;
using matrixos::Status;

namespace {

std::string message(const std::string &text, const std::string &from = R"({"handle":"alice"})") {
  return R"({"text":")" + text + R"(","from":)" + from + "}";
}

bool refused(const std::string &body) {
  try {
    canonicalMessage(body);
    return false;
  } catch (const Error &error) {
    return error.status() == Status::InvalidArgument;
  }
}

} // namespace

TEST_CASE("a message is written anew with its known members alone") {
  CHECK(canonicalMessage(
            R"( {"from":{"admin":true,"displayName":"Alice \u2603","handle":"alice"},"to":"x","text":"hi"} )")
            .json == "{\"text\":\"hi\",\"from\":{\"handle\":\"alice\",\"displayName\":\"Alice \xE2\x98\x83\"}}");
  CHECK(canonicalMessage(message("hi")).json == R"({"text":"hi","from":{"handle":"alice"}})");
  CHECK(canonicalMessage(message("hi")).from == "alice");
}

TEST_CASE("what is odd in a text arrives as it was") {
  const std::string body = message(R"(\u0000\u001f\" \\ \/ \n \ud83d\ude00 </script> \u2028)");
  const auto before = matrixos::json::parseObject(body);
  const auto after = matrixos::json::parseObject(canonicalMessage(body).json);
  CHECK(matrixos::json::getString(*before, "text") == matrixos::json::getString(*after, "text"));
}

TEST_CASE("limits hold at their edges") {
  CHECK_FALSE(refused(message(std::string(SocialApi::kMaxText, 'x'))));
  CHECK(refused(message(std::string(SocialApi::kMaxText + 1, 'x'))));
  CHECK(refused(message("")));
  const auto named = [](const std::string &name) {
    return message("hi", R"({"handle":"alice","displayName":")" + name + "\"}");
  };
  std::string snowmen;
  for (int i = 0; i < 128; ++i)
    snowmen += "\xE2\x98\x83";
  CHECK_FALSE(refused(named(snowmen)));
  CHECK(refused(named(snowmen + "x")));
}

TEST_CASE("malformed messages are refused") {
  for (const char *body :
       {"", "null", "[]", "{}", "{\"text\":\"hi\"}", R"({"text":5,"from":{"handle":"alice"}})",
        R"({"text":"hi","from":"alice"})", R"({"text":"hi","from":{}})", R"({"text":"hi","from":{"handle":5}})",
        R"({"text":"hi","from":{"handle":"Alice"}})", R"({"text":"hi","from":{"handle":"../x"}})",
        R"({"text":"hi","from":{"handle":"alice","displayName":7}})", R"({"text":"hi","from":null})",
        "{\"text\":\"\xFF\",\"from\":{\"handle\":\"alice\"}}"})
    CHECK_MESSAGE(refused(body), body);
}
