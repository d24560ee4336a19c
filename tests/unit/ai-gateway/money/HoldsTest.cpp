#include "Kit.h"

#include <rapidcheck.h>

#include <algorithm>

using namespace matrixos::gateway;
using namespace matrixos::gateway::test;

namespace {

Money held(const std::string &text, std::string_view more = {}) {
  return worstCase(parsed(body(text, more, 3'000), {}, ""), prices(), kNow).money;
}
std::uint64_t tokens(const std::string &model, std::string_view more = {}) {
  return (body(model, more, 3'000).size() + 2) / 3;
}
const std::string kHour = R"(,"cache_control":{"type":"ephemeral","ttl":"1h"})";
const std::string kSearch = R"(,"tools":[{"type":"web_search_20250305","max_uses":2}])";

} // namespace

TEST_CASE("hold: the prompt at the price of writing it, and max_tokens of output") {
  const std::string sonnet = "claude-sonnet-4";
  CHECK(held(sonnet) == usd("0.00000375") * tokens(sonnet) + usd("0.000015") * 8'000);
  CHECK(held(sonnet, kHour) == usd("0.000006") * tokens(sonnet, kHour) + usd("0.000015") * 8'000);
  const std::string us = R"(,"inference_geo":"us")";
  CHECK(held(sonnet, us) == (usd("0.00000375") * tokens(sonnet, us) + usd("0.000015") * 8'000).scaled(1'100'000));
  const std::string fast = R"(,"speed":"fast")";
  CHECK(held("claude-opus-5", fast) == usd("0.0000125") * tokens("claude-opus-5", fast) + usd("0.00005") * 8'000);
  const Hold unknown = worstCase(parsed(body("claude-x", "", 3'000)), prices(), kNow);
  CHECK(unknown.money == usd("0.00001875") * tokens("claude-x") + usd("0.000075") * 8'000);
  CHECK(unknown.unknownModel);
  CHECK(unknown.bounded);
}

TEST_CASE("hold: a prompt that may pass the limit is held at the price above it") {
  const MessageRequest below = parsed(body("claude-haiku-5-5", "", 290'000));
  const MessageRequest above = parsed(body("claude-haiku-5-5", "", 310'000));
  CHECK(worstCase(below, prices(), kNow).money == usd("0.000000125") * below.promptTokens + usd("0.0000005") * 8'000);
  CHECK(worstCase(above, prices(), kNow).money == usd("0.000000625") * above.promptTokens + usd("0.0000025") * 8'000);
}

TEST_CASE("hold: each use of a search has its fee, what it brings, and the prompt again") {
  const std::uint64_t prompt = tokens("claude-sonnet-4", kSearch) + 2'000;
  const std::uint64_t read = 3 * prompt + 2 * 8'000 + 3 * 10'000;
  CHECK(held("claude-sonnet-4", kSearch) == usd("0.00000375") * read + usd("0.000015") * 8'000 + usd("0.02"));
  const Hold endless =
      worstCase(parsed(body("claude-sonnet-4", R"(,"tools":[{"type":"web_search_20250305"}])", 10)), prices(), kNow);
  CHECK_FALSE(endless.bounded);
  CHECK(endless.money > usd("0.01"));
  const Hold most =
      worstCase(parsed(body("claude-opus-4", R"(,"tools":[{"type":"web_search_20250305","max_uses":4294967295}])", 10)),
                prices(), kNow);
  CHECK(most.money > usd("1000000"));
  // As long as a body of pictures alone can be, and more often than can be counted.
  MessageRequest request =
      parsed(body("claude-opus-4", R"(,"tools":[{"type":"web_fetch_20250910","max_uses":4294967295,)"
                                   R"("max_content_tokens":0}])"));
  request.promptTokens = 9'000'000'000;
  request.maxTokens = 0;
  const Hold full = worstCase(request, prices(), kNow);
  CHECK(full.money >= usd("0.00001875") * 4'294'967'295);
}

TEST_CASE("hold: an estimate goes by what the user had before") {
  const MessageRequest request = parsed(body("claude-sonnet-4", "", 3'000));
  const Money prompt = usd("0.00000375") * request.promptTokens;
  const Money worst = worstCase(request, prices(), kNow).money;
  const auto held = [&](std::optional<std::uint32_t> output) {
    return estimate(request, prices(), kNow, output, worst);
  };
  CHECK(held(std::nullopt) == worst);
  CHECK(held(0) == prompt + usd("0.000015") * 1'000);
  CHECK(held(833) == prompt + usd("0.000015") * 1'000);
  CHECK(held(2'001) == prompt + usd("0.000015") * 2'402);
  CHECK(held(6'666) == prompt + usd("0.000015") * 8'000);
  CHECK(held(4'000'000'000) == worst);
  const MessageRequest little = parsed(R"({"model":"claude-sonnet-4","max_tokens":10})");
  const Money most = worstCase(little, prices(), kNow).money;
  CHECK(estimate(little, prices(), kNow, 5'000, most) == most);
}

TEST_CASE("hold: no usage that the request allows costs more") {
  CHECK(rc::check([] {
    const std::string model =
        *rc::gen::element<std::string>("claude-fable-5-2", "claude-opus-5", "claude-opus-4-8", "claude-sonnet-5-5",
                                       "claude-haiku-5-5", "claude-unheard-of");
    const bool mayBeFast = model == "claude-opus-5" || model == "claude-opus-4-8";
    const bool fast = mayBeFast && *rc::gen::arbitrary<bool>();
    const bool us = *rc::gen::arbitrary<bool>();
    const auto caching = *rc::gen::inRange(0, 3);
    const auto uses = *rc::gen::inRange<std::uint32_t>(0, 4);
    std::string more = fast ? R"(,"speed":"fast")" : "";
    if (us) more += R"(,"inference_geo":"us")";
    if (caching > 0) more += R"(,"cache_control":{"ttl":")" + std::string(caching == 2 ? "1h" : "5m") + "\"}";
    if (uses > 0) more += R"(,"tools":[{"type":"web_search_20250305","max_uses":)" + std::to_string(uses) + "}]";
    const MessageRequest request = parsed(body(model, more, *rc::gen::inRange<std::size_t>(0, 500'000)), {}, "");

    const auto upTo = [](std::uint64_t most) { return *rc::gen::inRange<std::uint64_t>(0, most + 1); };
    const std::uint64_t output = std::max<std::uint64_t>(upTo(request.maxTokens), 1);
    const std::uint64_t searches = upTo(uses);
    std::uint64_t left = request.promptTokens;
    for (std::uint64_t use = 1; use <= searches; ++use)
      left += request.promptTokens + output + use * 10'000;
    const auto part = [&] {
      const std::uint64_t tokens = *rc::gen::arbitrary<bool>() ? left : upTo(left);
      left -= tokens;
      return tokens;
    };
    const std::uint64_t write1h = caching == 2 ? part() : 0;
    const std::uint64_t write5m = caching > 0 ? part() : 0;
    const std::uint64_t cacheRead = part();
    const std::uint64_t input = part();
    const std::string usage =
        R"({"input_tokens":)" + std::to_string(input) + R"(,"cache_read_input_tokens":)" + std::to_string(cacheRead) +
        R"(,"cache_creation_input_tokens":)" + std::to_string(write5m + write1h) +
        R"(,"cache_creation":{"ephemeral_5m_input_tokens":)" + std::to_string(write5m) +
        R"(,"ephemeral_1h_input_tokens":)" + std::to_string(write1h) + R"(},"output_tokens":)" +
        std::to_string(output) + R"(,"server_tool_use":{"web_search_requests":)" + std::to_string(searches) +
        R"(},"speed":")" + (fast ? "fast" : "standard") + R"(","inference_geo":")" + (us ? "us" : "global") + "\"}";
    const Cost it = cost(read(false, answer(model, usage), true, 4096), request, prices(), kNow);
    const Hold most = worstCase(request, prices(), kNow);
    RC_ASSERT(!it.partial);
    RC_ASSERT(most.bounded);
    RC_ASSERT(it.money <= most.money);
    RC_ASSERT(estimate(request, prices(), kNow, static_cast<std::uint32_t>(output), most.money) <= most.money);
  }));
}
