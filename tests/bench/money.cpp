// ./dev bench money: what the AI gateway spends on the money of one call, on one core.
//   request     reads a body of so many bytes, as Claude Code writes them: mostly text, with line ends and quotes
//   pictures    the same of one base64 picture
//   hold        the worst case, and the estimate, of a request that was read
//   stream      reads a stream of so many events in pieces of 32 KiB; watched: and says after each what it cost so far
//   answer      reads an answer in one piece of so many bytes
//   cost        what an answer comes to whose usage is known
#include "support/Allocations.h"
#include "support/TempDir.h"

#include <ai-gateway/money/Cost.h>
#include <ai-gateway/money/UsageReader.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

using namespace matrixos::gateway;

namespace {

constexpr std::int64_t kNow = 1'796'000'000'000;
constexpr std::size_t kPiece = 32 * 1024;

const PriceTable &prices() {
  static const auto table = PriceTable::parse(matrixos::test::readFile(MATRIXOS_PRICES));
  return *table;
}

std::string repeated(std::string_view text, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes)
    out += text;
  return out;
}

/// A conversation of short turns, with a tool and its results, up to so many bytes.
std::string conversation(std::size_t bytes) {
  const std::string turn =
      R"({"role":"assistant","content":[{"type":"text","text":"I will look at the file first.\n\nThen we see."},)"
      R"({"type":"tool_use","id":"toolu_01A09q90qw90lq917835lq9","name":"Read","input":{"path":"/src/main.cpp"}}]},)"
      R"({"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01A09q90qw90lq917835lq9","content":")" +
      repeated(R"(    42\tconst auto found = names.find(\"model\"); // nothing else is looked at here\n)", 4'000) +
      R"("}]},)";
  std::string text =
      R"({"model":"claude-sonnet-4-5-20250929","max_tokens":8000,"stream":true,"system":[{"type":"text","text":"You are )"
      R"(helpful.","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"Read","description":"Reads a file.",)"
      R"("input_schema":{"type":"object","properties":{"path":{"type":"string"}}}}],"messages":[)";
  while (text.size() + turn.size() < bytes)
    text += turn;
  const std::string end = R"({"role":"user","content":")";
  return text + end + repeated("word ", bytes - std::min(bytes, text.size() + end.size() + 3)) + "\"}]}";
}

std::string picture(std::size_t bytes) {
  return R"({"model":"claude-sonnet-4-5-20250929","max_tokens":8000,"messages":[{"role":"user","content":[)"
         R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":")" +
         std::string(bytes, 'A') + R"("}}]}]})";
}

MessageRequest parsed(const std::string &body) {
  return std::get<MessageRequest>(MessageRequest::parse(body, "", {}));
}

std::string streamOf(std::int64_t events) {
  std::string text =
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\","
      "\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\",\"content\":[],\"stop_reason\":null,\"usage\":"
      "{\"input_tokens\":1000,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}"
      "\n\n"
      "event: content_block_start\ndata: "
      "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
  for (std::int64_t i = 0; i < events; ++i)
    text += "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
            "{\"type\":\"text_delta\",\"text\":\" and so it goes on\"}}\n\n";
  return text + "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                "\"usage\":{\"output_tokens\":2000}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
}

/// Of each byte, and allocations of each round.
template <class Work>
void measure(benchmark::State &state, std::size_t bytes, const Work &work) {
  const std::size_t before = matrixos::test::allocations;
  for (auto _ : state)
    work();
  const auto rounds = static_cast<double>(state.iterations());
  state.counters["allocations"] = static_cast<double>(matrixos::test::allocations - before) / rounds;
  if (bytes != 0)
    state.counters["per byte"] = benchmark::Counter(static_cast<double>(bytes) * rounds,
                                                    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void request(benchmark::State &state) {
  const std::string body = conversation(static_cast<std::size_t>(state.range(0)));
  measure(state, body.size(), [&] { benchmark::DoNotOptimize(MessageRequest::parse(body, "", {})); });
}

void pictures(benchmark::State &state) {
  const std::string body = picture(static_cast<std::size_t>(state.range(0)));
  measure(state, body.size(), [&] { benchmark::DoNotOptimize(MessageRequest::parse(body, "", {})); });
}

void hold(benchmark::State &state) {
  const MessageRequest asked = parsed(conversation(1'000));
  measure(state, 0, [&] {
    const Hold most = worstCase(asked, prices(), kNow);
    benchmark::DoNotOptimize(estimate(asked, prices(), kNow, 500, most.money));
  });
}

void read(benchmark::State &state, bool isWatched) {
  const MessageRequest asked = parsed(conversation(1'000));
  const std::string bytes = streamOf(state.range(0));
  measure(state, bytes.size(), [&] {
    UsageReader reader(true);
    for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
      reader.feed(std::string_view(bytes).substr(at, kPiece));
      if (isWatched) benchmark::DoNotOptimize(cost(reader.usage(), asked, prices(), kNow));
    }
    reader.finish(true);
    if (!reader.usage().ended) state.SkipWithError("the stream has no end");
  });
}

void answer(benchmark::State &state) {
  const std::string bytes = R"({"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5",)"
                            R"("content":[{"type":"text","text":")" +
                            repeated("and so it goes on\\n", static_cast<std::size_t>(state.range(0))) +
                            R"("}],"stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":2000}})";
  measure(state, bytes.size(), [&] {
    UsageReader reader(false);
    reader.feed(bytes);
    reader.finish(true);
    if (!reader.usage().ended) state.SkipWithError("the answer has no end");
  });
}

void costs(benchmark::State &state) {
  const MessageRequest asked = parsed(conversation(1'000));
  UsageReader reader(true);
  reader.feed(streamOf(10));
  reader.finish(true);
  measure(state, 0, [&] { benchmark::DoNotOptimize(cost(reader.usage(), asked, prices(), kNow)); });
}

BENCHMARK(request)->Arg(1'000)->Arg(100'000)->Arg(10'000'000);
BENCHMARK(pictures)->Arg(1'000'000);
BENCHMARK(hold);
BENCHMARK_CAPTURE(read, stream, false)->Arg(500);
BENCHMARK_CAPTURE(read, watched, true)->Arg(500);
BENCHMARK(answer)->Arg(10'000);
BENCHMARK(costs)->Name("cost");

} // namespace

BENCHMARK_MAIN();
