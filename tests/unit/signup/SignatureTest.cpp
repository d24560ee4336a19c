#include "signup/Signature.h"

#include "Signed.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

using namespace matrixos;
using namespace matrixos::signup;
using namespace matrixos::test;

namespace {

// https://github.com/standard-webhooks/standard-webhooks: the vector of the reference libraries.
const std::string kId = "msg_p5jXN8AQM9LWM0D4loKWxJek", kTime = "1614265330", kBody = R"({"test": 2432232314})",
                  kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
constexpr std::int64_t kNow = 1614265330;

// The vector of Inngest's SDKs.
const std::string kInngestKey = "signkey-test-f00f3005a3666b359a79c2bc3380ce2715e62727ac461ae1a2618f8766029c9f",
                  kInngestField = "t=1687306735&s=a060f245a5d0c3c779ef65fd15b2ac06e4ab98dd8cc9860aa0722c8481ae02ab",
                  kInngestBody = R"({"ctx":{"fn_id":"local-testing-local-cron","run_id":"01GQ3HTEZ01M7R8Z9PR1DMHDN1",)"
                                 R"("step_id":"step"},"event":{"data":{},"id":"","name":"demo/event.sent",)"
                                 R"("ts":1674082830001,"v":"1"},"events":[{"data":{},"id":"",)"
                                 R"("name":"demo/event.sent","ts":1674082830001,"v":"1"}],"steps":{},"use_api":false})";
constexpr std::int64_t kInngestNow = 1687306735;

std::string refusal(std::vector<Secret> (*parse)(std::string_view), std::string_view text) {
  try {
    parse(text);
  } catch (const Error &error) {
    return error.what();
  }
  return {};
}

} // namespace

TEST_CASE("the public vectors are good, within five minutes of their time") {
  const auto keys = webhookKeys(kWebhookSecret);
  const auto at = [&](std::int64_t now) { return checkWebhook(keys, {kId, kTime, kSignature}, kBody, now); };
  CHECK(at(kNow) == Verdict::Good);
  CHECK(at(kNow + 300) == Verdict::Good);
  CHECK(at(kNow - 300) == Verdict::Good);
  CHECK(at(kNow + 301) == Verdict::Stale);
  CHECK(at(kNow - 301) == Verdict::Stale);

  const auto inngest = inngestKeys(kInngestKey);
  const auto then = [&](std::int64_t now) { return checkInngest(inngest, kInngestField, kInngestBody, now); };
  CHECK(then(kInngestNow) == Verdict::Good);
  CHECK(then(kInngestNow + 300) == Verdict::Good);
  CHECK(then(kInngestNow + 301) == Verdict::Stale);
  CHECK(then(kInngestNow - 301) == Verdict::Stale);
}

TEST_CASE("no bit of a signed delivery can be another") {
  const auto keys = webhookKeys(kWebhookSecret);
  std::size_t flips = 0;
  std::string parts[] = {kId, kTime, kSignature, kBody};
  for (std::string &part : parts) {
    for (std::size_t bit = 0; bit < part.size() * 8; ++bit, ++flips) {
      const auto flip = [&] { part[bit / 8] = static_cast<char>(part[bit / 8] ^ (1 << bit % 8)); };
      flip();
      CAPTURE(part);
      CHECK(checkWebhook(keys, {parts[0], parts[1], parts[2]}, parts[3], kNow) != Verdict::Good);
      flip();
    }
  }
  CHECK(flips == 8 * (kId.size() + kTime.size() + kSignature.size() + kBody.size()));
  CHECK(checkWebhook(keys, {parts[0], parts[1], parts[2]}, parts[3], kNow) == Verdict::Good);

  const auto inngest = inngestKeys(kInngestKey);
  std::string both[] = {kInngestField, kInngestBody};
  for (std::string &part : both) {
    for (std::size_t bit = 0; bit < part.size() * 8; ++bit) {
      const auto flip = [&] { part[bit / 8] = static_cast<char>(part[bit / 8] ^ (1 << bit % 8)); };
      flip();
      CAPTURE(part);
      CHECK(checkInngest(inngest, both[0], both[1], kInngestNow) != Verdict::Good);
      flip();
    }
  }
}

TEST_CASE("several keys and several signatures: one of each is enough, while keys are exchanged") {
  const std::string other = "whsec_" + base64Encode("another key, of another time....");
  const auto check = [](const std::string &keys, const std::string &signature) {
    return checkWebhook(webhookKeys(keys), {kId, kTime, signature}, kBody, kNow);
  };
  const std::string wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  CHECK(check(other + "\n" + kWebhookSecret + "\n", kSignature) == Verdict::Good);
  CHECK(check(std::string(kWebhookSecret) + "\r\n\n" + other, wrong + " " + kSignature) == Verdict::Good);
  CHECK(check(other, kSignature) == Verdict::Bad);
  CHECK(check(kWebhookSecret, kSignature + " " + wrong + " v2,whatever v1a,else") == Verdict::Good);
  CHECK(check(kWebhookSecret, "v2," + kSignature.substr(3)) == Verdict::Bad);
  CHECK(check(kWebhookSecret, "V1," + kSignature.substr(3)) == Verdict::Bad);
  CHECK(check(kWebhookSecret, kSignature.substr(3)) == Verdict::Bad);
  // The same bytes in another spelling.
  CHECK(check(kWebhookSecret, kSignature.substr(0, kSignature.size() - 1)) == Verdict::Bad);
  CHECK(check(kWebhookSecret, kSignature + "=") == Verdict::Bad);
  std::string many;
  for (int i = 0; i < 16; ++i)
    many += wrong + " ";
  CHECK(check(kWebhookSecret, many + kSignature) == Verdict::Bad);
}

TEST_CASE("what is missing or odd is refused") {
  const auto keys = webhookKeys(kWebhookSecret);
  const auto check = [&](const std::string &id, const std::string &time) {
    const std::string text = base64Encode(
        hmacSha256(base64Decode(std::string(kWebhookSecret).substr(6)).value(), id + "." + time + "." + kBody));
    return checkWebhook(keys, {id, time, "v1," + text}, kBody, kNow);
  };
  CHECK(check(kId, kTime) == Verdict::Good);
  CHECK(check("", kTime) == Verdict::Missing);
  CHECK(check(kId, "") == Verdict::Missing);
  CHECK(checkWebhook(keys, {kId, kTime, ""}, kBody, kNow) == Verdict::Missing);
  // With a right signature even so.
  for (const std::string &time : std::vector<std::string>{"+1614265330", " 1614265330", "1614265330 ", "1614265330.0",
                                                          "0x60379b32", "-1", "99999999999999999999"})
    CHECK(check(kId, time) == Verdict::Bad);
  for (const std::string &id : std::vector<std::string>{"msg.1614265330", "msg 1", "msg\n1", "m\xc3\xa4"})
    CHECK(check(id, kTime) == Verdict::Bad);
  CHECK(check(std::string(257, 'm'), kTime) == Verdict::Bad);
  CHECK(checkWebhook({}, {kId, kTime, kSignature}, kBody, kNow) == Verdict::Bad);

  const auto inngest = inngestKeys(kInngestKey);
  CHECK(checkInngest(inngest, "", kInngestBody, kInngestNow) == Verdict::Missing);
  const std::string hex = kInngestField.substr(kInngestField.find("s=") + 2);
  for (const std::string &field : std::vector<std::string>{"s=" + hex + "&t=1687306735", "t=1687306735", "t=&s=" + hex,
                                                           "t=1687306735&s=", kInngestField + "&x=1"})
    CHECK(checkInngest(inngest, field, kInngestBody, kInngestNow) == Verdict::Bad);
  CHECK(checkInngest({}, kInngestField, kInngestBody, kInngestNow) == Verdict::Bad);
  CHECK(peekInngest(kInngestField, kInngestNow) == Verdict::Good);
  CHECK(peekInngest(kInngestField, kInngestNow + 301) == Verdict::Stale);
  CHECK(peekInngest(kInngestField + "0", kInngestNow) == Verdict::Bad);
}

TEST_CASE("a key that is empty or malformed is no key") {
  CHECK(webhookKeys("").empty());
  CHECK(webhookKeys("\n \n").empty());
  CHECK(refusal(webhookKeys, "whsec_").find("empty key") != std::string::npos);
  CHECK(refusal(webhookKeys, std::string(kWebhookSecret) + "\nwhsec_\n").find("empty key") != std::string::npos);
  CHECK(refusal(webhookKeys, "whsec_MfKQ!").find("no base64") != std::string::npos);
  CHECK(refusal(inngestKeys, "signkey-prod-").find("empty key") != std::string::npos);
  CHECK(refusal(inngestKeys, "signkey-prod").find("empty key") != std::string::npos);
  CHECK(webhookKeys(std::string(kWebhookSecret).substr(6)).size() == 1);
}
