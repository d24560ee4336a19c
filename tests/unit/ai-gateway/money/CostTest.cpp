// The vectors of the wire, to the pico-dollar.
#include "Kit.h"

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

struct Vector {
  std::string model;
  std::string usage; ///< of an answer in one piece, and of the last event of a stream
  std::string usd;
  std::string more{}; ///< members of the request
};

const Vector kVectors[] = {
    {"claude-sonnet-4-5-20250929", R"({"input_tokens":3,"cache_creation_input_tokens":12304,"output_tokens":550})",
     "0.054399"},
    {"claude-sonnet-4",
     R"({"input_tokens":3,"cache_creation_input_tokens":12304,"cache_creation":{"ephemeral_5m_input_tokens":12304,)"
     R"("ephemeral_1h_input_tokens":0},"output_tokens":550})",
     "0.054399"},
    // 849 × 3 + 47 × 15
    {"claude-sonnet-4", R"({"input_tokens":849,"output_tokens":47})", "0.003252"},
    // 4522 × 3 + 4511 × 3.75 + 5 × 15
    {"claude-sonnet-4", R"({"input_tokens":4522,"cache_creation_input_tokens":4511,"output_tokens":5})", "0.03055725"},
    {"claude-sonnet-5",
     R"({"input_tokens":23000,"output_tokens":1000,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},)"
     R"({"type":"message","input_tokens":23000,"output_tokens":1000}]})",
     "0.451"},
    {"claude-sonnet-5",
     R"({"input_tokens":23000,"output_tokens":1000,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500}]})",
     "0.451"},
    // The figures of the answer leave out what the loop read again.
    {"claude-sonnet-5",
     R"({"input_tokens":412,"cache_read_input_tokens":0,"output_tokens":531,"iterations":[)"
     R"({"type":"message","input_tokens":412,"output_tokens":89},)"
     R"({"type":"advisor_message","model":"claude-opus-5","input_tokens":823,"output_tokens":1612},)"
     R"({"type":"message","input_tokens":1348,"cache_read_input_tokens":412,"output_tokens":442}]})",
     "0.0533274"},
    {"claude-sonnet-5",
     R"({"input_tokens":1760,"cache_read_input_tokens":412,"output_tokens":531,"iterations":[)"
     R"({"type":"advisor_message","model":"claude-opus-5","input_tokens":823,"output_tokens":1612}]})",
     "0.0533274"},
    // 10,682 × 2 + 510 × 10, and one search
    {"claude-sonnet-5",
     R"({"input_tokens":10682,"output_tokens":510,"server_tool_use":{"web_search_requests":1,"web_fetch_requests":3}})",
     "0.036464"},
    {"claude-opus-5", R"({"input_tokens":1000,"output_tokens":100,"speed":"fast"})", "0.015"},
    {"claude-opus-4-8", R"({"input_tokens":1000,"output_tokens":100,"speed":"standard"})", "0.0075",
     R"(,"speed":"fast")"},
    {"claude-opus-5", R"({"input_tokens":1000,"output_tokens":100})", "0.015", R"(,"speed":"fast")"},
    {"claude-opus-5-5",
     R"({"input_tokens":1000,"output_tokens":100,"inference_geo":"us","server_tool_use":{"web_search_requests":2}})",
     "0.0266"},
    {"claude-opus-5-5", R"({"input_tokens":1000,"output_tokens":100,"inference_geo":"global"})", "0.006",
     R"(,"inference_geo":"us")"},
    {"claude-opus-5-5", R"({"input_tokens":1000,"output_tokens":100,"service_tier":"batch"})", "0.003"},
    {"claude-opus-5-5", R"({"input_tokens":1000,"output_tokens":100,"service_tier":"priority"})", "0.006"},
    {"claude-haiku-5-5", R"({"input_tokens":100000,"output_tokens":1000})", "0.0105"},
    {"claude-haiku-5-5", R"({"input_tokens":1,"cache_read_input_tokens":100000,"output_tokens":1000})", "0.0075005"},
    {"claude-haiku-5-5", R"({"input_tokens":0,"cache_read_input_tokens":1,"output_tokens":1,"inference_geo":"us"})",
     "0.000000561"},
    // What is not told apart was written for an hour, when something was, or when the request asks for that.
    {"claude-sonnet-4",
     R"({"input_tokens":0,"cache_creation_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":400,)"
     R"("ephemeral_1h_input_tokens":500},"output_tokens":1})",
     "0.005115"},
    {"claude-sonnet-4", R"({"input_tokens":0,"cache_creation_input_tokens":1000,"output_tokens":1})", "0.006015",
     R"(,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}])"},
    {"claude-sonnet-4", R"({"input_tokens":0,"cache_creation_input_tokens":1000,"output_tokens":0})",
     "0.00375"}, // max_tokens 0
    // The model that answers is the one that is paid for.
    {"claude-fable-5",
     R"({"input_tokens":100,"output_tokens":0,"iterations":[{"type":"message","input_tokens":100,"output_tokens":0},)"
     R"({"type":"fallback_message","model":"claude-opus-5","input_tokens":100,"output_tokens":10}]})",
     "0.00075"},
};

Cost costOf(const Vector &vector, bool streamed) {
  const MessageRequest request = parsed(body(vector.model, vector.more));
  const std::string started = R"({"input_tokens":1,"cache_creation_input_tokens":null,"output_tokens":2})";
  const Usage usage = streamed ? read(true, stream(vector.model, started, vector.usage))
                               : read(false, answer(vector.model, vector.usage));
  return cost(usage, request, prices(), kNow);
}

} // namespace

TEST_CASE("money: what an answer cost, streamed and not") {
  for (const Vector &vector : kVectors) {
    for (const bool streamed : {false, true}) {
      CAPTURE(vector.model);
      CAPTURE(vector.usage);
      CAPTURE(streamed);
      const Cost it = costOf(vector, streamed);
      CHECK(it.money.pico() == usd(vector.usd).pico());
      CHECK_FALSE(it.partial);
      CHECK_FALSE(it.unknownModel);
      CHECK(it.model == vector.model);
    }
  }
}

TEST_CASE("money: the sums are those of all iterations") {
  const Cost it = costOf(kVectors[6], true);
  CHECK(it.sums == TokenCounts{1760 + 823, 412, 0, 0, 531 + 1612, 0});
  const Cost whole = costOf(kVectors[3], false);
  CHECK(whole.sums.input + whole.sums.cacheWrite5m + whole.sums.output == 9038);
}

TEST_CASE("money: a refusal without output is free, and whole") {
  const std::string usage = R"({"input_tokens":106,"output_tokens":0})";
  const MessageRequest request = parsed(body("claude-fable-5"));
  for (const bool streamed : {false, true}) {
    const Usage said = streamed ? read(true, stream("claude-fable-5", usage, usage, "", "refusal"))
                                : read(false, answer("claude-fable-5", usage, "", "refusal"));
    const Cost it = cost(said, request, prices(), kNow);
    CHECK(it.money == Money());
    CHECK_FALSE(it.partial);
    CHECK(it.sums.input == 106);
  }
  const Usage written =
      read(false, answer("claude-fable-5", R"({"input_tokens":106,"output_tokens":1})", "", "refusal"));
  CHECK(cost(written, request, prices(), kNow).money == usd("0.00111"));
}

TEST_CASE("money: an unknown model costs the dearest row, and says so") {
  const std::string usage = R"({"input_tokens":1000,"output_tokens":100})";
  const MessageRequest request = parsed(body("claude-fable-5"));
  for (const std::string model : {"claude-opus-9", "claude-sonnet-5-turbo", "gpt-5"}) {
    CAPTURE(model);
    const Cost it = cost(read(false, answer(model, usage)), request, prices(), kNow);
    CHECK(it.money == usd("0.0225"));
    CHECK(it.unknownModel);
    CHECK(it.model == model);
  }
  // Nobody has a price for this model at that speed.
  const std::string fast = R"({"input_tokens":1000,"output_tokens":100,"speed":"fast"})";
  const Cost it = cost(read(false, answer("claude-sonnet-5", fast)), request, prices(), kNow);
  CHECK(it.money == usd("0.0225"));
  CHECK(it.unknownModel);
}

TEST_CASE("money: prices are those of the day on which the call began") {
  const Usage usage = read(
      false, answer("claude-sonnet-5-5", R"({"input_tokens":0,"cache_read_input_tokens":1000,"output_tokens":1})"));
  const MessageRequest request = parsed(body("claude-sonnet-5-5"));
  CHECK(cost(usage, request, prices(), day("2026-10-07") - 1).money == usd("0.00021"));
  CHECK(cost(usage, request, prices(), day("2026-10-07")).money == usd("0.00011"));
}

TEST_CASE("money: an answer that says nothing of itself is estimated") {
  const MessageRequest request = parsed(body("claude-sonnet-5", "", 3'000));
  const Money prompt = usd("0.000002") * request.promptTokens;
  const auto costed = [&](bool streamed, const std::string &bytes, bool complete = true) {
    const Cost it = cost(read(streamed, bytes, complete), request, prices(), kNow);
    CHECK(it.partial);
    return it.money;
  };
  CHECK(costed(true, "", false) == prompt + usd("0.00001"));
  CHECK(
      costed(true, event("error", R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})")) ==
      prompt + usd("0.00001"));
  CHECK(costed(false, "", false) == prompt + usd("0.01"));
  CHECK(costed(false, answer("claude-sonnet-5", "{}", std::string(6'000, 'x'))) == prompt + usd("0.02"));
  // Nothing at all is no usage.
  const std::string nothing = R"({"input_tokens":0,"output_tokens":0})";
  CHECK(costed(true, stream("claude-sonnet-5", nothing, nothing)) == prompt + usd("0.00001"));
  CHECK(costed(true,
               stream("claude-sonnet-5", nothing,
                      R"({"input_tokens":0,"output_tokens":0,"iterations":[{"type":"message","input_tokens":0,)"
                      R"("output_tokens":0},{"type":"fallback_message"},{"type":"compaction","input_tokens":0}]})")) ==
        prompt + usd("0.00001"));
  // Without an end the figures stand all the same.
  std::string unended =
      stream("claude-sonnet-5", R"({"input_tokens":100,"output_tokens":1})", R"({"output_tokens":50})");
  unended.resize(unended.find("event: message_stop"));
  CHECK(costed(true, unended) == usd("0.0007"));
}

TEST_CASE("money: a stream that is cut costs what it began with and the bytes that came") {
  const std::string text(3'000, 'x');
  std::string cut =
      stream("claude-sonnet-5", R"({"input_tokens":500,"cache_read_input_tokens":1000,"output_tokens":3})", "{}", text);
  cut.resize(cut.find("event: message_delta"));
  const MessageRequest request = parsed(body("claude-sonnet-5"));
  const Cost it = cost(read(true, cut, false), request, prices(), kNow);
  CHECK(it.sums == TokenCounts{500, 1000, 0, 0, 1000, 0});
  CHECK(it.money == usd("0.0112"));
  CHECK(it.partial);
}

TEST_CASE("money: what the web brought counts in a stream that is cut") {
  const std::string result(9'000, 'r');
  const std::string cut =
      event(
          "message_start",
          R"({"type":"message_start","message":{"model":"claude-sonnet-5","usage":{"input_tokens":500,"output_tokens":1}}})") +
      event(
          "content_block_start",
          R"({"type":"content_block_start","index":1,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}})") +
      event(
          "content_block_start",
          R"({"type":"content_block_start","index":2,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[)"
          R"({"type":"web_search_result","encrypted_content":")" +
              result + R"("}]}})");
  const Cost it = cost(read(true, cut, false), parsed(body("claude-sonnet-5")), prices(), kNow);
  CHECK(it.sums == TokenCounts{3'500, 0, 0, 0, 1, 1});
}

TEST_CASE("money: a settlement is never above the most that the call can cost, if that has a bound") {
  const MessageRequest request = parsed(body("claude-sonnet-5"), {});
  const Hold most = worstCase(request, prices(), kNow);
  const std::string lie = R"({"input_tokens":4000000000,"output_tokens":18446744073709551616})";
  const Cost it = cost(read(false, answer("claude-sonnet-5", lie)), request, prices(), kNow);
  CHECK(it.partial);
  CHECK(it.sums.input == CountedTokens::kMost);
  CHECK(it.sums.output == CountedTokens::kMost);
  CHECK(settled(it, most).money == most.money);
  CHECK(settled(it, {most.money, false, false}).money == it.money);

  Cost honest = cost(read(false, answer("claude-sonnet-5", R"({"input_tokens":1000000,"output_tokens":10})")), request,
                     prices(), kNow);
  CHECK_FALSE(honest.partial);
  CHECK(settled(honest, most).partial);
  honest.money = most.money;
  CHECK_FALSE(settled(honest, most).partial);
}

TEST_CASE("money: amounts saturate and factors round up") {
  CHECK(Money::ofPico(3).scaled(500'000) == Money::ofPico(2));
  CHECK(Money::ofPico(10).scaled(1'100'000) == Money::ofPico(11));
  CHECK(Money::ofPico(1).scaled(1) == Money::ofPico(1));
  CHECK(Money::ofPico(0).scaled(1'100'000) == Money());
  const Money most = Money::ofPico(std::numeric_limits<std::int64_t>::max());
  CHECK(most.scaled(1'100'000) == most);
  CHECK(most * 2 == most);
}
