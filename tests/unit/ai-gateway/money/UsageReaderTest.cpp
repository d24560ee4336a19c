#include "Kit.h"
#include "fuzz/Replay.h"
#include "fuzz/ai-gateway/Checks.h"
#include "support/Allocations.h"

#include <rapidcheck.h>

#include <algorithm>
#include <vector>

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

constexpr const char *kStarted =
    R"({"input_tokens":2679,"cache_creation_input_tokens":100,"cache_read_input_tokens":40,"cache_creation":)"
    R"({"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":60},"output_tokens":3,"service_tier":"standard"})";

std::string delta(std::string_view kind, std::string_view member, std::string_view text) {
  return event("content_block_delta", R"({"type":"content_block_delta","index":0,"delta":{"type":")" +
                                          std::string(kind) + "\",\"" + std::string(member) + "\":\"" +
                                          std::string(text) + "\"}}");
}
std::string usageDelta(std::string_view usage) {
  return event("message_delta",
               R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":)" + std::string(usage) + "}");
}
std::string started(std::string_view usage = kStarted) {
  const std::string whole = stream("claude-sonnet-5", usage, "{}");
  return whole.substr(0, whole.find("event: content_block_start"));
}
const std::string kStop = event("message_stop", R"({"type":"message_stop"})");

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// All that a stream may hold: thinking, a tool of the caller's, one of the upstream's, events of later versions.
std::string everything() {
  return ": hello\n\n" + started() +
         event(
             "content_block_start",
             R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}})") +
         delta("thinking_delta", "thinking", "Let me see: \\\"3 \\u00d7 4\\\"") +
         delta("signature_delta", "signature", "EqQBCgIYAhIM1gbcDa9GJwZA2b3h") +
         event("content_block_stop", R"({"type":"content_block_stop","index":0})") +
         event("ping", R"({"type": "ping"})") +
         event(
             "content_block_start",
             R"({"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}})") +
         delta("input_json_delta", "partial_json", "{\\\"query\\\":\\\"weather\\\"}") +
         event(
             "content_block_start",
             R"({"type":"content_block_start","index":2,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1",)"
             R"("content":[{"type":"web_search_result","title":"T","url":"https://x","encrypted_content":"Aaaaa","page_age":null}]}})") +
         event("new_event", R"({"type":"new_event","usage":{"input_tokens":9}})") +
         event("content_block_start",
               R"({"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}})") +
         delta("text_delta", "text", "It is sunny. \xE2\x98\x80") + usageDelta(R"({"output_tokens":200})") +
         usageDelta(
             R"({"input_tokens":10682,"cache_read_input_tokens":null,"output_tokens":510,"server_tool_use":{"web_search_requests":1}})") +
         kStop;
}

/// Each event's data in several lines.
std::string inLines(std::string text) {
  return replaced(replaced(std::move(text), "{\"type\":", "\ndata: {\"type\":"), ",\"", ",\ndata: \"");
}

/// Without names the data says what it is.
std::string nameless() {
  std::string text = everything();
  for (const char *name :
       {"message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta"})
    text = replaced(text, "event: " + std::string(name) + "\n", "");
  return text;
}

std::vector<std::string> recorded() {
  const std::string compacted =
      R"({"input_tokens":2300,"output_tokens":100,"iterations":[{"type":"compaction","input_tokens":18000,)"
      R"("output_tokens":350},{"type":"message","input_tokens":2300,"output_tokens":100}]})";
  std::vector<std::string> all = {
      everything(), stream("claude-haiku-5-5", R"({"input_tokens":849,"output_tokens":10})", R"({"output_tokens":47})"),
      stream("claude-sonnet-5", R"({"input_tokens":2300,"output_tokens":1})", compacted),
      started() + delta("text_delta", "text", "Half an ans") +
          event("error", R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})")};
  all.push_back(replaced(everything(), "\n", "\r\n"));
  all.push_back(replaced(everything(), "\n", "\r"));
  all.push_back(replaced(everything(), ": {", ":{"));
  all.push_back("\xEF\xBB\xBF" + everything());
  all.push_back(inLines(everything()));
  all.push_back(replaced(inLines(everything()), "\n", "\r\n"));
  all.push_back(nameless());
  all.push_back("\xEF\xBB\xBF" + replaced(nameless(), "\n", "\r\n"));
  // The name behind the data, comments within events, and nothing before the last figures.
  all.push_back(started("{}") + ": x\n\n:\n\n" +
                "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\n: x\n"
                "data: \"text\":\"Hello\"}}\nevent: content_block_delta\n\n" +
                usageDelta(R"({"input_tokens":4522,"cache_creation_input_tokens":4511,"output_tokens":5})") + kStop);
  // A fault that follows the figures.
  all.push_back(started() + usageDelta(R"({"output_tokens":200})") +
                event("error", R"({"type":"error","error":{"type":"api_error","message":"Internal server error"}})"));
  return all;
}

} // namespace

TEST_CASE("usage: every field that is told later takes the place of the first") {
  const Usage usage = read(true, everything());
  CHECK(usage.model == "claude-sonnet-5");
  CHECK(usage.tokens == CountedTokens{10682, 40, 100, 30, 60, 510});
  CHECK(usage.webSearches == 1);
  CHECK(usage.searchesBegun == 1);
  CHECK(usage.serviceTier == "standard");
  CHECK(usage.stopReason == "end_turn");
  CHECK(usage.uncountedBytes == 0);
  CHECK(usage.outputCounted);
  CHECK(usage.ended);
  CHECK_FALSE(usage.broken);
}

TEST_CASE("usage: lines may end in any way, and fields lack their blank") {
  const Usage usage = read(true, everything());
  for (const std::string &bytes :
       {replaced(everything(), "\n", "\r\n"), replaced(everything(), "\n", "\r"), replaced(everything(), ": ", ":"),
        "\xEF\xBB\xBF" + everything(),
        replaced(replaced(everything(), "event: new_event\n", "event: ping\n"), "{\"type\":", "\ndata: {\"type\":"),
        inLines(everything()), nameless(),
        replaced(nameless(), "\ndata: {\"type\":\"message_stop\"}\n\n", "\ndata: {\"type\":\"message_stop\"}")})
    CHECK(read(true, bytes) == usage);
}

TEST_CASE("usage: streams cut at every byte are never free and never above the reservation") {
  const MessageRequest request =
      parsed(body("claude-sonnet-5", R"(,"cache_control":{"type":"ephemeral","ttl":"1h"})"), {}, "");
  const Hold most = worstCase(request, prices(), kNow);
  for (const std::string &bytes : recorded()) {
    // The last line's end is whole with its CR.
    const std::size_t end = bytes.ends_with("\r\n") ? bytes.size() - 1 : bytes.size();
    const bool ends = bytes.find("message_stop") != std::string::npos;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
      const Usage usage = read(true, std::string_view(bytes).substr(0, size), false, 64);
      const Cost all = cost(usage, request, prices(), kNow);
      const Cost it = settled(all, most);
      CAPTURE(size);
      REQUIRE(it.money > Money());
      REQUIRE(it.money <= most.money);
      REQUIRE(usage.ended == (ends && size >= end));
      REQUIRE(it.partial == !usage.ended);
    }
  }
}

TEST_CASE("usage: answers in one piece cut at every byte are never free and never above the reservation") {
  const std::string bytes = answer("claude-sonnet-5", kStarted, std::string(300, 'x'));
  const MessageRequest request = parsed(body("claude-sonnet-5"), {}, "");
  const Hold most = worstCase(request, prices(), kNow);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const Cost it =
        settled(cost(read(false, std::string_view(bytes).substr(0, size), true, 64), request, prices(), kNow), most);
    CAPTURE(size);
    REQUIRE(it.money > Money());
    REQUIRE(it.money <= most.money);
    REQUIRE(it.partial == (size < bytes.size()));
  }
  CHECK_FALSE(read(false, bytes, false).ended);
  CHECK(read(false, bytes + "x").broken);
}

TEST_CASE("usage: how the bytes are split changes nothing") {
  CHECK(rc::check([] {
    const auto all = recorded();
    const std::string bytes = *rc::gen::elementOf(all);
    const bool isEventStream = *rc::gen::arbitrary<bool>();
    const std::string text = isEventStream ? bytes : answer("claude-sonnet-5", kStarted, bytes.substr(0, 0));
    UsageReader reader(isEventStream);
    for (std::size_t at = 0; at < text.size();) {
      const auto size = *rc::gen::inRange<std::size_t>(1, 400);
      reader.feed(std::string_view(text).substr(at, size));
      at += size;
    }
    reader.finish(true);
    RC_ASSERT(reader.usage() == read(isEventStream, text, true, text.size()));
  }));
}

TEST_CASE("usage: streamed or not, the same figures cost the same") {
  CHECK(rc::check([] {
    const auto count = [] { return std::to_string(*rc::gen::inRange(0, 200'000)); };
    const std::string usage = R"({"input_tokens":)" + count() + R"(,"cache_read_input_tokens":)" + count() +
                              R"(,"cache_creation_input_tokens":)" + count() + R"(,"output_tokens":)" + count() + "}";
    const MessageRequest request = parsed(body("claude-haiku-5-5", "", 10));
    const Cost streamed = cost(read(true, stream("claude-haiku-5-5", R"({"input_tokens":1,"output_tokens":1})", usage)),
                               request, prices(), kNow);
    const Cost whole = cost(read(false, answer("claude-haiku-5-5", usage)), request, prices(), kNow);
    RC_ASSERT(streamed.partial == whole.partial);
    if (!whole.partial) RC_ASSERT(streamed.money == whole.money);
    if (!whole.partial) RC_ASSERT(streamed.sums == whole.sums);
  }));
}

TEST_CASE("usage: figures that are none make a call partial, and are never believed") {
  for (const char *figure : {"-1", "-0", "1.5", "1e3", "1e300", "\"7\"", "true", "[7]", "{\"x\":7}", "4294967297",
                             "99999999999999999999999"}) {
    CAPTURE(figure);
    const std::string usage = R"({"input_tokens":10,"output_tokens":)" + std::string(figure) + "}";
    for (const bool streamed : {false, true}) {
      const Usage said = streamed
                             ? read(true, stream("claude-sonnet-5", R"({"input_tokens":10,"output_tokens":1})", usage))
                             : read(false, answer("claude-sonnet-5", usage));
      CHECK(said.broken);
      CHECK(said.tokens.output.value_or(1) <= CountedTokens::kMost);
      const Cost it = cost(said, parsed(body("claude-sonnet-5")), prices(), kNow);
      CHECK(it.partial);
      CHECK(it.money > Money());
    }
  }
  for (const char *figure : {"NaN", "Infinity", "--1", "01", "+1", "1."}) {
    CAPTURE(figure);
    const std::string usage = R"({"output_tokens":)" + std::string(figure) + "}";
    CHECK(read(true, started() + usageDelta(usage) + kStop).broken);
    CHECK(read(false, answer("claude-sonnet-5", usage)).broken);
  }
  CHECK(read(true, started() + usageDelta(R"({"output_tokens":5,"output_tokens":-5})") + kStop).broken);
  CHECK(read(true, started() + usageDelta(R"({"output_tokens":5,"input_tokens":null})") + kStop).tokens.input == 2679);
}

TEST_CASE("usage: an upstream without end costs no memory") {
  const std::string chunk(1'000'000, 'x');
  for (const char *start : {"event: content_block_delta\ndata: {\"delta\":{\"text\":\"",
                            "event: message_delta\ndata: {\"usage\":{\"", "event: ", ": ", "data: ", "x"}) {
    CAPTURE(start);
    UsageReader reader(true);
    reader.feed(started());
    reader.feed(start);
    matrixos::test::allocations = 0;
    for (int i = 0; i < 50; ++i)
      reader.feed(chunk);
    CHECK(matrixos::test::allocations == 0);
    reader.finish(true);
    CHECK_FALSE(reader.usage().ended);
    CHECK(reader.usage().tokens.input == 2679);
  }
  // More iterations than a call can have.
  std::string many = R"({"output_tokens":5,"iterations":[)";
  for (int i = 0; i < 1'000; ++i)
    many += R"({"type":"message","input_tokens":1,"output_tokens":1},)";
  many.back() = ']';
  const Usage usage = read(true, started() + usageDelta(many + "}") + kStop);
  CHECK(usage.iterations.size() == Usage::kMaxIterations);
  CHECK(usage.broken);
}

TEST_CASE("usage: what is stepped over allocates nothing") {
  const std::string events = delta("text_delta", "text", std::string(1'000, 'x')) +
                             event("ping", R"({"type": "ping"})") +
                             event("content_block_stop", R"({"type":"content_block_stop","index":0})");
  UsageReader reader(true);
  reader.feed(started());
  reader.feed(events);
  matrixos::test::allocations = 0;
  for (int i = 0; i < 1'000; ++i)
    reader.feed(events);
  CHECK(matrixos::test::allocations == 0);
  CHECK(reader.usage().uncountedBytes == 1'001'000);
}

TEST_CASE("usage: corpus and mutants of it") {
  matrixos::fuzz::replay(MATRIXOS_AI_GATEWAY_CORPUS "/usage", matrixos::gateway::fuzz::usage, 8);
}
