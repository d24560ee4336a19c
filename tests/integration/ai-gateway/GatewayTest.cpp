/// The plugin in the real daemon: the scripts of Anthropic's client, and money to the pico-dollar.
#include "Audit.h"
#include "Scripts.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <support/Text.h>
#include <support/Wait.h>

using namespace matrixos::test;
using nlohmann::json;

TEST_CASE("Anthropic's client and Claude Code find in the gateway what they find upstream") {
  const GatewayPlatform platform;
  for (const char *script : {"sdk.mjs", "claude-code.mjs"})
    playSdkScript(script, platform.upstream, {platform.url(), GatewayPlatform::tokenOf("alice")});
  CHECK(eventually([&] { return holdsNothing(platform); }));
  CHECK_FALSE(has(platform.daemon.log(), GatewayPlatform::kSharedKey));
}

TEST_CASE("every vector costs what it costs, to the pico-dollar, streamed and not") {
  const GatewayPlatform platform;
  for (const LlmVector &vector : kLlmVectors) {
    for (const bool stream : {false, true}) {
      CAPTURE(vector.name);
      CAPTURE(stream);
      const std::int64_t before = spentBy(platform, "alice");
      const Headers beta = *vector.beta == '\0' ? Headers{} : Headers{{"anthropic-beta", vector.beta}};
      const Response answer = platform.call("alice", bodyOf(vector, stream), beta);
      CHECK_MESSAGE(answer.status == 200, answer.body);
      CHECK(eventually([&] { return holdsNothing(platform); }));
      CHECK(spentBy(platform, "alice") - before == vector.pico);
    }
  }
}

TEST_CASE("a stream that is cut anywhere costs something, and no more than it was held for") {
  const GatewayPlatform platform;
  // max_tokens, and the prompt as a cache that is written.
  constexpr std::int64_t most = 6000LL * 500'000 + 1300LL * 125'000;
  for (int cut = 1; cut < 3000; cut += 97) {
    CAPTURE(cut);
    const std::int64_t before = spentBy(platform, "alice");
    CHECK(platform.call("alice", bodyOf("text=20 input=300 output=200 cut=" + std::to_string(cut), true)).status !=
          429);
    CHECK(eventually([&] { return holdsNothing(platform); }));
    const std::int64_t cost = spentBy(platform, "alice") - before;
    CHECK(cost > 0);
    CHECK(cost <= most);
  }
}

TEST_CASE("the ledger has what the upstream billed") {
  const GatewayPlatform platform;
  std::int64_t input = 0, output = 0, calls = 0;
  for (const char *words : {"input=100 output=20", "input=7 output=900 text=40 split", "status=529",
                            "input=30 output=5 crlf nospace deltas=3", "status=400"})
    for (const bool stream : {false, true})
      platform.call("bob", bodyOf(words, stream));
  CHECK(eventually([&] { return holdsNothing(platform); }));
  for (const std::string &line : platform.upstream.calls()) {
    const json call = json::parse(line);
    CHECK(call["key"] == "y-7Q");
    if (call["usage"].is_null()) continue;
    ++calls;
    input += call["usage"]["input_tokens"].get<std::int64_t>();
    output += call["usage"]["output_tokens"].get<std::int64_t>();
  }
  CHECK(calls == 6);
  const json usage = json::parse(platform.admin("/usage/bob").body);
  REQUIRE(usage["byModel"].size() == 1);
  CHECK(usage["byModel"][0]["inputTokens"] == input);
  CHECK(usage["byModel"][0]["outputTokens"] == output);
  CHECK(usage["byModel"][0]["partial"] == 0);

  const std::int64_t before = spentBy(platform, "bob");
  for (const bool stream : {false, true})
    CHECK(platform.call("bob", bodyOf("input=1 refusal", stream)).status == 200);
  CHECK(eventually([&] { return holdsNothing(platform); }));
  CHECK(spentBy(platform, "bob") == before); // it is free
}

TEST_CASE("an answer that is compressed although nobody asked for that is not passed on, and is estimated") {
  const GatewayPlatform platform;
  const Response answer = platform.call("bob", bodyOf("input=300 output=9 gzip", true));
  CHECK(answer.status == 502);
  CHECK(has(answer.body, "api_error"));
  CHECK(eventually([&] { return holdsNothing(platform); }));
  const json usage = json::parse(platform.admin("/usage/bob").body);
  REQUIRE(usage["byModel"].size() == 1);
  CHECK(usage["byModel"][0]["partial"] == 1);
  CHECK(spentBy(platform, "bob") > 0);
}
